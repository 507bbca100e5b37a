"""Say which class images are of: `python -m tools.predict PATH...`.

A PATH is a file, a folder (all files below it), a pattern in quotes ('photos/**/*.jpg'), an address
(https://...), or - for a list of paths on standard input, one a line. Prints a row for each: its
likeliest class with the probability, or why it is invalid; then the exit code is 1, and all others
are classified all the same.

--model says which classifier: fine_tuned (what the last run exported), head (the one before
fine-tuning), the path of an exported folder or a .keras file with labels.json beside it, or a Git
branch, tag, commit or DVC experiment, whose export comes from DVC's cache or a remote. Images are
decoded as params.yaml says in `images`, and refused as it says in `data`, as when training.
An image that looks like none of the classes is marked unknown, and an answer unsure that is under
the threshold of `calibrate.target_accuracy`, where the model tells these. --coverage 0.95 names for
each image the smallest set of classes that holds the right one in 95 % of images like those of the
run. --compare says in a line on standard error whether they look like the training images.
--engine ray --out FOLDER is for very many files: parts of CSV, by all hosts of a Ray cluster; when
it is called again it goes on.
"""

import argparse
import functools
import sys
import warnings
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import get_args

from tqdm import tqdm

from thaw.features.settings import Extract
from thaw.project import params, paths
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import batch_predict, drift, inputs, neighbours, parts
from tools.serving.batch_predict import Prediction
from tools.serving.predictor import Predictor, load_predictor
from tools.serving.rows import OUTPUT_FORMATS, Notes

PRECISIONS = get_args(Extract.model_fields["precision"].annotation)
FEW = 10  # images that need no progress bar


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of classes, 1 or more")
    return int(text)


def _fraction(text: str) -> float:
    try:
        found = float(text)
    except ValueError:
        found = 0.0
    if not 0 < found < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a fraction of images, between 0 and 1")
    return found


def arguments(description: str) -> argparse.ArgumentParser:
    """Return a parser for which images to name, and how."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("paths", nargs="+", metavar="PATH")
    parser.add_argument("--top", type=_positive, default=1, metavar="K", help="this many classes")
    parser.add_argument("--format", default="table", choices=OUTPUT_FORMATS)
    return parser


def named(arguments: list[str]) -> list[str]:
    """Return the paths and addresses that arguments name, and have all of them written as is."""
    sys.stdout.reconfigure(errors="surrogateescape")  # a path may be of any bytes
    warnings.filterwarnings("ignore", module="PIL")  # remarks on odd metadata; the pixels count
    listed = inputs.lines_of(sys.stdin.buffer.read()) if inputs.STDIN in arguments else []
    return inputs.images(arguments, listed)


def noted(predictor: Predictor, coverage: float | None) -> Notes:
    """Return what is said besides the classes. Raises UserError where sets cannot be made."""
    trust, limit = predictor.trust, None
    if coverage is not None:
        if trust.calibration is None:
            raise UserError(
                f"--coverage: of {predictor.name} there are no answers on validation images",
                hint=f"take the model of the run in this folder, with {paths.CALIBRATION}",
            )
        limit = trust.calibration.set_limit(coverage)
    return Notes(predictor.labels, trust, limit)


def compared(model: str, predictor: Predictor) -> drift.Comparison:
    """Return what compares with the training images. Raises UserError for a model of elsewhere."""
    if model not in ("fine_tuned", "head"):
        raise UserError(f"--compare: {model} is not of the run in this folder")
    training = neighbours.load()
    neighbours.check_size(training, predictor.loader)
    return drift.Comparison(training)


def noting(found: Iterable[Prediction], comparison: drift.Comparison) -> Iterator[Prediction]:
    """Yield predictions, and have their features compared."""
    for prediction in found:
        if prediction.features is not None:
            comparison.note(prediction.features)
        yield prediction


def write(found: Iterable[Prediction], places: list[str], notes: Notes, form: str, top: int) -> int:
    """Print predictions for `places` as they come; return how many images are invalid.

    form: a key of OUTPUT_FORMATS. top: how many classes to name.
    """
    invalid = 0

    def counted() -> Iterator[Prediction]:
        nonlocal invalid
        hidden = None if len(places) > FEW else True  # None: shown on a terminal only
        bar = tqdm(found, "predict", len(places), unit=" images", disable=hidden, leave=False)
        for prediction in bar:
            invalid += prediction.reason is not None
            yield prediction

    # On a terminal the progress bar has to make way for each line.
    out = functools.partial(tqdm.write, end="") if sys.stdout.isatty() else sys.stdout.write
    for line in OUTPUT_FORMATS[form](counted(), notes, min(top, len(notes.labels)), places):
        out(line)
    sys.stdout.flush()
    return invalid


def refuse_invalid(invalid: int, places: list[str]) -> None:
    if invalid:
        raise UserError(f"{invalid} of {len(places)} images are invalid; fix or remove them")


def parsed() -> argparse.Namespace:
    """Return the options. Raises UserError for those that do not go together."""
    parser = arguments(__doc__)
    parser.add_argument("--model", default="fine_tuned", metavar="head|fine_tuned|PATH|EXP")
    parser.add_argument(
        "--coverage", type=_fraction, metavar="C", help="name sets that hold the right class"
    )
    parser.add_argument(
        "--precision", default="float32", choices=PRECISIONS, help="coarser is faster"
    )
    parser.add_argument("--compare", action="store_true", help="with the training images")
    parser.add_argument("--engine", default="local", choices=("local", "ray"))
    parser.add_argument(
        "--out", type=Path, metavar="FOLDER", help="of parts of CSV, with --engine ray"
    )
    options = parser.parse_args()
    if (options.engine == "ray") != bool(options.out):
        raise UserError("--engine ray and --out FOLDER go together; give both")
    if options.out and (options.compare or options.format == "json"):
        raise UserError("--engine ray writes CSV and does not compare; leave the other options out")
    return options


def main() -> None:
    options = parsed()
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    places = named(options.paths)
    predictor = load_predictor(options.model, options.precision)
    notes = noted(predictor, options.coverage)
    if options.out:
        top = min(options.top, len(predictor.labels))
        asked = parts.Asked(notes, top, predictor.loader, data, runtime)
        refuse_invalid(parts.write(predictor, places, asked, options.out), places)
        return
    comparison = compared(options.model, predictor) if options.compare else None
    backbone = comparison.training.network.ready() if comparison else None
    found = batch_predict.predictions(predictor, places, data, runtime, backbone)
    if comparison:
        found = noting(found, comparison)
    invalid = write(found, places, notes, options.format, options.top)
    if comparison:
        print(comparison.line(), file=sys.stderr)
    refuse_invalid(invalid, places)


if __name__ == "__main__":
    run(main)
