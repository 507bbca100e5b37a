import io
import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from tests import tiff
from tests.conftest import decoding
from tests.hostile import chunk
from thaw.images import image_checks, image_files, sixteen_bits

SHAPE = (5, 9)
VALUES = np.random.default_rng(3).integers(0, 4096, (*SHAPE, 3)).astype("uint16")
VALUES[0, 0] = 4095
GREY = VALUES[..., 0]
SOLID = np.full(SHAPE, 65535, "uint16")


def coded(image: Image.Image, kind: str, **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def png(kind: int, *bands: np.ndarray) -> bytes:
    """16 bits a value; kind 2: colours, 4: grey and transparency, 6: colours and transparency."""
    rows = np.stack(bands, -1).astype(">u2")
    header = struct.pack(">IIBBBBB", SHAPE[1], SHAPE[0], 16, kind, 0, 0, 0)
    data = zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows))
    parts = (b"IHDR", header), (b"IDAT", data), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def pnm(kind: int, values: np.ndarray, largest: int = 65535) -> bytes:
    head = f"P{kind}\n{SHAPE[1]} {SHAPE[0]}\n{largest}\n".encode()
    plain = " ".join(map(str, values.ravel())).encode()
    return head + (plain if kind < 4 else values.astype(">u2").tobytes())


COLOURS = list(np.moveaxis(VALUES, -1, 0))
FILES = {
    "grey.png": (coded(Image.fromarray(GREY), "PNG"), "I;16"),
    "grey.tif": (tiff.write([GREY], photometric=1), "I;16"),
    "grey, big-endian.tif": (tiff.write([GREY], ">", photometric=1), "I;16B"),
    "grey, packed.tif": (coded(Image.fromarray(GREY), "TIFF", compression="tiff_lzw"), "I;16"),
    "grey.pgm": (pnm(5, GREY), "I"),
    "grey, plain.pgm": (pnm(2, GREY), "I"),
    "grey and solid.png": (png(4, GREY, SOLID), "RGBA"),
    "colours.png": (png(2, *COLOURS), "RGB"),
    "colours and solid.png": (png(6, *COLOURS, SOLID), "RGBA"),
    "colours.ppm": (pnm(6, VALUES), "RGB"),
    "colours.tif": (tiff.write(COLOURS), "RGB"),
    "colours, big-endian.tif": (tiff.write(COLOURS, ">"), "RGB"),
    "colours, bands apart.tif": (tiff.write(COLOURS, planar=True), "RGB"),
    "colours, big-endian, bands apart.tif": (tiff.write(COLOURS, ">", planar=True), "RGB"),
    "colours, packed.tif": (tiff.write(COLOURS, packed=True), "RGB"),
    "colours, big-endian, packed.tif": (tiff.write(COLOURS, ">", packed=True), "RGB"),
    "colours and infrared.tif": (tiff.write([*COLOURS, GREY], extra=(0,)), "RGB"),
    "colours and what.tif": (tiff.write([*COLOURS, GREY]), "RGB"),
    "colours and solid.tif": (tiff.write([*COLOURS, SOLID], extra=(2,)), "RGBA"),
    "colours and what, packed.tif": (tiff.write([*COLOURS, GREY], packed=True), "RGB"),
}


@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("bits", [8, 12, 13, 16, "auto"])
def test_values_are_scaled_whatever_the_file(tmp_path, name, bits):
    content, mode = FILES[name]
    (tmp_path / name).write_bytes(content)
    with image_checks.opened(tmp_path / name, 1, 1e6) as image:
        got = np.asarray(image_files.to_rgb(image, decoding(bits=bits)))
        assert image.mode == mode
        assert sixteen_bits.largest(image) == 4095
    values = (VALUES if name.startswith("colours") else GREY[..., None]).astype(int)
    used = 12 if bits == "auto" else bits
    expected = np.minimum(values * 255 // (2**used - 1), 255) * np.ones(3, int)
    if bits == 16:  # of colours Pillow takes the upper byte
        assert np.abs(got.astype(int) - expected).max() <= 1
    else:
        assert np.array_equal(got, expected)


def test_packed_bands_that_lie_apart_are_coarse(tmp_path):
    """Of them libtiff gives the upper bytes only."""
    (tmp_path / "x.tif").write_bytes(tiff.write(COLOURS, planar=True, packed=True))
    with image_files.open_file(tmp_path / "x.tif") as image:
        got = np.asarray(image_files.to_rgb(image, decoding())).astype(int)
    assert np.abs(got - VALUES.astype(int) * 255 // 4095).max() <= 16


@pytest.mark.parametrize("largest", [4095, 1023, 65535])
def test_where_a_file_says_its_range_that_counts(tmp_path, largest):
    (tmp_path / "x.pgm").write_bytes(pnm(5, np.full(SHAPE, largest), largest))
    with image_files.open_file(tmp_path / "x.pgm") as image:
        got = image_files.to_rgb(image, decoding(bits=16))
        assert sixteen_bits.largest(image) == (None if largest < 65535 else 65535)
    assert got.getpixel((2, 1)) == (255, 255, 255)


def test_twelve_bits_in_a_tiff_of_twelve_are_known(tmp_path):
    width = 8
    pair = bytes([0xFF, 0xF8, 0x00])  # 4095, 2048
    data = bytearray(tiff.write([np.zeros((2, 6), "uint16")], photometric=1))
    data[8 : 8 + 24] = pair * 8
    for tag, old, new in ((256, 6, width), (258, 16, 12)):
        said = struct.pack("<HHIH", tag, 3, 1, old)
        assert said in data
        data = data.replace(said, struct.pack("<HHIH", tag, 3, 1, new))
    (tmp_path / "x.tif").write_bytes(data)
    with image_files.open_file(tmp_path / "x.tif") as image:
        got = image_files.to_rgb(image, decoding(bits=16))
        assert (image.mode, sixteen_bits.largest(image)) == ("I;16", None)
    assert np.asarray(got)[1, :4, 0].tolist() == [255, 127, 255, 127]


def test_where_0_is_white_it_becomes_white(tmp_path):
    (tmp_path / "x.tif").write_bytes(tiff.write([GREY], photometric=0))
    with image_files.open_file(tmp_path / "x.tif") as image:
        got = np.asarray(image_files.to_rgb(image, decoding(bits=12)))
    assert np.array_equal(got[..., 0], 255 - GREY.astype(int) * 255 // 4095)


def test_plain_colours_are_scaled_by_pillow(tmp_path):
    (tmp_path / "x.ppm").write_bytes(pnm(3, VALUES * 16))
    with image_files.open_file(tmp_path / "x.ppm") as image:
        got = np.asarray(image_files.to_rgb(image, decoding(bits=8))).astype(int)
    assert np.abs(got - VALUES.astype(int) * 16 / 257).max() <= 1


def test_eight_bits_are_left_alone(tmp_path):
    Image.new("RGB", (5, 3), (1, 2, 3)).save(tmp_path / "x.png")
    with image_files.open_file(tmp_path / "x.png") as image:
        image.load()
        assert sixteen_bits.largest(image) is None
        assert sixteen_bits.to_eight(image, 12) is image


def test_a_grey_image_is_turned_by_its_exif(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    for name, content in {"grey": Image.fromarray(GREY), "colours": None}.items():
        path = tmp_path / f"{name}.png"
        if content:
            content.save(path, exif=exif)
        else:
            data = png(2, *COLOURS)
            path.write_bytes(data[:33] + chunk(b"eXIf", exif.tobytes()[6:]) + data[33:])
        with image_files.open_file(path) as image:
            got = np.asarray(image_files.to_rgb(image, decoding()))
        assert got.shape == (SHAPE[1], SHAPE[0], 3)
        assert got[0, -1, 0] == 255


@pytest.mark.parametrize(
    ("largest", "bits"),
    [(255, 8), (256, 10), (1023, 10), (1024, 12), (4095, 12), (4096, 14), (16383, 14), (16384, 16)],
)
def test_what_fits(largest, bits):
    assert sixteen_bits.fitting(largest) == bits
