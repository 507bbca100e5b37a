"""What a change does, for its pull request: `python -m tools.report --against main`.

Compares the run in the workspace with that of another revision: params, data, code and what was
tested on; test scores with their intervals and a paired test; images fixed and regressed; learning
curves, confusion matrices and cost. Writes report/report.md, its images and report/report.html.
The verdict follows the budget in report.yaml: exit code 1 when it fails. Metrics in Git are enough;
with the predictions of both revisions (`dvc pull`, or a DVC remote) it shows more.
"""

import argparse
import sys
import tempfile
from pathlib import Path

import pandas as pd

from thaw.evaluation import metrics
from thaw.export import markdown
from thaw.figures import confusion_plot, image_grid, metric_plots, style
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.project import files, params, paths, timings
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.experiments.plan import stages
from tools.reports import captions, html, significance, yardstick
from tools.revisions import dvc_lock, machines, run_revision
from tools.revisions.run_revision import Revision

FILE, BUDGET = "report", Path("report.yaml")
SHOWN = 16  # images on a sheet
SIDE = 96  # pixels of each
NAMED = 8  # files
METRICS = ("accuracy", "loss", "macro_f1", "roc_auc")


def differing(before: Revision, after: Revision) -> list[str]:
    """Return the params, section.key, that differ."""
    old, new = before.params, after.params
    return [key for key in {**old, **new} if old.get(key) != new.get(key)]


def what_changed(before: Revision, after: Revision) -> str:
    """Return what differs: params, images of each class, code, and what fine_tune ran on."""
    old, new = before.params, after.params
    keys, parts = differing(before, after), []
    if keys:
        rows = [
            (markdown.code_cell(key), *(markdown.code_cell(each.get(key)) for each in (old, new)))
            for key in keys
        ]
        parts.append(markdown.table(pd.DataFrame(rows, columns=["param", before.name, after.name])))
    first, second = before.counts, after.counts
    if not first.equals(second):
        both = pd.concat({before.name: first.sum(), after.name: second.sum()}, axis=1)
        parts.append(markdown.table(both.rename_axis("images").fillna(0).astype(int).reset_index()))
    code = run_revision.changed_code(before.commit)
    if code:
        named = ", ".join(map(markdown.code, code[:NAMED]))
        parts.append(f"{len(code)} files of code: {named}" + ", …" * (len(code) > NAMED))
    machine = machines.difference(before.environment, after.environment)
    if machine:
        parts.append(f"fine_tune ran elsewhere: {markdown.code(machine)}. {machines.SAID}")
    return "\n\n".join(parts) or "No param, no image and no code of the pipeline."


def scores(before: Revision, after: Revision) -> str:
    """Return a table of the test scores of both, with the interval of the accuracy."""
    rows, (olds, news) = [], (metrics.models(each.test) for each in (before, after))
    for model in (name for name in olds if name in news):
        old, new = olds[model], news[model]
        for metric in (name for name in METRICS if name in old):
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


def changed_images(before: Revision, after: Revision, model: str, folder: Path) -> str:
    """Draw the images that are fixed or regressed; return the Markdown that shows or names them."""
    both = significance.paired(before, after, model)
    if both is None:
        lacking = [each.name for each in (before, after) if each.predictions is None]
        return (
            f"The predictions of {' and '.join(lacking)} are out of reach: `dvc pull` or a DVC "
            "remote that has them would add a paired test, and the images fixed and regressed."
        )
    if not len(both):
        return "No test image is in both runs."
    right = {name: both[name] == both["label"] for name in ("before", "after")}
    parts = []
    for name, chosen in (
        ("fixed", ~right["before"] & right["after"]),
        ("regressed", right["before"] & ~right["after"]),
    ):
        rows = both[chosen].head(SHOWN)
        said = f"{int(chosen.sum())} {name}"
        there = [(paths.RAW / path).is_file() for path in rows["path"]]
        if not len(rows):
            parts.append(f"None {name}.")
        elif not all(there):
            named = ", ".join(map(markdown.code, rows["path"]))
            parts.append(f"{said}: {named} (`dvc pull` brings the images).")
        else:
            wrong = rows["before"] if name == "fixed" else rows["after"]
            draw_sheet(rows, wrong, names_in_figures(before, after), folder / f"{name}.png")
            by = before.name if name == "fixed" else after.name
            parts.append(f"{said}, with what {by} took them for:\n\n![{name}]({name}.png)")
    return "\n\n".join(parts)


def draw_sheet(rows: pd.DataFrame, wrong: pd.Series, called: dict[str, str], file: Path) -> None:
    """Draw images with their labels and what they were wrongly taken for."""
    loader = ImageLoader(SIDE, params.load(Decoding, "images"))
    pixels = loader.stack([paths.RAW / path for path in rows["path"]])
    truth, guess = (pd.Categorical(each, [*called]).codes for each in (rows["label"], wrong))
    style.save(image_grid.predictions(pixels, truth, guess, [*called.values()]), file)


def curves_and_confusion(before: Revision, after: Revision, folder: Path) -> str:
    parts = []
    called = names_in_figures(before, after)
    for number, each in enumerate((before, after)):
        table = each.confusion
        names = sorted({*table["actual"], *table["predicted"]})
        truth, guess = (
            pd.Categorical(table[column], names).codes for column in ("actual", "predicted")
        )
        style.save(metric_plots.learning_curves(*each.logs), folder / f"curves{number}.png")
        matrix = confusion_plot.draw(truth, guess, [called[name] for name in names])
        style.save(matrix, folder / f"confusion{number}.png")
        parts.append(
            f"### {each.name}\n\n![learning curves](curves{number}.png)\n\n"
            f"![confusion matrix](confusion{number}.png)"
        )
    numbered = style.numbered([*called])
    return "\n\n".join([*parts, *([captions.legend(numbered)] if len(numbered) else [])])


def names_in_figures(before: Revision, after: Revision) -> dict[str, str]:
    """Return what figures call each class of either run, in sorted order."""
    classes = sorted({*before.counts.index, *after.counts.index})
    return dict(zip(classes, style.class_names(classes)))


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


def compose(before: Revision, after: Revision, model: str, said: list[str], folder: Path) -> str:
    """Draw the report's images into `folder`; return its Markdown, which begins with `said`."""
    before, after = (each._replace(name=markdown.plain(each.name)) for each in (before, after))
    return "\n\n".join(
        [
            f"# {after.name} against {before.name}",
            *(f"**{each}**" for each in said),
            f"## What changed\n\n{what_changed(before, after)}",
            f"## Scores\n\n{scores(before, after)}",
            f"## Images\n\n{changed_images(before, after, model, folder)}",
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
    budget = params.load(significance.Budget, "budget", BUDGET)
    if options.out.exists() and not (options.out / f"{FILE}.md").is_file():
        raise UserError(f"--out {options.out}: this is there and no report; name another folder")
    with (
        tempfile.TemporaryDirectory() as scratch,
        files.replacing(options.out) as folder,
        dvc_lock.of_one_run(),
    ):
        folder.mkdir()
        before, after = run_revision.at(options.against, Path(scratch)), run_revision.workspace()
        verdict, why = significance.judge(significance.compare(before, after, budget.model), budget)
        moved = yardstick.moved(before, after)
        said = [why, *([moved] if moved else [])]
        text = compose(before, after, budget.model, said, folder)
        (folder / f"{FILE}.md").write_text(text, encoding="utf-8")
        (folder / f"{FILE}.html").write_text(html.page(text, folder), encoding="utf-8")
    print("\n".join([*said, f"{options.out / FILE}.md, .html"]))
    if verdict == significance.FAILS:
        sys.exit(1)


if __name__ == "__main__":
    run(main)
