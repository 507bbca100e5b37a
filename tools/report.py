"""What a change does, for its pull request: `python -m tools.report --against main`.

Compares the run in the workspace with that of another revision: params, data and code; test scores
with their intervals and a paired test; the pictures that are mended and broken; learning curves,
confusion matrices and cost. Writes report/report.md with its pictures and report/report.html, which
holds them. The verdict follows the budget in report.yaml: exit code 1 when it fails. Metrics in Git
are enough; with the predictions of both revisions (`dvc pull`, or a DVC remote) it shows more.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

import stages.lib.quiet
from stages.lib import curves, figures, files, markdown, params, paths, pictures, sheets, timings
from stages.lib.errors import UserError, run
from tools.lib import pages, revisions, verdicts
from tools.lib.planning import stages
from tools.lib.revisions import Revision

FILE, BUDGET = "report", Path("report.yaml")
SHOWN = 16  # pictures on a sheet
SIDE = 96  # pixels of each
NAMED = 8  # files


def differing(before: Revision, after: Revision) -> list[str]:
    """Return the params, section.key, that differ."""
    old, new = before.params, after.params
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def what_changed(before: Revision, after: Revision) -> str:
    """Return tables of the params, the pictures of each class, and the code that differ."""
    old, new = before.params, after.params
    keys, parts = differing(before, after), []
    if keys:
        rows = [
            (f"`{key}`", *(markdown.code_cell(each.get(key)) for each in (old, new)))
            for key in keys
        ]
        parts.append(markdown.table(pd.DataFrame(rows, columns=["param", before.name, after.name])))
    first, second = before.counts, after.counts
    if not first.equals(second):
        both = pd.concat({before.name: first.sum(), after.name: second.sum()}, axis=1)
        parts.append(
            markdown.table(both.rename_axis("pictures").fillna(0).astype(int).reset_index())
        )
    code = revisions.changed_code(before.commit)
    if code:
        named = ", ".join(f"`{path}`" for path in code[:NAMED])
        parts.append(f"{len(code)} files of code: {named}" + ", …" * (len(code) > NAMED))
    return "\n\n".join(parts) or "No param, no picture and no code of the pipeline."


def scores(before: Revision, after: Revision) -> str:
    """Return a table of the test scores of both, with the interval of the accuracy."""
    rows = []
    for model in ("head", "fine_tuned"):
        old, new = before.test[model], after.test[model]
        for metric in ("accuracy", "loss", "macro_f1", "roc_auc"):
            shown = [
                f"{each[metric]:.4f}"
                + (
                    f" ({each['accuracy_low']:.4f} to {each['accuracy_high']:.4f})"
                    if metric == "accuracy"
                    else ""
                )
                for each in (old, new)
            ]
            rows.append((f"{model} {metric}", *shown, f"{new[metric] - old[metric]:+.4f}"))
    return markdown.table(pd.DataFrame(rows, columns=["test", before.name, after.name, "change"]))


def changed_pictures(before: Revision, after: Revision, model: str, folder: Path) -> str:
    """Draw the pictures that are mended and broken; return what shows or explains them."""
    both = verdicts.paired(before, after, model)
    if both is None:
        lacking = [each.name for each in (before, after) if each.predictions is None]
        return (
            f"The predictions of {' and '.join(lacking)} are out of reach: `dvc pull` or a DVC "
            "remote that has them would add a paired test, and the pictures mended and broken."
        )
    if not len(both):
        return "No test picture is in both runs."
    right = {name: both[name] == both["label"] for name in ("before", "after")}
    parts = []
    for name, chosen in (
        ("mended", ~right["before"] & right["after"]),
        ("broken", right["before"] & ~right["after"]),
    ):
        rows = both[chosen].head(SHOWN)
        said = f"{int(chosen.sum())} {name}"
        there = [(paths.RAW / path).is_file() for path in rows["path"]]
        if not len(rows):
            parts.append(f"None {name}.")
        elif not all(there):
            named = ", ".join(map(markdown.code, rows["path"]))
            parts.append(f"{said}: {named} (`dvc pull` brings the pictures).")
        else:
            wrong = rows["before"] if name == "mended" else rows["after"]
            draw_sheet(rows, wrong, folder / f"{name}.png")
            by = before.name if name == "mended" else after.name
            parts.append(f"{said}, with what {by} took them for:\n\n![{name}]({name}.png)")
    return "\n\n".join(parts)


def draw_sheet(rows: pd.DataFrame, wrong: pd.Series, file: Path) -> None:
    """Draw pictures with their labels and what they were wrongly taken for."""
    decoding = params.load(pictures.Pictures, "pictures")
    pixels = np.stack([pictures.load(paths.RAW / path, SIDE, decoding) for path in rows["path"]])
    names = sorted({*rows["label"], *wrong})
    truth, guess = ([names.index(each) for each in column] for column in (rows["label"], wrong))
    figures.save(sheets.predictions(pixels, truth, guess, names), file)


def curves_and_confusion(before: Revision, after: Revision, folder: Path) -> str:
    parts = []
    for number, each in enumerate((before, after)):
        table = each.confusion
        names = sorted({*table["actual"], *table["predicted"]})
        truth, guess = (
            np.array([names.index(value) for value in table[column]])
            for column in ("actual", "predicted")
        )
        figures.save(curves.learning_curves(*each.logs), folder / f"curves{number}.png")
        figures.save(
            curves.confusion_matrix(truth, guess, names), folder / f"confusion{number}.png"
        )
        parts.append(
            f"### {each.name}\n\n![learning curves](curves{number}.png)\n\n"
            f"![confusion matrix](confusion{number}.png)"
        )
    return "\n\n".join(parts)


def cost(before: Revision, after: Revision) -> str:
    """Return the seconds of each stage, as this machine last ran it, and what the change reran."""
    known = timings.last(1, Path.cwd())
    sections = {key.split(".")[0] for key in differing(before, after)}
    rows = [
        (stage.name, "yes" if sections & set(stage.sections) else "", f"{known[stage.name]:.0f}")
        for stage in stages()
        if stage.name in known
    ]
    if not rows:
        return "No stage was run on this machine."
    columns = ["stage", "rerun by the params above", "seconds of its last run here"]
    return markdown.table(pd.DataFrame(rows, columns=columns))


def compose(before: Revision, after: Revision, model: str, verdict: str, folder: Path) -> str:
    """Draw the report's pictures into `folder`; return its Markdown, the verdict first."""
    return "\n\n".join(
        [
            f"# {after.name} against {before.name}",
            f"**{verdict}**",
            f"## What changed\n\n{what_changed(before, after)}",
            f"## Scores\n\n{scores(before, after)}",
            f"## Pictures\n\n{changed_pictures(before, after, model, folder)}",
            f"## Learning and confusion\n\n{curves_and_confusion(before, after, folder)}",
            f"## Cost\n\n{cost(before, after)}\n",
        ]
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--against", default="main", metavar="REVISION")
    parser.add_argument("--out", type=Path, default=Path(FILE), metavar="FOLDER")
    options = parser.parse_args()
    budget = params.load(verdicts.Budget, "budget", BUDGET)
    if options.out.exists() and not (options.out / f"{FILE}.md").is_file():
        raise UserError(f"--out {options.out}: this is there and no report; name another folder")
    with tempfile.TemporaryDirectory() as scratch, files.replacing(options.out) as folder:
        folder.mkdir()
        before, after = revisions.at(options.against, Path(scratch)), revisions.workspace()
        verdict, why = verdicts.judge(verdicts.compare(before, after, budget.model), budget)
        text = compose(before, after, budget.model, why, folder)
        (folder / f"{FILE}.md").write_text(text)
        (folder / f"{FILE}.html").write_text(pages.html(text, folder))
    print(f"{why}\n{options.out / FILE}.md, .html")
    if verdict == verdicts.FAILS:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
