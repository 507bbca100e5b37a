import numpy as np
import pytest

from tests.figures.test_image_grid import ends, shown, texts
from thaw.figures import error_grids, style

TRUTH = np.array([0, 1, 2, 1, 0])
PROBABILITIES = np.array(
    [
        [0.6, 0.3, 0.1],  # right
        [0.5, 0.4, 0.1],  # wrong
        [0.1, 0.45, 0.45],  # wrong, as the first of equals counts
        [0.00001, 0.99999, 0],  # right
        [0.0003, 0.9, 0.0997],  # wrong
    ]
)
NAMES = ["cat", "dog", "a lynx with a really long name"]


def test_order():
    assert error_grids.misclassified(TRUTH, PROBABILITIES).tolist() == [4, 1, 2]
    assert error_grids.correct(TRUTH, PROBABILITIES).tolist() == [0, 3]
    assert error_grids.rivals(TRUTH, PROBABILITIES).tolist() == [1, 1, 2, 0, 0]
    assert len(error_grids.misclassified(TRUTH[:1], PROBABILITIES[:1])) == 0


def test_nothing_is_certain():
    said = [error_grids.percent(value) for value in (1.0, 0.9996, 0.9994, 0.25, 0.0004, 0)]
    assert said == [">99.9 %", ">99.9 %", "99.9 %", "25.0 %", "<0.1 %", "<0.1 %"]


def test_draw_names_both_classes_with_their_probabilities():
    pixels = np.zeros((5, 7, 7, 3), "uint8")
    figure = error_grids.draw(pixels, TRUTH, PROBABILITIES, NAMES, "five")
    assert texts(figure) == [
        "five",
        "cat: 60.0 %\nor dog: 30.0 %",
        "dog: 40.0 %\n→ cat: 50.0 %",
        "a lynx…g name: 45.0 %\n→ dog: 45.0 %",
        "dog: >99.9 %\nor cat: <0.1 %",
        "cat: <0.1 %\n→ dog: 90.0 %",
    ]
    colours = [text.get_color() for text in figure.axes[0].texts[1:]]
    assert [colour == style.ORANGE for colour in colours] == [False, True, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("misclassified", 0, 357), "None: all 357 test images are classified correctly"),
        (("correct", 0, 7), "None: all 7 test images are misclassified"),
        (("misclassified", 1, 9), "The only misclassified test image: actual class and"),
        (("misclassified", 14, 357), "All 14 misclassified test images, the most confident first:"),
        (("correct", 343, 357), "The 24 least certain of 343 correct test images: class and runn"),
    ],
)
def test_titles_say_how_many(arguments, said):
    assert error_grids.title_of(*arguments).startswith(said)


def test_a_grid_without_images_says_so():
    none = np.zeros((0, 7, 7, 3), "uint8")
    title = error_grids.title_of("misclassified", 0, 5)
    figure = error_grids.draw(none, TRUTH[:0], PROBABILITIES[:0], NAMES, title)
    assert texts(figure) == [title]
    assert shown(figure) == []


@pytest.mark.parametrize("count", [1, 5])
def test_explanations_lie_below_their_images(count):
    pixels = np.zeros((count, 7, 7, 3), "uint8")
    rows = slice(count)
    figure = error_grids.draw_gradcam(
        pixels, (pixels + 1, pixels + 2), TRUTH[rows], PROBABILITIES[rows], NAMES, "why"
    )
    places = shown(figure)
    assert len(places) == 3 * count
    assert places[0][0] == places[count][0] == places[2 * count][0]
    first = [figure.axes[0].images[row * count].get_array() for row in range(3)]
    assert [image[0, 0, 0] for image in first] == [0, 1, 2]
    assert texts(figure)[1 + count] == "for cat: 60.0 %"
    assert texts(figure)[1 + 2 * count] == "for dog: 30.0 %"
    if count == 5:
        assert texts(figure)[1 + 2 * count + 2] == "for a ly…name: 45.0 %"
    assert max(ends(figure)) == ends(figure)[0]
    assert error_grids.gradcam_title(0, (4, 5)).endswith(
        "on feature maps of 4 x 5: the least certain correct test images, as none is misclassified"
    )
