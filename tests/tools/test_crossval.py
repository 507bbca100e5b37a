import numpy as np
import pandas as pd
import pytest

from tests.tools.conftest import save_features
from thaw.project import files, paths
from thaw.project.errors import UserError
from tools import crossval
from tools.experiments.rows import Rows, read_rows


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["crossval", *arguments])
    crossval.main()


def test_each_combination_gets_a_line_with_mean_and_spread(extracted, monkeypatch, capsys):
    def score(rows, held_out, chosen):
        accuracy = chosen["head"].dropout + chosen["train_head"].learning_rate
        return {"accuracy": accuracy, "loss": float(len(held_out)), "epochs": 3}

    monkeypatch.setattr(crossval, "score", score)
    called(
        monkeypatch, "--folds", "2", "--repeats", "2", "-S", "head.dropout=0.0,0.3",
        "-S", "train_head.learning_rate=0.1,0.2",
    )  # fmt: skip
    header, *lines = capsys.readouterr().out.splitlines()
    assert header.split() == [
        "head.dropout", "train_head.learning_rate", "accuracy", "loss", "best", "epoch",
    ]  # fmt: skip
    assert [line.split()[:4] for line in lines] == [
        ["0.0", "0.1", "0.1000", "±"], ["0.0", "0.2", "0.2000", "±"],
        ["0.3", "0.1", "0.4000", "±"], ["0.3", "0.2", "0.5000", "±"],
    ]  # fmt: skip
    assert {" ".join(line.split()[5:]) for line in lines} == {"11.5000 ± 0.5774 3.0"}


def test_the_held_out_and_the_test_images_have_no_say(extracted):
    """Features of a fold and of the test set that are no numbers would spoil any weight."""
    rows, chosen = read_rows(), crossval.sections({})
    fold = crossval.folds(rows, 3, seed=0)[0]
    before = crossval.score(rows, fold, chosen)
    features = np.load(paths.FEATURES / "avg.npy")
    features[rows.split == "test"] = np.nan
    np.save(paths.FEATURES / "avg.npy", features)
    assert crossval.score(rows, fold, chosen) == before
    features[fold] = np.nan
    np.save(paths.FEATURES / "avg.npy", features)
    with pytest.raises(ValueError, match="NaN"):  # of the score, and not of the training
        crossval.score(rows, fold, chosen)


def test_folds_part_the_training_rows_and_no_group():
    random = np.random.default_rng(0)
    groups = random.integers(0, 60, 200)
    classes = (groups % 3).astype("int32")
    split = np.where(groups % 10 < 7, "train", "validation")
    rows = Rows(classes, ["a", "b", "c"], split, groups)
    folds = crossval.folds(rows, 4, seed=0)
    assert sorted(np.concatenate(folds)) == np.flatnonzero(split == "train").tolist()
    for number, fold in enumerate(folds):
        others = np.concatenate(folds[:number] + folds[number + 1 :])
        assert set(groups[fold]).isdisjoint(groups[others])
        assert set(classes[fold]) == {0, 1, 2}
    assert not np.array_equal(crossval.folds(rows, 4, seed=1)[0], folds[0])


@pytest.mark.slow
def test_augmented_copies_are_of_training_folds_only(extracted):
    rows, chosen = read_rows(), crossval.sections({})
    fold = crossval.folds(rows, 3, seed=0)[0]
    alone = crossval.score(rows, fold, chosen)
    train = np.flatnonzero(rows.split == "train")
    copies = np.repeat(np.load(paths.FEATURES / "avg.npy")[train, None], 2, axis=1) + 1
    provenance = {"backbone": "none", "split_sha256": files.sha256(paths.SPLIT), "copies": 2}
    save_features(paths.AUGMENTED_COPIES, copies, provenance)
    before = crossval.score(rows, fold, chosen)
    assert before != alone
    copies[np.isin(train, fold)] = np.nan
    save_features(paths.AUGMENTED_COPIES, copies, provenance)
    assert crossval.score(rows, fold, chosen) == before


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["-S", "head.dropot=0.1"], "head.dropot"),
        (["-S", "head.dropout=2"], "head.dropout"),
        (["-S", "head.dropout.more=1"], "head.dropout"),
        (["-S", "head.pooling=flatten"], "head.pooling"),
    ],
)
def test_params_that_do_not_fit_are_named(extracted, monkeypatch, arguments, key):
    with pytest.raises(UserError) as raised:
        called(monkeypatch, *arguments)
    assert raised.value.key == key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-S", "head.dropout"], r"-S: Error parsing override 'head.dropout'; write section"),
        (["-S", "head.dropout=glob(*)"], "-S: Glob override .* is not supported"),
        (["-S", "backbone.name=VGG16"], "-S backbone.name: only head, loss, train_head can be"),
        (["-S", "nothing=1"], "-S nothing: only head, loss, train_head can be"),
        (["--folds", "1"], "--folds should be at least 2"),
        (["--folds", "50"], "--folds 50: class '.*' has only .* ask for fewer folds"),
    ],
)
def test_mistakes_are_one_line(extracted, monkeypatch, arguments, message):
    with pytest.raises(UserError, match=message):
        called(monkeypatch, *arguments)


def test_before_any_run_it_says_what_to_do(project, monkeypatch):
    with pytest.raises(UserError, match=r"manifest.csv is missing; run `dvc repro`"):
        called(monkeypatch)


def test_without_changes_there_is_one_line():
    results = pd.DataFrame({"setting": [0, 0], "accuracy": [0.5, 1.0], "loss": [1.0, 2.0]})
    lines = crossval.table([{}], results.assign(epochs=[3, 4])).splitlines()
    assert lines[1].split() == ["0.7500", "±", "0.3536", "1.5000", "±", "0.7071", "3.5"]
