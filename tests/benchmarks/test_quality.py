import json
import sys
from pathlib import Path

import pandas as pd
import pytest

from benchmarks import clone, quality, timing
from thaw.project.errors import UserError


class Measured(list):
    """The runs that were measured; it is killed in the run number `stop`, from 0 on."""

    stop: int | None = None

    def __call__(self, archive: Path, wanted: quality.Run) -> dict:
        if len(self) == self.stop:
            raise KeyboardInterrupt
        self.append(wanted)
        row = {**wanted._asdict(), "accuracy": 0.9, "test_images": 17}
        return row | {"seconds": 60.0 * wanted.seed, "processor_seconds": 30.0}


@pytest.fixture
def measured(tmp_path, monkeypatch):
    """Archives cats.zip and dogs.zip in the current folder, and nothing that really runs."""
    monkeypatch.chdir(tmp_path)
    for name in ("cats.zip", "dogs.zip", "benchmarks"):
        (tmp_path / name).mkdir()
    monkeypatch.setattr(timing, "commit", lambda: "abc1234")
    monkeypatch.setattr(quality, "is_current", lambda commit: commit == "abc1234")
    found = Measured()
    monkeypatch.setattr(quality, "measure", found)
    return found


def call(monkeypatch, *words: str) -> None:
    monkeypatch.setattr(sys, "argv", ["quality.py", "cats.zip", "dogs.zip", *words])
    quality.main()


def saved() -> dict:
    return json.loads(Path("benchmarks/quality.json").read_text())


def test_a_killed_benchmark_goes_on(measured, monkeypatch, capsys):
    measured.stop = 5
    with pytest.raises(KeyboardInterrupt):
        call(monkeypatch, "--seeds", "1", "2", "3")
    assert len(saved()["results"]) == 5
    measured.stop = None
    call(monkeypatch, "--seeds", "1", "2", "3")
    assert len(measured) == len(set(measured)) == 2 * 3 * 3
    assert [quality.Run(*list(row.values())[:3]) for row in saved()["results"]] == measured
    assert measured[:3] == [
        ("cats", "default", 1),
        ("dogs", "default", 1),
        ("cats", "best", 1),
    ]
    assert saved()["command"] == "python -m benchmarks.quality cats.zip dogs.zip --seeds 1 2 3"
    assert (saved()["commit"], saved()["seconds"]) == ("abc1234", 6 * (60 + 120 + 180))
    assert capsys.readouterr().out.endswith("nothing is left\n")


def test_the_command_is_of_what_was_measured(measured, monkeypatch):
    """benchmarks.all runs it again, and takes it to last as long as the rows did."""
    call(monkeypatch, "--seeds", "7", "--recipes", "tutorial", "default")
    assert saved()["command"].endswith("cats.zip dogs.zip --recipes default tutorial --seeds 7")
    call(monkeypatch, "--seeds", "7", "--recipes", "best")
    assert saved()["command"].endswith("cats.zip dogs.zip --seeds 7")
    call(monkeypatch)
    assert saved()["command"].endswith("dogs.zip --seeds 1 2 3 4 5 7")


def test_none_begins_that_took_longer_than_what_is_left(measured, monkeypatch, capsys):
    call(monkeypatch, "--seeds", "1", "--recipes", "tutorial")
    call(monkeypatch, "--seeds", "1", "2", "--recipes", "tutorial", "default", "--minutes", "0.9")
    assert measured[2:] == [("cats", "default", 1)]  # of the other set and seed it is known now
    assert capsys.readouterr().out.endswith("5 left\n")


def test_runs_of_earlier_code_are_made_again_or_kept(measured, monkeypatch):
    call(monkeypatch, "--seeds", "1", "--recipes", "best")
    monkeypatch.setattr(timing, "commit", lambda: "def5678")
    monkeypatch.setattr(quality, "is_current", lambda commit: commit == "def5678")
    call(monkeypatch, "--seeds", "1", "2", "--recipes", "best", "--keep")
    assert [row["commit"] for row in saved()["results"]] == ["abc1234"] * 2 + ["def5678"] * 2
    assert saved()["commit"] is None
    call(monkeypatch, "--seeds", "1", "2", "--recipes", "best")
    assert len(measured) == 6
    assert saved()["commit"] == "def5678"


def test_what_is_not_committed_or_not_there_is_said_before_anything_runs(measured, monkeypatch):
    monkeypatch.setattr(timing, "commit", lambda: "abc1234-dirty")
    with pytest.raises(UserError, match="not all is committed"):
        call(monkeypatch)
    Path("dogs.zip").rmdir()
    with pytest.raises(UserError, match=r"no such folder or archive: dogs\.zip"):
        call(monkeypatch)
    assert measured == []


@pytest.fixture
def cloned(monkeypatch):
    """What clones are made of and run in place of doing so; they leave a split and test scores."""
    calls = []

    def make(folder: Path, changes: dict) -> None:
        calls.append(changes)
        (folder / "data/raw/pets").mkdir(parents=True)
        (folder / "metrics").mkdir()

    def measure(folder: Path, *words: str, cache: Path) -> clone.Cost:
        calls.append(words)
        parts = ["train", "train", "validation", "test", "test"]
        names = [f"pets/{number}.jpg" for number in range(5)]
        for name in names:
            (folder / "data/raw" / name).write_text(name)
        rows = pd.DataFrame({"path": names, "label": list("aabab"), "split": parts})
        rows.to_csv(folder / "data/split.csv", index=False)
        scores = {"fine_tuned": {"accuracy": 0.91}, "head": {"accuracy": 0.8}}
        (folder / "metrics/test.json").write_text(json.dumps(scores))
        if "--out" in words:
            parted, out = Path(words[1]), Path(words[-1])
            calls.append({file.read_text(): file for file in parted.rglob("*.jpg")})
            out.write_text(json.dumps({"accuracy": 0.5}))
        return clone.Cost(33.31, 100, 55.52)

    monkeypatch.setattr(clone, "make", make)
    monkeypatch.setattr(clone, "measure", measure)
    return calls


@pytest.mark.parametrize("recipe", ["default", "best"])
def test_a_seed_is_that_of_the_split_and_of_the_training(cloned, recipe):
    row = quality.measure(Path("pets.zip"), quality.Run("pets", recipe, 3))
    changes, words = cloned
    assert [changes[name]["seed"] for name in ("split", "train_head", "fine_tune")] == [3, 3, 3]
    assert Path(changes["data"]["source"]).name == "pets.zip"
    assert words == ("dvc", "repro", "--quiet", "evaluate")
    assert row == {
        "images": "pets",
        "recipe": recipe,
        "seed": 3,
        "accuracy": 0.91,
        "test_images": 2,
        "seconds": 33.3,
        "processor_seconds": 55.5,
    }


def test_the_tutorial_gets_the_same_parts(cloned):
    row = quality.measure(Path("pets.zip"), quality.Run("pets", "tutorial", 3))
    changes, split, words, files = cloned
    assert changes["split"] == {"seed": 3}
    assert split == ("dvc", "repro", "--quiet", "split")
    assert words[0] == "benchmarks.tutorial_script"
    assert words[2:4] == ("--seed", "3")
    found = {name: "/".join(file.parts[-3:-1]) for name, file in files.items()}
    assert [*dict(sorted(found.items())).values()] == [
        "train/a",
        "train/a",
        "validation/b",
        "test/a",
        "test/b",
    ]
    assert (row["accuracy"], row["seconds"]) == (0.5, 33.3)
