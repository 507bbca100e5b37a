"""What a sweep of the head costs: `python -m benchmarks.sweep FOLDER_OR_ARCHIVE`.

Runs the whole pipeline once by `dvc repro` in a clone of the last commit, at 160 px with mirrored
images. Then runs a sweep of twelve settings of the head, two at a time. Writes
benchmarks/sweep.json: minutes of both, and the ratio.
"""

import argparse
import subprocess
import tempfile
from pathlib import Path

from benchmarks import clone, recipes
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.project.cli import run

SWEEP = (
    "tools.sweep",
    "-S", "train_head.learning_rate=0.0003,0.001,0.003,0.01",
    "-S", "head.dropout=0.0,0.2,0.5",
    "--until", "train_head",
    "--jobs", "2",
)  # fmt: skip


def commit(folder: Path) -> None:
    who = ("-c", "user.name=benchmark", "-c", "user.email=benchmark@example.com")
    command = ["git", *who, "commit", "--quiet", "--all", "--message", "run"]
    subprocess.run(command, cwd=folder, check=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        store = {"runtime": {"store": str(Path(scratch) / "store")}}
        source = {"data": {"source": str(options.source.resolve())}}
        clone.make(folder, recipes.DEFAULT | source | store)
        whole = clone.repro(folder)
        commit(folder)
        sweep = clone.measure(folder, *SWEEP).seconds
    row = {
        "whole_minutes": round(whole / 60, 2),
        "sweep_minutes": round(sweep / 60, 2),
        "runs": 12,
        "ratio": round(sweep / whole, 2),
    }
    save("sweep", row)
    print(block("sweep"))


if __name__ == "__main__":
    run(main)
