"""Say how good the last run's classifier is, what it cost, and where to look at it.

Reads metrics/test.json, metrics/split.json, data/manifest.csv where it is there, and this machine's
notes of how long stages took; prints to the terminal.
"""

import textwrap
from pathlib import Path

import pandas as pd

from thaw.data import manifest, value_range
from thaw.evaluation import metrics
from thaw.evaluation.run_result import RunResult
from thaw.images.settings import Decoding
from thaw.project import params, paths, timings
from thaw.project.cli import run
from thaw.project.errors import UserError

PLOTS = "dvc_plots/index.html"
WIDTH = 96  # letters of a line
LABEL = 12  # letters before each
SPLITS = (*manifest.SPLITS, "excluded")


def images() -> str:
    """Return how many images and classes there are, and the images in each split."""
    counts = pd.DataFrame(RunResult().split_report["classes"]).T
    sums = counts.sum()
    splits = ", ".join(f"{sums[name]:,} {name}" for name in SPLITS if sums[name])
    return f"{counts.to_numpy().sum():,} of {len(counts)} classes: {splits}"


def quarantined() -> str:
    """Return how many images were left out as invalid, "" for none."""
    counts = RunResult().split_report["images"]
    said = f"{counts['quarantined']:,} of {counts['found']:,} images were invalid and left out"
    return f"{said}; {paths.QUARANTINE} has the reasons" if counts["quarantined"] else ""


def corrected() -> str:
    """Return how many labels were corrected and images left out by a person, "" for none."""
    report = RunResult().split_report
    counts = report["relabelled"]
    relabelled = ", ".join(f"{counts[part]:,} {part}" for part in SPLITS if counts[part])
    left_out = report["images"]["left_out"]
    said = [f"other labels: {relabelled}"] if relabelled else []
    said += [f"{left_out:,} left out"] if left_out else []
    return f"{'; '.join(said)} ({paths.CORRECTED})" if said else ""


def of_values() -> str:
    """Return how images of 16 bits a value were decoded, "" where there are none or no manifest."""
    if not paths.MANIFEST.is_file():
        return ""
    return value_range.summary(RunResult().rows, params.load(Decoding, "images"))


def seconds() -> str:
    """Return the seconds that each stage took when it was last run in this folder, "" for none."""
    known = timings.last(1, Path.cwd())
    stages = [name for name in params.read(Path("dvc.yaml"))["stages"] if name in known]
    each = ", ".join(f"{name} {known[name]:.0f}" for name in stages)
    total = sum(known[name] for name in stages)
    return f"{total:.0f} s, stages when last run: {each}" if each else ""


def main() -> None:
    if not paths.TEST.is_file():
        raise UserError(f"{paths.TEST} is missing; run `make run` or `dvc repro` first")
    print()
    print(metrics.summary(RunResult().test_scores))
    print()
    for name, said in {
        "images": images(),
        "quarantined": quarantined(),
        "corrected": corrected(),
        "16 bits": of_values(),
        "time": seconds(),
        "figures": f"{paths.FIGURES}/; `make report` shows them on one page",
        "all plots": f"{PLOTS}, written by `dvc plots show`",
        "classifier": f"{paths.EXPORT / 'model.keras'}, with labels.json",
    }.items():
        if said:
            lines = textwrap.wrap(said, WIDTH - LABEL, break_on_hyphens=False)
            print(textwrap.indent("\n".join(lines), " " * LABEL).replace(" " * len(name), name, 1))


if __name__ == "__main__":
    run(main)
