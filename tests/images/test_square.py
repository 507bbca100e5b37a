import numpy as np
import pytest
from PIL import Image, ImageOps

from tests.conftest import decoding
from thaw.images.settings import Decoding
from thaw.images.square import FITS, inside, own_shape, square

SHAPES = [(41, 41), (97, 31), (31, 97), (301, 19), (19, 301), (1, 1), (23, 22)]


def settings(fit: str) -> Decoding:
    background = [7, 250, 130]
    return decoding(background=background, fit=fit)


def noise(shape: tuple[int, int]) -> Image.Image:
    pixels = np.random.default_rng(sum(shape)).integers(0, 256, (*shape[::-1], 3), "uint8")
    return Image.fromarray(pixels)


@pytest.mark.parametrize("shape", SHAPES)
def test_each_fit_is_what_pillow_does(shape):
    """So that few lines do the same where this code is not, as in the model card."""
    image, sides, how = noise(shape), (17, 17), Image.Resampling.BILINEAR
    expected = {
        "stretch": image.resize(sides, how),
        "pad": ImageOps.pad(image, sides, how, (7, 250, 130)),
        "crop": ImageOps.fit(image, sides, how),
    }
    assert set(expected) == set(FITS)
    for fit, other in expected.items():
        assert square(image, 17, settings(fit)).tobytes() == other.tobytes(), fit


@pytest.mark.parametrize(
    ("shape", "padded"), [((1, 1000), 17), ((1000, 1), 17), ((1, 7), 34), ((1, 1), 289)]
)
def test_an_image_of_one_pixel_s_width_is_still_seen(shape, padded):
    white = Image.new("RGB", shape, (255, 255, 255))
    for fit in FITS:
        found = np.asarray(square(white, 17, settings(fit)))
        assert found.shape == (17, 17, 3)
        assert (found == 255).all(axis=2).sum() == (padded if fit == "pad" else 289)


def test_pad_has_the_background_at_both_sides_and_crop_none():
    wide = Image.new("RGB", (90, 30), (200, 0, 0))
    rows = np.asarray(square(wide, 15, settings("pad")))[:, 0].tolist()
    assert rows == [[7, 250, 130]] * 5 + [[200, 0, 0]] * 5 + [[7, 250, 130]] * 5
    wide.paste((0, 0, 200), (0, 0, 28, 30))  # the filter looks two pixels further
    wide.paste((0, 0, 200), (62, 0, 90, 30))
    assert (np.asarray(square(wide, 15, settings("crop"))) == (200, 0, 0)).all()


def test_what_was_seen_comes_back_to_its_own_shape():
    wide = Image.new("RGB", (90, 30), (200, 0, 0))
    for fit, size in (("stretch", (60, 20)), ("pad", (60, 20)), ("crop", (60, 60))):
        back = own_shape(square(wide, 15, settings(fit)), wide.size, 60, fit)
        assert back.size == size
        assert (np.asarray(back) == (200, 0, 0)).all(), fit
    assert inside((30, 90), 15) == (5, 0, 10, 15)
    assert own_shape(noise((9, 9)), (1, 1000), 60, "pad").size == (1, 60)
