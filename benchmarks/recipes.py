"""How good recipes are and how long they take: `python -m benchmarks.recipes FOLDER_OR_ARCHIVE`.

Runs the whole pipeline by `dvc repro` in a clone of the last commit with the recipe's params and
the given pictures, one recipe after the other; `default` is params.yaml at 160 px with mirrored
pictures. Without --names those that need no network besides the package registry. Writes
benchmarks/recipes.json.
"""

import argparse
import json
import tempfile
from pathlib import Path

from scipy.stats import binomtest

from benchmarks import clone
from stages.lib.errors import UserError, run
from tools import recipe

DEFAULT = {"backbone": {"image_size": 160}, "augmentation": {"flip": "horizontal"}}
OFFLINE = ("default", "lite-224")


def repro(name: str, source: Path, folder: Path) -> tuple[float, float]:
    """Run recipe `name` in a clone in `folder`; return seconds to its test scores, and of all."""
    chosen = DEFAULT if name == "default" else recipe.load(name)
    chosen = {**chosen, "data": {**chosen.get("data", {}), "source": str(source.resolve())}}
    chosen["runtime"] = {"store": None}  # which has the features of an earlier run
    clone.make(folder, chosen)
    tested = clone.repro(folder, ["evaluate"])
    return tested, tested + clone.repro(folder)  # figures and exports


def measure(name: str, source: Path) -> dict[str, float]:
    """Return the fine-tuned network's accuracy on test, and on validation and test, with seconds.

    The interval is Wilson's, of 95 %, on both together; mind that validation chose the epoch.
    """
    with tempfile.TemporaryDirectory() as scratch:
        folder = Path(scratch) / "clone"
        tested, seconds = repro(name, source, folder)
        metrics = folder / "metrics"
        split = json.loads((metrics / "split.json").read_text())["classes"].values()
        best = json.loads((metrics / "fine_tune/metrics.json").read_text())["fine_tune"]
        test = json.loads((metrics / "test.json").read_text())
    counts = {part: sum(each[part] for each in split) for part in ("validation", "test")}
    hits = round(best["val_accuracy"] * counts["validation"])
    hits += round(test["fine_tuned"]["accuracy"] * counts["test"])
    interval = binomtest(hits, sum(counts.values())).proportion_ci(0.95, "wilson")
    return {
        "head_test": test["head"]["accuracy"],
        "test": test["fine_tuned"]["accuracy"],
        "test_pictures": counts["test"],
        "both": round(hits / sum(counts.values()), 4),
        "low": round(interval.low, 4),
        "high": round(interval.high, 4),
        "pictures": sum(counts.values()),
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
    Path("benchmarks/recipes.json").write_text(json.dumps(rows, indent=2) + "\n")
    print("| recipe | test, head | test, fine-tuned | validation and test | minutes |")
    print("| --- | --- | --- | --- | --- |")
    for name, row in rows.items():
        both = "{both:.3f} ({low:.3f} to {high:.3f})".format(**row)
        print(
            f"| {name} | {row['head_test']:.3f} | {row['test']:.3f} | {both} | {row['minutes']} |"
        )


if __name__ == "__main__":
    run(main)
