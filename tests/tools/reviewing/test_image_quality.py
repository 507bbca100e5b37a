import numpy as np
import pytest
from PIL import Image, ImageFilter

from tools.reviewing.image_quality import odd_shape, signs


def photo(low: int = 0, high: int = 255, side: int = 131) -> Image.Image:
    """Return half a gradient from left to right, half noise, from `low` to `high`."""
    noise = np.random.default_rng(0).uniform(0, 1, (side, side + 20))
    both = (noise + np.linspace(0, 1, side + 20)) / 2
    levels = (low + (high - low) * both).astype("uint8")
    return Image.fromarray(levels).convert("RGB")


@pytest.mark.parametrize(
    ("image", "said"),
    [
        (photo(), []),
        (photo(3, 60), ["dark"]),
        (photo(200, 255), ["bright"]),
        (photo(120, 124), ["blank"]),
        (photo().filter(ImageFilter.GaussianBlur(9)), ["blurred"]),
        (photo(3, 60).filter(ImageFilter.GaussianBlur(9)), ["dark", "blurred"]),
        (photo(side=40).filter(ImageFilter.GaussianBlur(9)), []),
    ],
)
def test_what_is_poor_about_an_image(image, said):
    assert signs(image) == said


def test_a_side_that_is_much_the_longer_is_odd():
    assert odd_shape(30, 91) == ["30 x 91 pixels"]
    assert odd_shape(91, 30) == ["91 x 30 pixels"]
    assert odd_shape(30, 90) == []
