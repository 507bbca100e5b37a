"""Pick the images to label next: `python -m tools.label_next FOLDER... --count 50`.

FOLDER has unlabelled images; files and patterns ('photos/**/*.jpg') will do, too. Of those that the
classifier is least certain of, it takes some that are unlike one another by their features. Images
that the run has already or that a person left out, and equal files, are left out. Writes
label_next.csv, with an empty column for the labels, and the sheet label_next.png. Needs the
features and the export of the last `dvc repro`.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from tqdm import tqdm

from thaw.data import corrections, manifest
from thaw.features import arrays
from thaw.figures import error_grids, image_grid, style
from thaw.images.loader import ImageLoader
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.labelling import label_choice
from tools.serving import batch_predict, inputs, neighbours
from tools.serving.batch_predict import Prediction
from tools.serving.predictor import load_predictor
from tools.serving.rows import as_cell

LIST, SHEET = Path("label_next.csv"), Path("label_next.png")
SHOWN = 60  # images on the sheet
DIGITS = 4


def unknown(places: Sequence[str], digests: set[str]) -> list[str]:
    """Return the first file of each content that is not among the SHA-256 `digests`."""
    seen, found = set(digests), []
    for place in tqdm(places, desc="compare", unit=" files", disable=None, leave=False):
        digest = files.sha256(Path(place)) if Path(place).is_file() else place
        if digest not in seen:
            seen.add(digest)
            found.append(place)
    return found


def had() -> set[str]:
    """Return the SHA-256 digests of the images that the run has, and of those that were left out.

    Raises what `corrections.read` does.
    """
    table = corrections.read(Path(params.load(Data, "data").corrections or ""))
    left_out = table["digest"][table["decision"] == corrections.LEAVE_OUT]
    return {*manifest.read(paths.MANIFEST)["sha256"], *left_out}


def ask(places: Sequence[str], model: str) -> tuple[list[Prediction], list[str], ImageLoader]:
    """Return a prediction with features for each image; the classes; and what loads the images.

    Raises UserError where the run in this folder lacks something, or is not of one piece.
    """
    predictor, training = load_predictor(model), neighbours.load()
    neighbours.check_size(training, predictor.loader)
    settings = params.load(Data, "data"), params.load(Runtime, "runtime")
    found = batch_predict.predictions(predictor, places, *settings, training.network.ready())
    bar = tqdm(found, "predict", len(places), unit=" images", disable=None, leave=False)
    return list(bar), predictor.labels, predictor.loader


def table(chosen: Sequence[Prediction], labels: list[str]) -> pd.DataFrame:
    """Return path, label (empty), predicted, probability and margin (to the next class)."""
    probabilities = np.array([each.probabilities for each in chosen])
    best = probabilities.argmax(axis=1)
    columns = {
        "path": [as_cell(each.place) for each in chosen],
        "label": "",
        "predicted": [labels[label] for label in best],
        "probability": probabilities.max(axis=1).round(DIGITS),
        "margin": label_choice.margins(probabilities).round(DIGITS),
    }
    return pd.DataFrame(columns)


def sheet(chosen: Sequence[Prediction], labels: list[str], loader: ImageLoader) -> Figure:
    """Draw the first SHOWN images with their two likeliest classes."""
    names, shown = style.class_names(labels), chosen[:SHOWN]
    pixels = loader.stack([Path(each.place) for each in shown])
    cells = []
    for number, (image, each) in enumerate(zip(pixels, shown), 1):
        first, second = np.argsort(-each.probabilities, kind="stable")[:2]
        lines = [
            image_grid.named(names[label], error_grids.COLUMNS, before, f": {percent}")
            for label, before in ((first, f"{number}  "), (second, "or "))
            for percent in [error_grids.percent(each.probabilities[label])]
        ]
        cells.append(image_grid.Cell(image, "\n".join(lines)))
    some = f"The first {len(shown)} of {len(chosen):,}" if len(shown) < len(chosen) else len(chosen)
    thing = "image" if len(chosen) == 1 else "images"
    title = f"{some} {thing} to label next: the likeliest class and the runner-up"
    return image_grid.grid(cells, error_grids.COLUMNS, title, lines=2)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="FOLDER")
    parser.add_argument("--count", type=int, default=50, help="how many images to label")
    parser.add_argument("--model", default="fine_tuned", choices=("fine_tuned", "head"))
    options = parser.parse_args()
    if options.count < 1:
        raise UserError("--count should be at least 1")
    places = inputs.files(options.paths)
    asked = unknown(places, had())
    if not asked:
        raise UserError(f"all {len(places)} images are known already; name a folder of others")
    found, labels, loader = ask(asked, options.model)
    valid = [each for each in found if not each.reason]
    if not valid:
        raise UserError(f"none of {len(asked)} files is a valid image: {found[0].reason}")
    features = arrays.directions(np.array([each.features for each in valid]))
    probabilities = np.array([each.probabilities for each in valid])
    rows = label_choice.choose(probabilities, features, options.count)
    chosen = [valid[row] for row in rows]
    with files.replacing(LIST) as partial:  # names of files may be of any bytes
        listed = table(chosen, labels)
        listed.to_csv(partial, index=False, lineterminator="\n", errors="surrogateescape")
    with files.replacing(SHEET) as partial:
        style.save(sheet(chosen, labels, loader), partial)
    known = f"{len(places) - len(asked):,} known already or there twice"
    print(f"{len(places):,} files: {known}, {len(found) - len(valid):,} invalid")
    print(f"{len(chosen):,} to label next are in {LIST}, and on the sheet {SHEET}")


if __name__ == "__main__":
    run(main)
