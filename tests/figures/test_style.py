import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from matplotlib import pyplot as plt
from PIL import Image

from tests.figures.test_fonts import has  # noqa: F401  a fixture
from thaw.figures import style


def test_save_gives_the_same_bytes(tmp_path):
    files = []
    for name in ("deep/a.png", "deep/b.png"):
        figure, axis = plt.subplots(figsize=(3, 2))
        axis.set_title("cost in $5 or $x_7")  # no formula
        style.save(figure, tmp_path / name)
        assert figure.number not in plt.get_fignums()  # or they pile up
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    with Image.open(tmp_path / "deep/a.png") as image:
        assert image.size == (360, 240)


def test_fit_cuts_to_pixels():
    assert style.fit("lynx", 100, 8.5) == "lynx"
    wide, narrow = style.fit("W" * 90, 100, 8.5), style.fit("i" * 90, 100, 8.5)
    assert "W…W" in wide
    assert 2.5 * len(wide) < len(narrow)
    assert 85 < style.length(wide, 8.5) <= 100
    assert style.fit("W" * 90, 1, 8.5) == "W…"
    assert style.length("WW", 17) == pytest.approx(2 * style.length("WW", 8.5), rel=0.05)
    assert style.fit("a\nlong\tname", 200, 8.5) == "a long name"
    assert style.fit(" ", 100, 8.5) == " "
    assert style.fit("a/very/long/path/to/some/file 17.jpg", 110, 8.5) == "a/very/…17.jpg"


CLASSES = sorted(
    [
        *[f"species {number:04} of a genus with a long name" for number in range(150)],
        *[f"{'the same beginning ' * 5}{number}" for number in range(30)],
        "the same",
    ]
)


@pytest.mark.parametrize("pixels", [60, 130])
def test_long_names_stay_apart_where_there_is_room_for_little(pixels):
    names = style.class_names(CLASSES)
    assert names == CLASSES
    cut = [style.fit(name, pixels, 8.5) for name in names]
    assert len(set(cut)) == len(cut)
    assert max(style.length(name, 8.5) for name in cut) <= pixels


def test_what_tells_a_name_from_its_neighbours_is_kept():
    names = style.class_names(
        ["Tomato___Tomato_mosaic_virus", "Tomato___Tomato_yellow_leaf_curl_virus"]
    )
    assert [style.fit(name, 90, 8.5) for name in names] == ["…mosaic_…", "…yellow_l…"]
    assert style.fit(names[0], 165, 8.5) == "Tomato___Tomato_m…"
    assert style.fit(names[0], 400, 8.5) == names[0]
    names = style.class_names([f"{'w' * 20} {number}" for number in range(3)])
    assert [style.fit(name, 80, 8.5) for name in names] == [
        f"…wwww {number}" for number in range(3)
    ]


def test_names_that_no_font_can_draw_are_numbered_and_listed(has, tmp_path):  # noqa: F811
    has(Thai="แมว")
    classes = ["cat", "แมว", "猫", "猫, 犬"]
    assert style.class_names(classes) == ["cat", "แมว", "#3", "#4"]
    said = style.write_legend(tmp_path, classes)
    assert said == (
        "2 of 4 class names have letters that no font here has: figures number them, and "
        "classes.csv beside the figures lists them. `make fonts` installs fonts."
    )
    table = pd.read_csv(tmp_path / "classes.csv", dtype=str)
    assert table.to_dict("list") == {"number": ["#3", "#4"], "class": ["猫", "猫, 犬"]}
    assert style.fit("cats/猫.jpg", 200, 8.5) == "cats/?.jpg"


def test_where_all_names_are_drawn_there_is_no_legend(has, tmp_path):  # noqa: F811
    has(Chinese="猫犬")
    assert style.class_names(["cat", "犬", "猫"]) == ["cat", "犬", "猫"]
    assert style.write_legend(tmp_path, ["cat", "犬", "猫"]) == ""
    assert list(tmp_path.glob("*.csv")) == []


def drawn(text: str, path) -> np.ndarray:
    figure = plt.figure(figsize=(3, 0.5))
    figure.text(0.02, 0.3, text, fontsize=12)
    style.save(figure, path)
    with Image.open(path) as image:
        return np.asarray(image)[..., 0]


def test_letters_are_drawn_by_the_font_that_has_them_without_a_warning(has, tmp_path):  # noqa: F811
    has(Chinese="猫")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        [name] = style.class_names(["猫"])
        ink = (drawn(style.fit(name, 100, 12), tmp_path / "a.png") < 128).sum(axis=1)
    rows = ink[ink > 0]
    assert all(above <= below for above, below in pairwise(rows))  # a triangle, not a box
    assert rows[-1] > 3 * rows[0]


def test_a_name_from_right_to_left_turns_nothing_around_it(tmp_path):
    """The actual class stays left of the arrow that leads to the predicted one."""
    cat, dog = (style.fit(name, 200, 12) for name in ("قطة سوداء", "כלב"))
    pixels = drawn(f"{cat} → {dog}: 5", tmp_path / "a.png")
    alone = drawn(cat, tmp_path / "b.png")
    width = int(np.flatnonzero((alone < 128).any(axis=0)).max()) - 2
    assert (pixels[:, :width] == alone[:, :width]).all()


def test_marks_that_would_turn_a_line_around_are_left_out():
    assert style.fit("a\u202eb\u2066c\u200dd", 200, 12) == "abc\u200dd"
