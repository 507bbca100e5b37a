import numpy as np
import pandas as pd
import pytest
from PIL import Image

from thaw.project import paths
from thaw.project.errors import UserError
from tools import crossval, learning_curve
from tools.experiments.rows import Rows
from tools.labelling import training_size
from tools.labelling.training_size import Forecast, Measured, PowerLaw

NAMES = ["a", "b", "c"]


def test_each_part_has_as_much_of_each_class_and_is_in_the_next():
    classes = np.repeat([0, 1, 2], [7, 60, 133])
    split = np.where(np.arange(200) % 5 == 4, "test", "train")
    rows = Rows(classes, NAMES, split, np.arange(200))
    parts = learning_curve.parts(rows, seed=0)
    train = np.flatnonzero(split == "train")
    assert parts[-1].tolist() == train.tolist()
    for fraction, part, larger in zip(learning_curve.FRACTIONS, parts, [*parts[1:], train]):
        assert set(part) <= set(larger)
        own = np.bincount(classes[train])
        expected = np.maximum(1, np.round(fraction * own))
        assert np.bincount(classes[part]).tolist() == expected.tolist()
    assert not np.array_equal(learning_curve.parts(rows, seed=1)[2], parts[2])


def test_it_scores_validation_images_by_heads_on_growing_parts(extracted, monkeypatch, capsys):
    asked = []

    def predict(rows, split, wanted, chosen):
        assert (rows.split[wanted] == "validation").all()
        left = rows.split[split == "left out"]
        assert (left == "train").all()
        assert (split[left.size == 0 or split != "left out"] != "").all()
        asked.append((int((split == "train").sum()), chosen["train_head"].seed))
        truth = rows.classes[wanted]
        wrong = np.arange(len(truth)) % 9 < 40 / asked[-1][0] ** 0.9
        return crossval.Predicted(np.eye(3)[np.where(wrong, (truth + 1) % 3, truth)], 1)

    monkeypatch.setattr(crossval, "predict", predict)
    monkeypatch.setattr(training_size, "RESAMPLES", 9)
    monkeypatch.setattr("sys.argv", ["learning_curve", "--draws", "2"])
    learning_curve.main()
    said = capsys.readouterr().out
    train = int((pd.read_csv(paths.SPLIT)["split"] == "train").sum())
    assert len(asked) == 12
    assert [count for count, _ in asked[:6]] == sorted(count for count, _ in asked[:6])
    assert (asked[5][0], asked[11][0]) == (train, train)
    assert asked[11][1] == asked[0][1] + 1
    header, *lines = said.splitlines()
    assert header.split() == ["training", "images", "validation", "accuracy"]
    assert [int(line.split()[0]) for line in lines[:6]] == [count for count, _ in asked[:6]]
    assert f"twice the training images ({2 * train}) would bring about +" in said
    with Image.open("learning_curve.png") as figure:
        assert figure.size == (1080, 528)


@pytest.mark.parametrize(
    ("lows", "end"),
    [
        ([0.01, 0.02, 0.0], "; 'b' and 'a' need them most"),
        ([0.0, 0.02, 0.0], "; 'b' needs them most"),
        ([-0.1, 0.0, -0.2], "; no class stands out"),
    ],
)
def test_the_sentence_says_what_is_gained_and_who_needs_it(lows, end):
    forecast = Forecast(PowerLaw(0.0, 1.0, 0.5), 0.0123, -0.002, 0.03, [])
    measured = Measured(np.array([10, 600]), np.ones((2, 3)), np.zeros(1), np.zeros((2, 1, 1)))
    classes = pd.DataFrame({"class": [1, 0, 2], "low": [lows[1], lows[0], lows[2]]})
    assert learning_curve.sentence(measured, forecast, classes, NAMES) == (
        f"twice the training images (1,200) would bring about +1.2 points of accuracy (-0.2 to 3.0)"
        f"{end}"
    )


def test_one_draw_is_refused(extracted, monkeypatch):
    monkeypatch.setattr("sys.argv", ["learning_curve", "--draws", "1"])
    with pytest.raises(UserError, match="--draws should be at least 2"):
        learning_curve.main()
