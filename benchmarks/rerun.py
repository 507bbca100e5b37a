"""What a change costs: `python -m benchmarks.rerun FOLDER_OR_ARCHIVE`.

Runs the whole pipeline by `dvc repro` in a clone of the last commit, at 160 px with mirrored
pictures, with a feature store of its own, and then again after one change of each kind, on top of
those before. A twentieth of the pictures is left out at first and comes with the first change.
Writes benchmarks/rerun.json: seconds, and the share of the whole run's.
"""

import argparse
import json
import shutil
import tempfile
from pathlib import Path

from benchmarks import clone, recipes
from benchmarks.photos import unpacked
from stages.lib import layout
from stages.lib.errors import run

# After which change of params.yaml, and up to which stage ("" for all).
CHANGES = {
    "another head rate, to the head's score": ({"train_head": {"learning_rate": 0.002}}, "head"),
    "another head rate": ({"train_head": {"learning_rate": 0.003}}, ""),
    "another fine-tuning rate": ({"fine_tune": {"learning_rate": 0.0001}}, ""),
    "another split": ({"split": {"seed": 2}}, ""),
    "another backbone": ({"backbone": {"name": "EfficientNetLite1"}}, ""),
}


def hide(root: Path, folder: Path) -> list[tuple[Path, Path]]:
    """Move a twentieth of the pictures into `folder`; return each one's (old, new) place."""
    found = [each.path for each in layout.find(root)[0]]
    moved = [(path, folder / f"{number}{path.suffix}") for number, path in enumerate(found[::21])]
    folder.mkdir()
    for was, now in moved:
        shutil.move(was, now)
    return moved


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    options = parser.parse_args()
    with unpacked(options.source) as given, tempfile.TemporaryDirectory() as scratch:
        pictures, folder = Path(scratch) / "pictures", Path(scratch) / "clone"
        shutil.copytree(layout.find(given)[0][0].path.parents[2], pictures)
        hidden = hide(pictures, Path(scratch) / "hidden")
        source = {"data": {"source": str(pictures)}}
        store = {"runtime": {"store": str(Path(scratch) / "store")}}
        clone.make(folder, recipes.DEFAULT | source | store)
        to_head = clone.repro(folder, ["train_head"])
        whole = to_head + clone.repro(folder)
        seconds = {"everything": whole, "everything, to the head's score": to_head}
        seconds["nothing"] = clone.repro(folder)
        seconds["nothing: dvc status"] = clone.measure(folder, "dvc", "status", "-q").seconds
        for was, now in hidden:
            shutil.move(now, was)
        began = clone.repro(folder, ["--force", "--single-item", "download"])
        seconds["5 % more pictures"] = began + clone.repro(folder)
        for name, (changes, target) in CHANGES.items():
            clone.change(folder, changes)
            seconds[name] = clone.repro(folder, ["train_head"] if target else [])
    rows = {
        name: {
            "seconds": round(value, 1),
            "share": round(value / (to_head if "to the head" in name else whole), 3),
        }
        for name, value in seconds.items()
    }
    Path("benchmarks/rerun.json").write_text(json.dumps(rows, indent=2) + "\n")
    print("| a change of | seconds | share |\n| --- | --- | --- |")
    for name, row in rows.items():
        print(f"| {name} | {row['seconds']:.0f} | {row['share']:.0%} |")


if __name__ == "__main__":
    run(main)
