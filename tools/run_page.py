"""The last run on one page, with all its figures: `make report`.

Reads params.yaml, dvc.lock, metrics/ and this machine's notes of how long stages took. Writes
run.html, which holds its images and needs no network, and opens it where there is a browser.
"""

import argparse
import json
import os
import sys
import webbrowser
from pathlib import Path

import pandas as pd

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.evaluation import class_scores, metrics
from thaw.evaluation.run_result import RunResult
from thaw.export import markdown
from thaw.figures import style
from thaw.project import files, paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools import summary
from tools.reports import captions, html
from tools.revisions import dvc_lock, run_revision
from tools.revisions.run_revision import Revision

PAGE = Path("run.html")
CLASSES = 40  # at most, by name in the table of images
BASELINE = (
    "Nearest neighbours and a ridge probe took the frozen features as they are, without training. "
)


def compose(found: Revision) -> str:
    """Return the page as Markdown, its figures named by path."""
    best = found.test["fine_tuned"]
    interval = f"{best['accuracy_low']:.3f} to {best['accuracy_high']:.3f}"
    params = [
        (markdown.code_cell(key), markdown.code_cell(_written(value)))
        for key, value in found.params.items()
    ]
    parts = [
        f"# Test accuracy {best['accuracy']:.3f} ({interval})",
        f"## Scores\n\n{scores(found.test)}",
        f"## Figures\n\n{figures(found)}",
        f"## Images\n\n{images(found.counts, recall(found))}\n\n{unused()}",
        f"## Time\n\n{summary.seconds() or 'No stage was run on this machine.'}",
        f"## Params\n\n{markdown.table(pd.DataFrame(params, columns=['param', 'value']))}",
    ]
    return "\n\n".join(parts) + "\n"


def _written(value: object) -> str:
    """Return a value as params.yaml has it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def scores(test: dict[str, dict[str, float]]) -> str:
    """Return a table of the test scores of all models, and what fine-tuning gained."""
    columns = {"accuracy": "accuracy", "loss": "loss", "macro_f1": "macro F1", "roc_auc": "ROC AUC"}
    rows = []
    for model, found in metrics.models(test).items():
        row = {"test": model}
        row |= {name: f"{found[key]:.4f}" if key in found else "" for key, name in columns.items()}
        row["accuracy"] += f" ({found['accuracy_low']:.4f} to {found['accuracy_high']:.4f})"
        rows.append(row)
    gain = test["gain"]
    return (
        f"{markdown.table(pd.DataFrame(rows))}\n\n{BASELINE if 'baseline' in test else ''}"
        f"Fine-tuning fixes {gain['fixed']} test images and breaks {gain['regressed']}; two models "
        f"that differ by chance alone would differ by as much with probability "
        f"{gain['p_value']:.3g} (McNemar's test)."
    )


def figures(found: Revision) -> str:
    """Return all figures with their captions; of one that is missing, how to get it.

    Where they are of another run, that is said first.
    """
    parts = []
    try:
        dvc_lock.check("these figures", found.lock, None, "figures", "`dvc repro` draws them anew")
    except UserError as error:
        parts.append(f"**They are not of this run**: {error}.")
    legend = paths.FIGURES / style.LEGEND
    if legend.is_file():
        parts.append(captions.legend(run_revision.read_table(legend)))
    for path, caption in captions.CAPTIONS.items():
        title = captions.title(path)
        shown = f"![{title}]({path.as_posix()})"
        if not path.is_file():
            shown = f"`{path}` is missing; `dvc pull` or `dvc repro` brings it."
        parts.append(f"### {title}\n\n{caption}\n\n{shown}")
    return "\n\n".join(parts)


def recall(found: Revision) -> list[str]:
    """Return the fine-tuned network's recall with its interval, of each class of `found.counts`."""
    names = pd.Index(found.counts.index)
    truth, guess = (names.get_indexer(found.confusion[each]) for each in ("actual", "predicted"))
    confidence = found.params["evaluate.confidence"]
    table = class_scores.by_class(truth, {"of": guess}, list(names), confidence)
    columns = table[["of", "of_low", "of_high"]].to_numpy()
    return ["{:.3f} ({:.3f} to {:.3f})".format(*row) for row in columns]


def images(counts: pd.DataFrame, recall: list[str]) -> str:
    """Return a table of images by class (rows of `counts`) and split, with their sum and recall.

    Of more than CLASSES classes it has the largest and the smallest.
    """
    counts = counts[[*summary.SPLITS]]
    of_class = pd.Series(recall, counts.index)
    shown, rest, half = counts, counts.iloc[:0], CLASSES // 2
    if len(counts) > CLASSES:
        ordered = counts.loc[counts.sum(axis=1).sort_values(ascending=False, kind="stable").index]
        shown, rest = pd.concat([ordered.head(half), ordered.tail(half)]), ordered.iloc[half:-half]
    rows = [
        (markdown.code_cell(name), *row, of_class[name])
        for name, row in zip(shown.index, shown.to_numpy())
    ]
    if len(rest):
        rows.insert(half, (f"{len(rest):,} more classes", *rest.sum(), ""))
    rows.append(("all", *counts.sum(), ""))
    return markdown.table(pd.DataFrame(rows, columns=["images", *counts.columns, "recall in test"]))


def unused() -> str:
    """Say what became of the images that are not in the table, and of wrong labels."""
    counts = RunResult().split_report["images"]
    return (
        f"{counts['found']:,} found, {counts['quarantined']:,} quarantined as invalid, "
        f"{counts['left_out']:,} left out by a person. Corrected: {summary.corrected() or 'none'}."
    )


def browser_there() -> bool:
    """Whether a page can be shown in a window; a browser in the terminal would take it over."""
    if sys.platform != "linux":
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--no-open", action="store_true", help="only write the page")
    options = parser.parse_args()
    if not paths.TEST.is_file():
        raise UserError(f"{paths.TEST} is missing; run `make run` or `dvc repro` first")
    with dvc_lock.of_one_run():
        page = html.page(compose(run_revision.workspace()), Path())
    with files.replacing(PAGE) as partial:
        partial.write_text(page, encoding="utf-8")
    print(PAGE)
    if not options.no_open and browser_there():
        webbrowser.open(PAGE.resolve().as_uri())


if __name__ == "__main__":
    run(main)
