"""What a change costs: `python -m benchmarks.rerun FOLDER_OR_ARCHIVE`.

Runs the whole pipeline by `dvc repro` in a clone of the last commit, at 160 px with mirrored
pictures, with a feature store of its own, and then again after one change of each kind, on top of
those before. A twentieth of the pictures is left out at first and comes with the first change.
What is short is the median of three. With --to-head only what leads to the head's score is run.
Writes benchmarks/rerun.json: seconds, and the share of the whole run's.
"""

import argparse
import json
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import clone, recipes
from benchmarks.photos import unpacked
from benchmarks.timing import alternate
from stages.lib import layout
from stages.lib.errors import run

HEAD = ["train_head"]
ROUNDS = 3  # of what is short
RATES = (0.002, 0.004, 0.005)
CHANGES = {  # of params.yaml
    "another head rate": {"train_head": {"learning_rate": 0.003}},
    "another fine-tuning rate": {"fine_tune": {"learning_rate": 0.0001}},
    "another split": {"split": {"seed": 2}},
    "another backbone": {"backbone": {"name": "EfficientNetLite1"}},
}


def hide(root: Path, folder: Path) -> list[tuple[Path, Path]]:
    """Move a twentieth of the pictures into `folder`; return each one's (old, new) place."""
    found = [each.path for each in layout.find(root)[0]]
    moved = [(path, folder / f"{number}{path.suffix}") for number, path in enumerate(found[::21])]
    folder.mkdir()
    for was, now in moved:
        shutil.move(was, now)
    return moved


def head(folder: Path) -> float:
    """Return the median of what a head at another rate costs, up to its score."""
    seconds = []
    for rate in RATES:
        clone.change(folder, {"train_head": {"learning_rate": rate}})
        seconds.append(clone.repro(folder, HEAD))
    return statistics.median(seconds)


def nothing(folder: Path) -> dict[str, float]:
    """Return the medians of a run that has nothing to do, and of `dvc status`."""
    commands = {
        "nothing": lambda: clone.repro(folder),
        "nothing: dvc status": lambda: clone.measure(folder, "dvc", "status", "-q"),
    }
    return alternate(commands, ROUNDS).median().to_dict()


def to_the_end(folder: Path, hidden: list[tuple[Path, Path]]) -> dict[str, float]:
    """Return what more pictures, the `hidden` ones, and then other changes cost."""
    for was, now in hidden:
        shutil.move(now, was)
    began = clone.repro(folder, ["--force", "--single-item", "download"])
    seconds = {"5 % more pictures": began + clone.repro(folder)}
    for name, changes in CHANGES.items():
        clone.change(folder, changes)
        seconds[name] = clone.repro(folder)
    return seconds


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--to-head", action="store_true", help="a few minutes; writes no file")
    options = parser.parse_args()
    with unpacked(options.source) as given, tempfile.TemporaryDirectory() as scratch:
        pictures, folder = Path(scratch) / "pictures", Path(scratch) / "clone"
        shutil.copytree(layout.find(given)[0][0].path.parents[2], pictures)
        hidden = hide(pictures, Path(scratch) / "hidden")
        source = {"data": {"source": str(pictures)}}
        store = {"runtime": {"store": str(Path(scratch) / "store")}}
        clone.make(folder, recipes.DEFAULT | source | store)
        whole = to_head = clone.repro(folder, HEAD)
        seconds = {"everything, to the head's score": to_head}
        if not options.to_head:
            whole = to_head + clone.repro(folder)
            seconds |= {"everything": whole, **nothing(folder)}
        seconds["another head rate, to the head's score"] = head(folder)
        if not options.to_head:
            seconds |= to_the_end(folder, hidden)
    rows = {
        name: {
            "seconds": round(value, 1),
            "share": round(value / (to_head if "to the head" in name else whole), 3),
        }
        for name, value in seconds.items()
    }
    if not options.to_head:
        Path("benchmarks/rerun.json").write_text(json.dumps(rows, indent=2) + "\n")
    print("| a change of | seconds | share |\n| --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['seconds']:.1f} | {row['share']:.0%} |")


if __name__ == "__main__":
    run(main)
