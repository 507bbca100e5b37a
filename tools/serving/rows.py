"""Predictions as text: a table to read, CSV and JSON for programs."""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

import numpy as np

from thaw.calibration import sets
from thaw.project.plain_text import visible
from tools.serving.batch_predict import Prediction
from tools.serving.trust import Trust

DIGITS = 6  # of a probability, where a program reads it
COLUMNS = ("class", "probability")
FORMULA = ("=", "+", "-", "@", "\t", "\r")  # how a cell begins that spreadsheets compute
WIDEST = 60  # characters of a path that others are aligned with
SET = "set"


class Notes(NamedTuple):
    """What is said of an image besides its likeliest classes.

    labels: all classes. limit: for `sets.members`; None for no prediction sets.
    """

    labels: list[str]
    trust: Trust = Trust()
    limit: float | None = None

    @property
    def names(self) -> list[str]:
        return [*self.trust.tells, *([] if self.limit is None else [SET])]

    def of(self, prediction: Prediction) -> dict[str, bool | list[str]]:
        """Return by name whether a valid image is unsure and unknown, and its set of classes.

        The likeliest class comes first.
        """
        found = self.trust.marks(prediction.probabilities, prediction.known)
        if self.limit is not None:
            [inside] = sets.members(prediction.probabilities[None], self.limit)
            order = np.argsort(-prediction.probabilities, kind="stable")
            found[SET] = [self.labels[each] for each in order if inside[each]]
        return found


def likeliest(prediction: Prediction, labels: list[str], top: int) -> list[tuple[str, float]]:
    """Return the `top` likeliest classes, each with its probability; [] for an invalid image."""
    if prediction.probabilities is None:
        return []
    best = np.argsort(-prediction.probabilities, kind="stable")[:top]
    return [(labels[each], round(float(prediction.probabilities[each]), DIGITS)) for each in best]


def as_table(
    predictions: Iterable[Prediction], notes: Notes, top: int, places: list[str]
) -> Iterator[str]:
    """Yield aligned lines; `places`: of all predictions."""
    shown = map(visible, places)
    first = max(map(len, ["path", *(each for each in shown if len(each) <= WIDEST)]))
    width = max(map(len, ["class", *map(visible, notes.labels)]))
    yield f"{'path':<{first}}" + f"  {'class':<{width}}  probability" * top + "\n"
    for prediction in predictions:
        cells = [f"{visible(prediction.place):<{first}}"]
        for label, probability in likeliest(prediction, notes.labels, top):
            cells += [f"{visible(label):<{width}}", f"{probability:11.4f}"]
        if not prediction.reason:
            said = notes.of(prediction)
            inside = [f"{{{', '.join(map(visible, said[SET]))}}}"] if SET in said else []
            cells += inside + [name for name in notes.trust.tells if said[name]]
        if prediction.reason:
            cells.append(f"error: {visible(prediction.reason)}")
        yield "  ".join(cells) + "\n"


def as_csv(
    predictions: Iterable[Prediction], notes: Notes, top: int, places: list[str]
) -> Iterator[str]:
    """Yield a row for each: path, class, probability, class_2, probability_2, ..., error.

    Before the error come unsure and unknown (true or false), as far as the classifier tells them,
    and set, a list of classes as JSON.
    """
    ranks = ["", *(f"_{rank}" for rank in range(2, top + 1))]
    columns = [f"{name}{rank}" for rank in ranks for name in COLUMNS]
    yield _row(["path", *columns, *notes.names, "error"])
    empty = [""] * len([*columns, *notes.names])
    for prediction in predictions:
        cells = [cell for pair in likeliest(prediction, notes.labels, top) for cell in pair]
        if cells:
            said = notes.of(prediction)
            cells += [json.dumps(said[name], ensure_ascii=False) for name in notes.names]
        yield _row([as_cell(prediction.place), *(cells or empty), prediction.reason or ""])


def as_cell(place: str) -> str:
    """Return a path as a cell of CSV: the same file, and no formula to a spreadsheet."""
    return f"./{place}" if place.startswith(FORMULA) else place


def _row(cells: list) -> str:
    line = io.StringIO()
    csv.writer(line, lineterminator="\n").writerow(cells)
    return line.getvalue()


def as_json(
    predictions: Iterable[Prediction], notes: Notes, top: int, places: list[str]
) -> Iterator[str]:
    """Yield a list of objects with path and predictions (class, probability), or path and error.

    Beside the predictions are unsure, unknown and set, as `Notes.of` gives them.
    """
    yield "[\n"
    line = ""
    for prediction in predictions:
        found = {"path": prediction.place}
        if prediction.reason:
            found["error"] = prediction.reason
        else:
            best = likeliest(prediction, notes.labels, top)
            found |= notes.of(prediction)
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
