import io
import struct

import numpy as np
import pytest
from PIL import Image
from PIL.TiffImagePlugin import ImageFileDirectory_v2

from thaw.images import file_kinds, image_checks
from thaw.images.image_checks import InvalidImage


def reason(path) -> str:
    with pytest.raises(InvalidImage) as caught, image_checks.opened(path, 1, 1e9):
        pass
    assert "\n" not in str(caught.value)
    return str(caught.value)


def npy() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((4, 4)))
    return buffer.getvalue()


def npz() -> bytes:
    buffer = io.BytesIO()
    np.savez(buffer, images=np.zeros((4, 4)))
    return buffer.getvalue()


def tiff(tags: dict[int, int], colour="RGB") -> bytes:
    """A TIFF that Pillow writes, with more tags."""
    info = ImageFileDirectory_v2()
    for tag, value in tags.items():
        info.tagtype[tag] = 4
        info[tag] = value
    buffer = io.BytesIO()
    Image.new(colour, (60, 40)).save(buffer, "TIFF", tiffinfo=info)
    return buffer.getvalue()


def bands(count: int, bits: int, photometric: int = 1) -> bytes:
    """A TIFF of any number of bands, side by side in each pixel."""
    side, size = 8, bits // 8
    numbers = {
        256: (3, [side]), 257: (3, [side]), 258: (3, [bits] * count), 259: (3, [1]),
        262: (3, [photometric]),
        273: (4, [8]), 277: (3, [count]), 278: (3, [side]), 279: (4, [side * side * count * size]),
    }  # fmt: skip
    data = bytes(side * side * count * size)
    at = 8 + len(data)
    after = at + 2 + 12 * len(numbers) + 4
    entries, extra = b"", b""
    for tag, (kind, values) in numbers.items():
        packed = struct.pack(f"<{len(values)}{'H' if kind == 3 else 'I'}", *values)
        if len(packed) > 4:
            place = struct.pack("<I", after + len(extra))
            extra += packed
        else:
            place = packed.ljust(4, b"\0")
        entries += struct.pack("<HHI", tag, kind, len(values)) + place
    head = b"II*\0" + struct.pack("<I", at) + data
    return head + struct.pack("<H", len(numbers)) + entries + bytes(4) + extra


def canon() -> bytes:
    """As a CR2 begins: its mark stands where another TIFF has the first image."""
    data = bytearray(bands(3, 8, photometric=2))
    data[8:10] = b"CR"
    return bytes(data)


PAGE = b"\xef\xbb\xbf\r\n<!DOCTYPE HTML><html>404</html>"
POINTER = b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 12345\n"


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (POINTER, "a Git LFS pointer, not the file; run `git lfs pull` where it is from"),
        (PAGE, "an HTML page, not an image; fetch it again"),
        (b"<svg xmlns='x'></svg>", "SVG or another XML file; save it as PNG"),
        (
            bytes(128) + b"DICM" + bytes(99),
            "DICOM, which has no fixed range; save it as PNG, all with the same window",
        ),
        (npy(), "a NumPy array, not an image; write its images as PNG"),
        (npz(), "a zip archive (or .npz, .docx), not an image; unpack it"),
        (b"MATLAB 5.0 MAT-file, Platform", "MATLAB data, not an image; write its images as PNG"),
        (b"\x89HDF\r\n\x1a\n", "HDF5 data, not an image; write its images as PNG"),
        (b"\0\0\0\x18ftypheic", "HEIC, which Pillow cannot read; save it as JPEG or PNG"),
        (b"\0\0\0\x18ftypmp42", "a video, not an image; save the frames that are meant"),
        (b"\x28what else", "no known image format"),
        (b"", "no known image format"),
        (bands(7, 16), "a TIFF of 7 bands of 16 bits, which Pillow cannot read; save the three"),
        (b"II*\0 cut", "no known image format"),
    ],
)
def test_each_kind_has_its_name_and_what_to_do(tmp_path, content, said):
    (tmp_path / "x.jpg").write_bytes(content)
    assert reason(tmp_path / "x.jpg").startswith(said)


@pytest.mark.parametrize(
    "content",
    [
        b"FUJIFILMCCD-RAW 0201",
        b"\0\0\0\x18ftypcrx \0\0\0\1",
        canon(),
        bands(1, 16, photometric=32803),  # what the sensor gives
        tiff({50706: 0x01040000}),  # the version of DNG
        tiff({254: 1, 330: 8}),  # a preview, and the images proper elsewhere: NEF, ARW
    ],
)
def test_raw_photos_are_not_taken_for_their_previews(tmp_path, content):
    (tmp_path / "x.nef").write_bytes(content)
    assert reason(tmp_path / "x.nef") == (
        "a RAW photo, of which only a camera's preview can be read; develop it: save it as JPEG or "
        "PNG"
    )


def test_what_is_an_image_is_used(tmp_path):
    for number, content in enumerate([tiff({}), tiff({254: 0}), tiff({254: 1}), tiff({330: 8})]):
        (tmp_path / f"{number}.tif").write_bytes(content)
        with image_checks.opened(tmp_path / f"{number}.tif", 1, 1e9) as image:
            assert image.size == (60, 40)


def test_a_kind_is_told_by_content_alone(tmp_path):
    (tmp_path / "x.dcm").write_bytes(b"text")
    assert file_kinds.kind_of(tmp_path / "x.dcm") is None
