"""Say which class images are of: `python -m tools.predict PATH...`.

A PATH is a file, a folder (all files below it), a pattern in quotes ('photos/**/*.jpg'), an address
(https://...), or - for a list of paths on standard input, one a line. Prints a row for each: its
likeliest class with the probability, or why it is invalid; then the exit code is 1, and all others
are classified all the same.

--model says which classifier: fine_tuned (what the last run exported), head (the one before
fine-tuning), the path of an exported folder or a .keras file with labels.json beside it, or a Git
branch, tag, commit or DVC experiment, whose export comes from DVC's cache or a remote. Images are
decoded as params.yaml says in `images`, and refused as it says in `data`, as when training.
--compare says in a line on standard error whether they look like the training images of the run.
"""

import argparse
import csv
import functools
import io
import json
import sys
import warnings
from collections.abc import Callable, Iterable, Iterator

import numpy as np
from tqdm import tqdm

from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.plain_text import visible
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import batch_predict, drift, inputs, neighbours
from tools.serving.batch_predict import Prediction
from tools.serving.predictor import Predictor, load_predictor

FEW = 10  # images that need no progress bar
DIGITS = 6  # of a probability, where a program reads it
COLUMNS = ("class", "probability")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets compute
WIDEST = 60  # characters of a path that others are aligned with


def likeliest(prediction: Prediction, labels: list[str], top: int) -> list[tuple[str, float]]:
    """Return the `top` likeliest classes, each with its probability; [] for an invalid image."""
    if prediction.probabilities is None:
        return []
    best = np.argsort(-prediction.probabilities, kind="stable")[:top]
    return [(labels[each], round(float(prediction.probabilities[each]), DIGITS)) for each in best]


def as_table(
    predictions: Iterable[Prediction], labels: list[str], top: int, places: list[str]
) -> Iterator[str]:
    """Yield aligned lines; `places`: of all predictions."""
    shown = map(visible, places)
    first = max(map(len, ["path", *(each for each in shown if len(each) <= WIDEST)]))
    width = max(map(len, ["class", *map(visible, labels)]))
    yield f"{'path':<{first}}" + f"  {'class':<{width}}  probability" * top + "\n"
    for prediction in predictions:
        cells = [f"{visible(prediction.place):<{first}}"]
        for label, probability in likeliest(prediction, labels, top):
            cells += [f"{visible(label):<{width}}", f"{probability:11.4f}"]
        if prediction.reason:
            cells.append(f"error: {visible(prediction.reason)}")
        yield "  ".join(cells) + "\n"


def as_csv(
    predictions: Iterable[Prediction], labels: list[str], top: int, places: list[str]
) -> Iterator[str]:
    """Yield a row for each: path, class, probability, class_2, probability_2, ..., error."""
    ranks = ["", *(f"_{rank}" for rank in range(2, top + 1))]
    yield _row(["path", *(f"{name}{rank}" for rank in ranks for name in COLUMNS), "error"])
    for prediction in predictions:
        cells = [cell for pair in likeliest(prediction, labels, top) for cell in pair]
        yield _row(
            [as_cell(prediction.place), *(cells or [""] * (2 * top)), prediction.reason or ""]
        )


def as_cell(place: str) -> str:
    """Return a path as a cell of CSV: the same file, and no formula to a spreadsheet."""
    return f"./{place}" if place.startswith(FORMULA) else place


def _row(cells: list) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def as_json(
    predictions: Iterable[Prediction], labels: list[str], top: int, places: list[str]
) -> Iterator[str]:
    """Yield a list of objects with path and predictions (class, probability), or path and error."""
    yield "[\n"
    line = ""
    for prediction in predictions:
        found = {"path": prediction.place}
        if prediction.reason:
            found["error"] = prediction.reason
        else:
            best = likeliest(prediction, labels, top)
            found["predictions"] = [dict(zip(COLUMNS, each)) for each in best]
        if line:
            yield f"{line},\n"
        line = f"  {json.dumps(found, ensure_ascii=False)}"
    yield f"{line}\n]\n"


OUTPUT_FORMATS: dict[str, Callable[..., Iterator[str]]] = {
    "table": as_table,
    "json": as_json,
    "csv": as_csv,
}


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of classes, 1 or more")
    return int(text)


def compared(model: str, predictor: Predictor) -> drift.Comparison:
    """Return what compares with the training images. Raises UserError for a model of elsewhere."""
    if model not in ("fine_tuned", "head"):
        raise UserError(f"--compare: {model} is not of the run in this folder")
    training = neighbours.load()
    neighbours.check_size(training, predictor.loader)
    return drift.Comparison(training)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--model", default="fine_tuned", metavar="head|fine_tuned|PATH|EXP")
    parser.add_argument("--top", type=_positive, default=1, metavar="K", help="this many classes")
    parser.add_argument("--format", default="table", choices=OUTPUT_FORMATS)
    parser.add_argument("--compare", action="store_true", help="with the training images")
    options = parser.parse_args()
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    sys.stdout.reconfigure(errors="surrogateescape")  # a path may be of any bytes
    warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata; the pixels count
    listed = inputs.lines_of(sys.stdin.buffer.read()) if inputs.STDIN in options.paths else []
    places = inputs.images(options.paths, listed)
    predictor = load_predictor(options.model)
    comparison = compared(options.model, predictor) if options.compare else None
    backbone = comparison.training.network.ready() if comparison else None
    invalid = 0

    def counted() -> Iterator[Prediction]:
        nonlocal invalid
        hidden = None if len(places) > FEW else True  # None: shown on a terminal only
        found = batch_predict.predictions(predictor, places, data, runtime, backbone)
        bar = tqdm(found, "predict", len(places), unit=" images", disable=hidden, leave=False)
        for prediction in bar:
            invalid += prediction.reason is not None
            if prediction.features is not None:
                comparison.note(prediction.features)
            yield prediction

    top = min(options.top, len(predictor.labels))
    # On a terminal the progress bar has to make way for each line.
    write = functools.partial(tqdm.write, end="") if sys.stdout.isatty() else sys.stdout.write
    for line in OUTPUT_FORMATS[options.format](counted(), predictor.labels, top, places):
        write(line)
    sys.stdout.flush()
    if comparison:
        print(comparison.line(), file=sys.stderr)
    if invalid:
        raise UserError(f"{invalid} of {len(places)} images are invalid; fix or remove them")


if __name__ == "__main__":
    run(main)
