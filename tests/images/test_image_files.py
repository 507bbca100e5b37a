import io
import struct

import numpy as np
import pytest
from PIL import Image

from tests.conftest import decoding
from thaw.images import image_checks, image_files

SETTINGS = decoding()


def solid(mode: str, colour) -> Image.Image:
    return Image.new(mode, (5, 3), colour)


@pytest.mark.parametrize(
    ("image", "expected"),
    [
        (solid("RGB", (10, 20, 30)), (10, 20, 30)),
        (solid("L", 77), (77, 77, 77)),
        (solid("1", 1), (255, 255, 255)),
        (solid("RGBA", (200, 0, 0, 0)), (255, 255, 255)),
        (solid("RGBA", (200, 0, 0, 255)), (200, 0, 0)),
        (solid("LA", (0, 51)), (204, 204, 204)),
        (solid("CMYK", (0, 255, 255, 0)), (255, 0, 0)),
        (Image.fromarray(np.full((3, 5), 257 * 90, "uint16")), (90, 90, 90)),
    ],
)
def test_every_mode_becomes_rgb(image, expected):
    got = image_files.to_rgb(image, SETTINGS)
    assert (got.mode, got.size) == ("RGB", (5, 3))
    assert got.getpixel((2, 1)) == expected


def test_upright_and_background_are_settings():
    other = decoding(apply_exif_orientation=False, background=[0, 255, 0])
    assert image_files.to_rgb(solid("RGBA", (200, 0, 0, 0)), other).getpixel((2, 1)) == (0, 255, 0)
    image = solid("RGB", (1, 2, 3))
    image.getexif()[0x0112] = 6
    assert image_files.to_rgb(image, other).size == (5, 3)
    assert image_files.to_rgb(image, SETTINGS).size == (3, 5)


def test_sixteen_bits_may_have_a_transparent_value(tmp_path):
    values = np.full((3, 5), 257 * 90, "uint16")
    values[:, 0] = 5
    Image.fromarray(values).save(tmp_path / "x.png", transparency=5)
    with image_files.open_file(tmp_path / "x.png") as image:
        assert (image.mode, image.info["transparency"]) == ("I;16", 5)
        rgb = np.asarray(image_files.to_rgb(image, SETTINGS))
    assert rgb[2].tolist() == [[255] * 3, *[[90] * 3] * 4]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_strips_do_not_show(monkeypatch, mode):
    image = Image.effect_noise((13, 17), 90).convert(mode)
    if mode == "P":
        image.info["transparency"] = 7
    else:
        image.putalpha(Image.effect_noise((13, 17), 90))
    whole = np.asarray(image_files.to_rgb(image, SETTINGS))
    monkeypatch.setattr(image_files, "STRIP", 4)
    assert np.array_equal(np.asarray(image_files.to_rgb(image, SETTINGS)), whole)


def test_broken_exif_is_none():
    image = solid("RGB", (1, 2, 3))
    image.info["exif"] = b"Exif\0\0no TIFF at all"
    assert image_files.orientation(image) == 1
    assert image_files.to_rgb(image, SETTINGS).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize("value", [0, 9, "up", 1])
def test_a_wrong_orientation_is_none(value):
    image = solid("RGB", (1, 2, 3))
    image.getexif()[0x0112] = value
    assert image_files.orientation(image) == 1


@pytest.mark.parametrize(("largest", "value"), [(65535, 257 * 90), (4095, 1446), (1023, 362)])
def test_pgm_of_more_than_8_bits_fills_the_range_that_it_names(tmp_path, largest, value):
    pixels = np.full((3, 5), value, ">u2").tobytes()
    (tmp_path / "x.pgm").write_bytes(f"P5\n5 3\n{largest}\n".encode() + pixels)
    with image_checks.opened(tmp_path / "x.pgm", 1, 1e6) as image:
        assert image_files.to_rgb(image, SETTINGS).getpixel((2, 1)) == (90, 90, 90)


def test_a_fourth_band_is_transparency_only_where_the_file_says_so(tmp_path):
    """TIFF names what its further bands are; 0 is none in particular, such as infrared."""
    image = Image.new("RGBA", (5, 3), (200, 30, 40, 0))
    for extra, expected in {2: (255, 255, 255), 0: (200, 30, 40)}.items():
        data = io.BytesIO()
        image.save(data, "TIFF")
        said = struct.pack("<HHIH", 338, 3, 1, 2)
        assert said in data.getvalue()
        changed = data.getvalue().replace(said, struct.pack("<HHIH", 338, 3, 1, extra))
        (tmp_path / "x.tif").write_bytes(changed)
        with image_files.open_file(tmp_path / "x.tif") as opened:
            assert image_files.to_rgb(opened, SETTINGS).getpixel((2, 1)) == expected
