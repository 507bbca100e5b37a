import io
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from tests import tiff
from tests.conftest import decoding
from tests.imports import ROOT
from thaw.images import bands, image_files
from thaw.images.image_checks import InvalidImage, opened

SETTINGS = decoding()
RED, CLEAR = (200, 30, 40), (255, 255, 255)
FOUR = [np.full((5, 7), value, "uint8") for value in (*RED, 0)]
GREY = [np.full((5, 7), value, "uint8") for value in (90, 0)]


def jpeg2000(mode: str, named: bool = True) -> bytes:
    """Its box cdef names the last band; without that or any box nothing does."""
    buffer = io.BytesIO()
    image = Image.fromarray(np.dstack(FOUR if mode == "RGBA" else GREY), mode)
    image.save(buffer, "JPEG2000", no_jp2=not named)
    return buffer.getvalue()


def changed(data: bytes) -> bytes:
    """Say of the last band that it is of an unknown kind."""
    at = data.index(b"cdef") + 6 + 6 * 3
    assert data[at : at + 4] == b"\0\3\0\1"
    return data[: at + 2] + b"\xff\xff" + data[at + 4 :]


@pytest.mark.parametrize(
    ("content", "name", "expected"),
    [
        (tiff.write(FOUR, extra=(2,)), "RGBA", CLEAR),
        (tiff.write(FOUR, ">", extra=(2,)), "RGBA", CLEAR),
        (tiff.write(FOUR, extra=(0,)), "RGBX", RED),
        (tiff.write(FOUR), "RGBX", RED),
        (tiff.write(FOUR, ">"), "RGBX", RED),
        (tiff.write(FOUR, packed=True), "RGBX", RED),
        (tiff.write([*FOUR, FOUR[0]], extra=(0, 0)), "RGBX", RED),
        (tiff.write([*FOUR, FOUR[0]], extra=(2, 0)), "RGBAX", CLEAR),
        (tiff.write(FOUR[:3]), "RGB", RED),
        (tiff.write(GREY, extra=(0,), photometric=1), "LX", (90, 90, 90)),
        (jpeg2000("RGBA"), "RGBA", CLEAR),
        (changed(jpeg2000("RGBA")), "RGBX", RED),
        (jpeg2000("RGBA", named=False), "RGBX", RED),
        (jpeg2000("LA"), "LA", CLEAR),
        (jpeg2000("LA", named=False), "LX", (90, 90, 90)),
    ],
)
def test_a_band_is_transparency_where_the_file_says_so(tmp_path, content, name, expected):
    (tmp_path / "x").write_bytes(content)
    with image_files.open_file(tmp_path / "x") as image:
        rgb = image_files.to_rgb(image, SETTINGS)
        assert rgb.getpixel((3, 2)) == expected
        assert bands.name(image) == name


@pytest.mark.parametrize("count", [5, 13])
def test_more_bands_are_refused_and_print_no_line_of_their_own(tmp_path, count):
    several = [np.full((5, 7), number, "uint16") for number in range(count)]
    (tmp_path / "x.tif").write_bytes(tiff.write(several, extra=(0,) * (count - 1), photometric=1))
    with (
        pytest.raises(InvalidImage, match=f"^a TIFF of {count} bands of 16 bits, which Pillow"),
        opened(tmp_path / "x.tif", 1, 1e6),
    ):
        pass
    code = (
        "from thaw.images import image_files\n"
        f"with image_files.open_file({str(tmp_path / 'x.tif')!r}):\n    pass"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.startswith("Traceback")  # without Pillow's line for each
