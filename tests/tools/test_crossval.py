import numpy as np
import pandas as pd
import pytest

from stages.lib.errors import UserError
from tests.conftest import run_stage, set_params
from tools import crossval


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["crossval", *arguments])
    crossval.main()


def test_each_combination_gets_a_line_with_mean_and_spread(after_run, monkeypatch, capsys):
    called(
        monkeypatch, "--folds", "3", "-S", "head.dropout=0.0,0.3",
        "-S", "train_head.learning_rate=0.01,0.00001",
    )  # fmt: skip
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "head.dropout", "train_head.learning_rate", "accuracy", "loss", "best", "epoch",
    ]  # fmt: skip
    assert [tuple(map(float, line.split()[:2])) for line in lines] == [
        (0.0, 0.01), (0.0, 0.00001), (0.3, 0.01), (0.3, 0.00001),
    ]  # fmt: skip
    accuracies = [float(line.split()[2]) for line in lines]
    assert min(accuracies[0], accuracies[2]) > max(accuracies[1], accuracies[3])
    assert all(line.split()[3] == "±" for line in lines)


def test_the_held_out_and_the_test_pictures_have_no_say(after_run):
    """Features of a fold and of the test set that are no numbers would spoil any weight."""
    data = crossval.read_data()
    chosen = crossval.sections({})
    fold = crossval.folds(data, 3, seed=0)[0]
    before = crossval.score(data, fold, chosen)
    features = np.load("data/features/avg.npy")
    features[data.split == "test"] = np.nan
    np.save("data/features/avg.npy", features)
    assert crossval.score(data, fold, chosen) == before
    features[fold] = np.nan
    np.save("data/features/avg.npy", features)
    with pytest.raises(ValueError, match="NaN"):  # of the score, and not of the training
        crossval.score(data, fold, chosen)


def test_folds_part_the_training_rows_and_no_group():
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 200)
    classes = (groups % 3).astype("int32")
    split = np.where(groups % 10 < 7, "train", "validation")
    data = crossval.Data(classes, ["a", "b", "c"], split, groups)
    folds = crossval.folds(data, 4, seed=0)
    assert sorted(np.concatenate(folds)) == np.flatnonzero(split == "train").tolist()
    for number, fold in enumerate(folds):
        others = np.concatenate(folds[:number] + folds[number + 1 :])
        assert set(groups[fold]).isdisjoint(groups[others])
        assert set(classes[fold]) == {0, 1, 2}
    assert not np.array_equal(crossval.folds(data, 4, seed=1)[0], folds[0])


def test_views_are_of_training_folds_only(after_run):
    set_params(after_run / "params.yaml", {"extract": {"views": 2}})
    run_stage("views")
    data = crossval.read_data()
    fold = crossval.folds(data, 3, seed=0)[0]
    before = crossval.score(data, fold, crossval.sections({}))
    train = np.flatnonzero(data.split == "train")
    views = np.load("data/views/avg.npy")
    views[np.isin(train, fold)] = np.nan
    np.save("data/views/avg.npy", views)
    assert crossval.score(data, fold, crossval.sections({})) == before


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-S", "head.dropot=0.1"], r"\[head.dropot\]: unknown key; did you mean dropout\?"),
        (["-S", "head.dropout=2"], r"\[head.dropout\]: 2 does not fit"),
        (["-S", "head.dropout"], r"-S: Error parsing override 'head.dropout'; write section"),
        (["-S", "head.dropout=glob(*)"], "-S: Glob override .* is not supported"),
        (["-S", "head.dropout.more=1"], r"\[head.dropout.*\]"),
        (["-S", "backbone.name=VGG16"], "-S backbone.name: only head, loss, train_head can be"),
        (["-S", "nothing=1"], "-S nothing: only head, loss, train_head can be"),
        (["--folds", "1"], "--folds should be at least 2"),
        (["--folds", "50"], "--folds 50: class '.*' has only .* ask for fewer folds"),
        (["-S", "head.pooling=flatten"], "set extract.maps to true as well"),
    ],
)
def test_mistakes_are_one_line(after_run, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        called(monkeypatch, *arguments)


def test_before_any_run_it_says_what_to_do(project, monkeypatch):
    with pytest.raises(UserError, match=r"manifest.csv is missing; run `dvc repro`"):
        called(monkeypatch)


def test_without_changes_there_is_one_line():
    results = pd.DataFrame({"setting": [0, 0], "accuracy": [0.5, 1.0], "loss": [1.0, 2.0]})
    lines = crossval.table([{}], results.assign(epochs=[3, 4])).splitlines()
    assert lines[1].split() == ["0.7500", "±", "0.3536", "1.5000", "±", "0.7071", "3.5"]
