import numpy as np
import pytest

from stages.lib import certainty, figures
from tests.lib.test_sheets import ends, shown, texts

TRUTH = np.array([0, 1, 2, 1, 0])
CHANCES = np.array(
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
    assert certainty.mistakes(TRUTH, CHANCES).tolist() == [4, 1, 2]
    assert certainty.hits(TRUTH, CHANCES).tolist() == [0, 3]
    assert certainty.rivals(TRUTH, CHANCES).tolist() == [1, 1, 2, 0, 0]
    assert len(certainty.mistakes(TRUTH[:1], CHANCES[:1])) == 0


def test_nothing_is_certain():
    said = [certainty.percent(chance) for chance in (1.0, 0.9996, 0.9994, 0.25, 0.0004, 0)]
    assert said == [">99.9 %", ">99.9 %", "99.9 %", "25.0 %", "<0.1 %", "<0.1 %"]


def test_sheet_names_both_classes_with_their_probabilities():
    pixels = np.zeros((5, 7, 7, 3), "uint8")
    figure = certainty.sheet(pixels, TRUTH, CHANCES, NAMES, "five")
    assert texts(figure) == [
        "five",
        "cat: 60.0 %\nor dog: 30.0 %",
        "dog: 40.0 %\n→ cat: 50.0 %",
        "a lynx with a …: 45.0 %\n→ dog: 45.0 %",
        "dog: >99.9 %\nor cat: <0.1 %",
        "cat: <0.1 %\n→ dog: 90.0 %",
    ]
    colours = [text.get_color() for text in figure.axes[0].texts[1:]]
    assert [colour == figures.ORANGE for colour in colours] == [False, True, True, False, True]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((True, 0, 357), "None: all 357 test pictures are right"),
        ((False, 0, 7), "None: all 7 test pictures are mistaken"),
        ((True, 1, 9), "The only mistake: the actual class"),
        ((True, 14, 357), "All 14 mistakes, the most confident first: "),
        ((False, 343, 357), "The 24 least certain of 343 hits: "),
    ],
)
def test_titles_say_how_many(arguments, said):
    assert certainty.title(*arguments).startswith(said)


def test_a_sheet_without_mistakes_says_so():
    none = np.zeros((0, 7, 7, 3), "uint8")
    figure = certainty.sheet(none, TRUTH[:0], CHANCES[:0], NAMES, certainty.title(True, 0, 5))
    assert texts(figure) == ["None: all 5 test pictures are right"]
    assert shown(figure) == []


@pytest.mark.parametrize("count", [1, 5])
def test_explanations_lie_below_their_pictures(count):
    pixels = np.zeros((count, 7, 7, 3), "uint8")
    rows = slice(count)
    figure = certainty.explained(
        pixels, (pixels + 1, pixels + 2), TRUTH[rows], CHANCES[rows], NAMES, "why"
    )
    places = shown(figure)
    assert len(places) == 3 * count
    assert places[0][0] == places[count][0] == places[2 * count][0]
    first = [figure.axes[0].images[row * count].get_array() for row in range(3)]
    assert [picture[0, 0, 0] for picture in first] == [0, 1, 2]
    assert texts(figure)[1 + count] == "for cat: 60.0 %"
    assert texts(figure)[1 + 2 * count] == "for dog: 30.0 %"
    if count == 5:
        assert texts(figure)[1 + 2 * count + 2] == "for a lynx wit…: 45.0 %"
    assert max(ends(figure)) == ends(figure)[0]
    assert certainty.explanation(0, (4, 5)).endswith(
        "on 4 x 5 places: the least certain hits (no mistakes)"
    )
