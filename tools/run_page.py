"""The last run on one page, with all its figures: `make report`.

Reads params.yaml, dvc.lock, metrics/ and this machine's notes of how long stages took. Writes
run.html, which holds its pictures and needs no network, and opens it where there is a browser.
"""

import argparse
import os
import sys
import webbrowser
from pathlib import Path

import pandas as pd

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import files, paths
from stages.lib.errors import UserError, run
from tools import summary
from tools.lib import pages, revisions
from tools.lib.revisions import Revision

PAGE = Path("run.html")
CLASSES = 40  # at most, by name in the table of pictures
TITLES = {"roc": "ROC", "gradcam": "Grad-CAM", "feature_plane": "Features on a plane"}
CAPTIONS = {  # of each figure, in the order of the page
    paths.FIGURES / "learning_curves.png": "Loss and accuracy by epoch, of the head and then of "
    "fine-tuning. Where validation rises while training falls, the network learns by heart.",
    paths.FIGURES / "confusion_matrix.png": "Test pictures by actual and predicted class; the "
    "darker, the larger the share of its row.",
    paths.FIGURES / "roc.png": "How many pictures of a class are found, by how many others are "
    "taken for it, at every threshold.",
    paths.FIGURES / "reliability.png": "How often the network is right where it is so sure. Points "
    "below the line: it is too sure of itself.",
    paths.FIGURES / "mistakes.png": "Wrong labels are often found among these.",
    paths.FIGURES / "least_certain.png": "Right, but nearly not.",
    paths.FIGURES / "gradcam.png": "Where the network looks: yellow speaks most for the class.",
    paths.FIGURES / "pictures.png": "The first test pictures of each class, as predicted.",
    paths.FIGURES / "feature_plane.png": "Before any training: where classes lie apart already, a "
    "head is enough.",
    paths.FIGURES / "samples.png": "Training pictures, with the number of each class.",
    paths.FIGURES / "augmentation.png": "Variations that should still be of the same class.",
    paths.FIGURES / "feature_maps.png": "What each layer passes on of one picture; by default the "
    "last layer of each size.",
    paths.FIGURES / "kernels.png": "Edges and colours that the first layer looks for.",
    paths.SPLIT_FIGURES / "counts.png": "Pictures by class and split.",
    paths.DOWNLOAD_REPORT / "sizes.png": "Sizes of the pictures; the larger a dot, the more.",
    paths.DOWNLOAD_REPORT / "quarantine.png": "Files that were found and not used.",
}


def compose(found: Revision) -> str:
    """Return the page as Markdown, its figures named by path."""
    best = found.test["fine_tuned"]
    interval = f"{best['accuracy_low']:.3f} to {best['accuracy_high']:.3f}"
    params = [(f"`{key}`", f"`{_plain(value)}`") for key, value in found.params.items()]
    parts = [
        f"# Test accuracy {best['accuracy']:.3f} ({interval})",
        f"## Scores\n\n{scores(found.test)}",
        f"## Figures\n\n{figures()}",
        f"## Pictures\n\n{pictures(found.counts)}",
        f"## Time\n\n{summary.seconds() or 'No stage was run on this machine.'}",
        f"## Params\n\n{pages.table(pd.DataFrame(params, columns=['param', 'value']))}",
    ]
    return "\n\n".join(parts) + "\n"


def _plain(value: object) -> str:
    """Return a value on one line of a table."""
    return " ".join(str(value).split()).replace("|", "\\|").replace("`", "'")


def scores(test: dict[str, dict[str, float]]) -> str:
    """Return a table of the test scores of both models, and what fine-tuning gained."""
    columns = {"accuracy": "accuracy", "loss": "loss", "macro_f1": "macro F1", "roc_auc": "ROC AUC"}
    rows = []
    for model in ("head", "fine_tuned"):
        row = {"test": model} | {name: f"{test[model][key]:.4f}" for key, name in columns.items()}
        row["accuracy"] += f" ({test[model]['accuracy_low']:.4f} to"
        row["accuracy"] += f" {test[model]['accuracy_high']:.4f})"
        rows.append(row)
    gain = test["gain"]
    return (
        f"{pages.table(pd.DataFrame(rows))}\n\n"
        f"Fine-tuning mends {gain['mended']} test pictures and breaks {gain['broken']}; two models "
        f"that differ by chance alone would differ by as much with probability "
        f"{gain['p_value']:.3g} (McNemar's test)."
    )


def figures() -> str:
    """Return all figures with their captions; of one that is missing, how to get it."""
    parts = []
    for path, caption in CAPTIONS.items():
        title = TITLES.get(path.stem, path.stem.replace("_", " ").capitalize())
        shown = f"![{title}]({path.as_posix()})"
        if not path.is_file():
            shown = f"`{path}` is missing; `dvc pull` or `dvc repro` brings it."
        parts.append(f"### {title}\n\n{caption}\n\n{shown}")
    return "\n\n".join(parts)


def pictures(counts: pd.DataFrame) -> str:
    """Return a table of pictures by class (rows of `counts`) and split, with their sum."""
    counts = counts[[*summary.SPLITS]]
    few = counts.head(CLASSES)
    rows = [(f"`{_plain(name)}`", *row) for name, row in zip(few.index, few.to_numpy())]
    if len(few) < len(counts):
        rest = counts.iloc[len(few) :]
        rows.append((f"{len(rest)} more classes", *rest.sum()))
    rows.append(("all", *counts.sum()))
    return pages.table(pd.DataFrame(rows, columns=["pictures", *counts.columns]))


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
    text = compose(revisions.workspace())
    with files.replacing(PAGE) as partial:
        partial.write_text(pages.html(text, Path()))
    print(PAGE)
    if not options.no_open and browser_there():
        webbrowser.open(PAGE.resolve().as_uri())


if __name__ == "__main__":
    run(main)
