from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from sklearn import datasets

from stages.lib import pictures

SETTINGS = pictures.Pictures(upright=True, background=[255, 255, 255], reducing_gap=None)


@pytest.mark.parametrize(
    ("count", "expected"),
    [
        (0, []),
        (1, [(0, 1)]),
        (7, [(0, 7)]),
        (8, [(0, 8)]),
        (9, [(0, 9)]),
        (10, [(0, 8), (8, 10)]),
        (17, [(0, 8), (8, 17)]),
        (18, [(0, 8), (8, 16), (16, 18)]),
    ],
)
def test_no_batch_of_one_and_none_left_out(count, expected):
    assert [(rows.start, rows.stop) for rows in pictures.slices(count, 8)] == expected


def solid(mode: str, colour) -> Image.Image:
    return Image.new(mode, (5, 3), colour)


@pytest.mark.parametrize(
    ("picture", "expected"),
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
def test_every_mode_becomes_rgb(picture, expected):
    got = pictures.to_rgb(picture, SETTINGS)
    assert (got.mode, got.size) == ("RGB", (5, 3))
    assert got.getpixel((2, 1)) == expected


def test_load_gives_a_square_turned_upright(tmp_path):
    pixels = np.zeros((8, 16, 3), "uint8")
    pixels[:, :8] = (0, 0, 250)  # left half blue
    picture = Image.fromarray(pixels)
    exif = picture.getexif()
    exif[0x0112] = 6  # to be turned a quarter clockwise: left comes to the top
    picture.save(tmp_path / "x.png", exif=exif)
    got = pictures.load(tmp_path / "x.png", 6, SETTINGS)
    assert (got.shape, got.dtype) == ((6, 6, 3), np.uint8)
    assert got[0].tolist() == [[0, 0, 250]] * 6
    assert got[5].tolist() == [[0, 0, 0]] * 6


def test_upright_and_background_are_settings():
    other = pictures.Pictures(upright=False, background=[0, 255, 0], reducing_gap=None)
    assert pictures.to_rgb(solid("RGBA", (200, 0, 0, 0)), other).getpixel((2, 1)) == (0, 255, 0)
    picture = solid("RGB", (1, 2, 3))
    picture.getexif()[0x0112] = 6
    assert pictures.to_rgb(picture, other).size == (5, 3)
    assert pictures.to_rgb(picture, SETTINGS).size == (3, 5)


def test_sixteen_bits_may_have_a_transparent_value(tmp_path):
    values = np.full((3, 5), 257 * 90, "uint16")
    values[:, 0] = 5
    Image.fromarray(values).save(tmp_path / "x.png", transparency=5)
    with pictures.open_file(tmp_path / "x.png") as picture:
        assert (picture.mode, picture.info["transparency"]) == ("I;16", 5)
        rgb = np.asarray(pictures.to_rgb(picture, SETTINGS))
    assert rgb[2].tolist() == [[255] * 3, *[[90] * 3] * 4]


@pytest.mark.parametrize("mode", ["RGBA", "LA", "P"])
def test_strips_do_not_show(monkeypatch, mode):
    picture = Image.effect_noise((13, 17), 90).convert(mode)
    if mode == "P":
        picture.info["transparency"] = 7
    else:
        picture.putalpha(Image.effect_noise((13, 17), 90))
    whole = np.asarray(pictures.to_rgb(picture, SETTINGS))
    monkeypatch.setattr(pictures, "STRIP", 4)
    assert np.array_equal(np.asarray(pictures.to_rgb(picture, SETTINGS)), whole)


def test_broken_exif_is_none():
    picture = solid("RGB", (1, 2, 3))
    picture.info["exif"] = b"Exif\0\0no TIFF at all"
    assert pictures.orientation(picture) == 1
    assert pictures.to_rgb(picture, SETTINGS).getpixel((0, 0)) == (1, 2, 3)


@pytest.mark.parametrize("value", [0, 9, "up", 1])
def test_a_wrong_orientation_is_none(value):
    picture = solid("RGB", (1, 2, 3))
    picture.getexif()[0x0112] = value
    assert pictures.orientation(picture) == 1


@pytest.mark.parametrize(
    ("gap", "size", "decoded"),
    [
        (None, 160, (2400, 1800)),
        (3.0, 160, (1200, 900)),
        (2.0, 160, (600, 450)),
        (1.0, 160, (300, 225)),
        (1.0, 64, (300, 225)),
        (3.0, 301, (2400, 1800)),
    ],
)
def test_a_large_jpeg_is_decoded_at_a_reduced_size(tmp_path, monkeypatch, gap, size, decoded):
    """On a photo, enlarged, and with an EXIF orientation; pixels change by about 1 of 255."""
    photo = Image.open(Path(datasets.__file__).with_name("images") / "china.jpg")
    exif = Image.Exif()
    exif[0x0112] = 6
    photo.resize((2400, 1800), Image.Resampling.BICUBIC).save(
        tmp_path / "large.jpg", quality=95, exif=exif
    )
    sizes = []
    whole = pictures.to_rgb

    def to_rgb(picture, settings):
        sizes.append(picture.size)
        return whole(picture, settings)

    monkeypatch.setattr(pictures, "to_rgb", to_rgb)
    exact = pictures.load(tmp_path / "large.jpg", size, SETTINGS).astype(int)
    settings = SETTINGS.model_copy(update={"reducing_gap": gap})
    got = pictures.load(tmp_path / "large.jpg", size, settings).astype(int)
    assert sizes[1] == decoded
    assert np.abs(got - exact).mean() < (1.5 if gap in (None, 3.0) else 8)


def test_other_formats_are_decoded_whole(tmp_path):
    solid("RGB", (10, 20, 30)).resize((900, 900)).save(tmp_path / "large.png")
    settings = SETTINGS.model_copy(update={"reducing_gap": 1.0})
    assert (pictures.load(tmp_path / "large.png", 32, settings) == (10, 20, 30)).all()


@pytest.fixture
def paths(tmp_path):
    """17 pictures whose every pixel is ten times the picture's number."""
    paths = [tmp_path / f"{number}.png" for number in range(17)]
    for number, path in enumerate(paths):
        Image.new("RGB", (9, 11), (number * 10,) * 3).save(path)
    return paths


@pytest.mark.parametrize("workers", [1, 3])
def test_batches_keep_the_order_and_the_tail(paths, workers):
    got = list(pictures.batches(paths, 4, SETTINGS, 5, workers, "test"))
    assert [(rows.start, rows.stop) for rows, _ in got] == [(0, 5), (5, 10), (10, 15), (15, 17)]
    assert all(pixels.dtype == np.uint8 for _, pixels in got)
    together = np.concatenate([pixels for _, pixels in got])
    assert together.shape == (17, 4, 4, 3)
    assert together[:, 0, 0, 0].tolist() == [number * 10 for number in range(17)]


def test_batches_raise_what_a_thread_raised(paths):
    paths[7].write_bytes(b"")
    with pytest.raises(OSError, match=r"7\.png"):
        list(pictures.batches(paths, 4, SETTINGS, 5, 2, "test"))


def test_decode_puts_each_picture_into_its_own_row(paths, tmp_path):
    pixels = pictures.decode(paths, 5, SETTINGS, 2, tmp_path)
    assert isinstance(pixels, np.memmap)
    assert (pixels.shape, pixels.dtype) == ((17, 5, 5, 3), np.uint8)
    assert pixels[:, 4, 4, 2].tolist() == [number * 10 for number in range(17)]
