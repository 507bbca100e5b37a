"""How good recipes are and how long they take: `python -m benchmarks.recipes FOLDER_OR_ARCHIVE`.

Runs the whole pipeline by `dvc repro` in a clone of the last commit, with the recipe's params and
the given images, one recipe after the other. `default` is params.yaml at 160 px with mirrored
images. Without --names it runs those that need no network besides the package registry. Writes
benchmarks/recipes.json.
"""

import argparse
import json
import tempfile
from pathlib import Path

from scipy.stats import binomtest

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools import recipe

DEFAULT = {"backbone": {"image_size": 160}, "augmentation": {"flip": "horizontal"}}
OFFLINE = ("default", "lite-224")


def params_of(name: str, source: Path) -> dict[str, dict]:
    """Return what recipe `name` on the images in `source` changes in params.yaml."""
    chosen = DEFAULT if name == "default" else recipe.load(name)
    return {**chosen, "data": {**chosen.get("data", {}), "source": str(source.resolve())}}


def repro(name: str, source: Path, folder: Path) -> tuple[float, float]:
    """Run recipe `name` in a clone in `folder`; return seconds to its test scores, and of all."""
    # A store of its own, which is empty, as on a first run.
    store = {"runtime": {"store": str(folder.parent / "store")}}
    clone.make(folder, params_of(name, source) | store)
    tested = clone.repro(folder, ["evaluate"])
    return tested, tested + clone.repro(folder)  # figures and exports


def measure(name: str, source: Path) -> dict[str, float]:
    """Return test accuracy, that of validation and test together, and minutes.

    The interval is Wilson's, of 95 %, on both together. Mind that validation chose the epoch.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        tested, seconds = repro(name, source, folder)
        metrics = folder / "metrics"
        split = json.loads((metrics / "split.json").read_text(encoding="utf-8"))["classes"].values()
        best = json.loads((metrics / "fine_tune/metrics.json").read_text(encoding="utf-8"))
        test = json.loads((metrics / "test.json").read_text(encoding="utf-8"))
    counts = {part: sum(each[part] for each in split) for part in ("validation", "test")}
    correct = round(best["val_acc"] * counts["validation"])
    correct += round(test["fine_tuned"]["accuracy"] * counts["test"])
    interval = binomtest(correct, sum(counts.values())).proportion_ci(0.95, "wilson")
    return {
        "head_test": test["head"]["accuracy"],
        "test": test["fine_tuned"]["accuracy"],
        "test_images": counts["test"],
        "validation_and_test": round(correct / sum(counts.values()), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "images": sum(counts.values()),
        "minutes_to_test": round(tested / 60, 2),
        "minutes": round(seconds / 60, 2),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--names", nargs="+", default=OFFLINE)
    options = parser.parse_args()
    if not options.source.exists():
        raise UserError(f"no such folder or archive: {options.source}")
    rows = {name: measure(name, options.source) for name in options.names}
    save("recipes", rows)
    print(block("recipes"))


if __name__ == "__main__":
    run(main)
