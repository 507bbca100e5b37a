import numpy as np
import pandas as pd
from PIL import Image

from stages.lib import figures


def curves(epochs: int) -> pd.DataFrame:
    values = np.linspace(1, 0.1, epochs + 1)
    names = ["train/loss", "validation/loss", "train/accuracy", "validation/accuracy"]
    return pd.DataFrame({name: values for name in names})


def test_learning_curves_go_on_where_the_head_stopped():
    figure = figures.learning_curves(curves(5), curves(3))
    for axis in figure.axes:
        head, tuned = axis.lines[0], axis.lines[1]
        assert (head.get_xdata()[0], head.get_xdata()[-1]) == (0, 5)
        assert (tuned.get_xdata()[0], tuned.get_xdata()[-1]) == (5, 8)
        assert axis.lines[-1].get_xdata() == [5, 5]
        assert "fine-tuning starts" in [text.get_text() for text in axis.texts]


def test_confusion_matrix_has_actual_in_rows():
    truth, guess = np.array([0, 0, 0, 1, 2]), np.array([0, 0, 2, 1, 2])
    figure = figures.confusion_matrix(truth, guess, ["a", "b", "c"])
    axis = figure.axes[0]
    numbers = {text.get_position(): text.get_text() for text in axis.texts}
    assert numbers == {(0, 0): "2", (2, 0): "1", (1, 1): "1", (2, 2): "1"}
    assert axis.get_title() == "4 of 5 right"


def test_confusion_matrix_of_many_classes_has_no_numbers():
    truth = np.arange(30)
    figure = figures.confusion_matrix(truth, truth, [str(n) for n in truth])
    assert len(figure.axes[0].texts) == 0


def test_a_class_name_may_have_dollar_signs(tmp_path):
    names = ["$5_$x", "b"]
    figure = figures.confusion_matrix(np.array([0, 1]), np.array([0, 1]), names)
    figures.save(figure, tmp_path / "a.png")
    pixels = np.zeros((2, 7, 5, 3), "uint8")
    figures.save(
        figures.sheet(pixels, np.array([0, 1]), np.array([0, 0]), names), tmp_path / "b.png"
    )


def test_sheet_names_mistakes():
    pixels = np.zeros((9, 7, 5, 3), "uint8")
    truth, guess = np.arange(9) % 3, np.arange(9) % 3
    guess[4] = 0
    names = ["cat", "a very long name of a class", "dog"]
    titles = [axis.get_title() for axis in figures.sheet(pixels, truth, guess, names).axes]
    assert titles[:3] == ["cat", "a very long nam…", "dog"]
    assert titles[4] == "a very long nam…\ntaken for cat"
    assert titles[9:] == [""] * 7  # two rows of eight places


def test_the_first_of_each_class_come_first():
    truth = np.array([0, 0, 0, 2, 2, 1])
    assert figures.first_of_each_class(truth, 5).tolist() == [0, 5, 3, 1, 4]
    assert len(figures.first_of_each_class(truth, 99)) == 6


def test_save_gives_the_same_bytes(tmp_path):
    files = []
    for name in ("deep/a.png", "deep/b.png"):
        figures.save(figures.learning_curves(curves(5), curves(3)), tmp_path / name)
        files.append((tmp_path / name).read_bytes())
    assert files[0] == files[1]
    with Image.open(tmp_path / "deep/a.png") as picture:
        assert picture.size == (1080, 432)
