from pathlib import Path

import pytest

from thaw.data import survey


def glances(width: int, height: int) -> dict:
    return {Path("x"): survey.Glance(width, height, "PNG", "RGB", "", "", None)}


@pytest.mark.parametrize(
    ("size", "image_size"),
    [((8, 8), 64), ((32, 32), 64), ((40, 90), 96), ((128, 200), 128), ((4000, 3000), 160)],
)
def test_a_larger_image_wants_a_larger_input(size, image_size):
    changes = survey.suggestions({"cat", "dog"}, glances(*size))
    assert changes["backbone"] == {"image_size": image_size}


@pytest.mark.parametrize(
    ("labels", "flip"),
    [
        ({"cat", "dog"}, "horizontal"),
        ({"0", "1", "7"}, "none"),
        ({"A", "b"}, "none"),
        ({"left hand", "right hand"}, "none"),
    ],
)
def test_what_may_be_mirrored(labels, flip):
    assert survey.suggestions(labels, glances(300, 200))["augmentation"] == {"flip": flip}


@pytest.mark.parametrize(
    ("pixels", "largest", "bits"),
    [("x", (None, None), "auto"), ("x", (900, 4000), 12), ("", (900, 4000), "auto")],
)
def test_the_bits_are_a_number_where_all_images_were_seen(pixels, largest, bits):
    seen = {Path(str(value)): survey.Glance(99, 99, "PNG", "I;16", "", pixels, value)
            for value in largest}  # fmt: skip
    assert survey.suggestions({"cat", "dog"}, seen)["images"] == {"bits": bits}
