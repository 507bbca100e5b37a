import pytest
from matplotlib import pyplot as plt
from PIL import Image

from thaw.figures import style


def test_save_gives_the_same_bytes(tmp_path):
    files = []
    for name in ("deep/a.png", "deep/b.png"):
        figure, axis = plt.subplots(figsize=(3, 2))
        axis.set_title("cost in $5 or $x_7, 猫")  # no formula, and a letter that the font lacks
        style.save(figure, tmp_path / name)
        assert figure.number not in plt.get_fignums()  # or they pile up
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    with Image.open(tmp_path / "deep/a.png") as image:
        assert image.size == (360, 240)


def test_fit_cuts_to_pixels():
    assert style.fit("lynx", 100, 8.5) == "lynx"
    wide, narrow = style.fit("W" * 90, 100, 8.5), style.fit("i" * 90, 100, 8.5)
    assert wide.endswith("W…")
    assert 3 * len(wide) < len(narrow)
    assert 90 < style.length(wide, 8.5) <= 100
    assert style.length("WW", 17) == pytest.approx(2 * style.length("WW", 8.5), rel=0.05)


def test_shorten():
    assert style.shorten("lynx", 4) == "lynx"
    assert style.shorten("lynxes", 4) == "lyn…"
    assert style.shorten("lynxes", 4, keep_end=True) == "…xes"
    assert style.shorten("a\nlong\tname", 20) == "a long name"
    assert style.shorten(" ", 4) == " "
