"""What a change costs: `python -m benchmarks.rerun FOLDER_OR_ARCHIVE`.

Runs the whole pipeline by `dvc repro` in a clone of the last commit, at 160 px with mirrored images
and a feature store of its own. Then runs it again after one change of each kind, on top of those
before. A twentieth of the images is left out at first and comes with the first change. What is
short is the median of three. With --to-head it runs only what leads to the head's score. Writes
benchmarks/rerun.json: seconds, and the fraction of a whole run.
"""

import argparse
import shutil
import statistics
import tempfile
from pathlib import Path

from benchmarks import clone, recipes
from benchmarks.photos import unpacked
from benchmarks.speed_tables import rerun as table
from benchmarks.timing import alternate, save
from thaw.labels import layout
from thaw.project.cli import run

HEAD = ["train_head"]
TO_HEAD = ", up to the head's score"
ROUNDS = 3  # of what is short
RATES = (0.002, 0.004, 0.005)
CHANGES = {  # of params.yaml
    "the head's learning rate": {"train_head": {"learning_rate": 0.003}},
    "the fine-tuning learning rate": {"fine_tune": {"learning_rate": 0.0001}},
    "the split": {"split": {"seed": 2}},
    "the backbone": {"backbone": {"name": "EfficientNetLite1"}},
}


def hide(root: Path, folder: Path) -> list[tuple[Path, Path]]:
    """Move a twentieth of the images into `folder`; return each one's (old, new) place."""
    found = [each.path for each in layout.find(root).found]
    moved = [(path, folder / f"{number}{path.suffix}") for number, path in enumerate(found[::21])]
    folder.mkdir()
    for was, now in moved:
        shutil.move(was, now)
    return moved


def head(folder: Path) -> float:
    """Return the median of what a head at another learning rate costs, up to its score."""
    seconds = []
    for rate in RATES:
        clone.change(folder, {"train_head": {"learning_rate": rate}})
        seconds.append(clone.repro(folder, HEAD))
    return statistics.median(seconds)


def nothing(folder: Path) -> dict[str, float]:
    """Return the medians of a run that has nothing to do, and of `dvc status`."""
    commands = {
        "nothing": lambda: clone.repro(folder),
        "nothing, `dvc status` alone": lambda: clone.measure(folder, "dvc", "status", "-q"),
    }
    return alternate(commands, ROUNDS).median().to_dict()


def to_the_end(folder: Path, hidden: list[tuple[Path, Path]]) -> dict[str, float]:
    """Return what more images, the `hidden` ones, and then other changes cost."""
    for was, now in hidden:
        shutil.move(now, was)
    began = clone.repro(folder, ["--force", "--single-item", "download"])
    seconds = {"5 % more images": began + clone.repro(folder)}
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
        images, folder = Path(scratch) / "images", Path(scratch) / "clone"
        shutil.copytree(layout.find(given).found[0].path.parents[2], images)
        hidden = hide(images, Path(scratch) / "hidden")
        source = {"data": {"source": str(images)}}
        store = {"runtime": {"store": str(Path(scratch) / "store")}}
        clone.make(folder, recipes.DEFAULT | source | store)
        whole = to_head = clone.repro(folder, HEAD)
        seconds = {f"everything{TO_HEAD}": to_head}
        if not options.to_head:
            whole = to_head + clone.repro(folder)
            seconds |= {"everything": whole, **nothing(folder)}
        seconds[f"the head's learning rate{TO_HEAD}"] = head(folder)
        if not options.to_head:
            seconds |= to_the_end(folder, hidden)
    rows = {
        name: {
            "seconds": round(value, 1),
            "fraction": round(value / (to_head if name.endswith(TO_HEAD) else whole), 3),
        }
        for name, value in seconds.items()
    }
    if not options.to_head:
        save("rerun", rows)
    print(table({"results": rows}))


if __name__ == "__main__":
    run(main)
