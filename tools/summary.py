"""Say how good the last run's classifier is, and where to look at it.

Reads metrics/test.json and prints to the terminal.
"""

import json

from stages.lib import paths, scores
from stages.lib.errors import UserError, run

PLOTS = "dvc_plots/index.html"


def main() -> None:
    if not paths.TEST.is_file():
        raise UserError(f"{paths.TEST} is missing; run `make run` or `dvc repro` first")
    print()
    print(scores.summary(json.loads(paths.TEST.read_text())))
    for name, place in {
        "figures": f"{paths.FIGURES}/ (learning curves, confusion matrix, test pictures)",
        "all plots": f"{PLOTS} (written by `dvc plots show`)",
        "classifier": f"{paths.EXPORT / 'model.keras'}, with labels.json",
    }.items():
        print(f"{name:<10}  {place}")


if __name__ == "__main__":
    run(main)
