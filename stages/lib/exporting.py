"""Write the finished classifier in forms that need none of this project's code, and check them."""

import importlib.util
import json
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Literal

import keras
import numpy as np
import tensorflow as tf
from pydantic import AfterValidator, Field

from stages.lib.errors import UserError
from stages.lib.formats import FORMATS, Calibration, Run
from stages.lib.params import Section
from stages.lib.pictures import Pictures, slices

PICTURES = 200  # of the test set, to compare on, and of the training set, to calibrate int8 with
BATCH = 32
SECONDS = 0.3  # of measuring how long one picture takes


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("should name each format once")
    return names


class Export(Section):
    """When a classifier is good enough to leave, in which forms, and how true these must be."""

    formats: Annotated[list[Literal[*FORMATS]], AfterValidator(_each_once)]
    tolerance: Annotated[float, Field(gt=0)]
    int8_tolerance: Annotated[float, Field(ge=0, le=100)]
    min_accuracy: Annotated[float, Field(ge=0, le=1)] | None

    @property
    def names(self) -> list[str]:
        """The formats to write: keras, from which the others come, and then those of `formats`."""
        return [name for name in FORMATS if name == "keras" or name in self.formats]


def check_gate(scores: dict, settings: Export) -> None:
    """Raise UserError when the fine-tuned test accuracy is under `min_accuracy`; None: no gate."""
    accuracy = scores["fine_tuned"]["accuracy"]
    if settings.min_accuracy is not None and accuracy < settings.min_accuracy:
        raise UserError(
            f"not exported: the test accuracy {accuracy} is under params.yaml "
            f"[export.min_accuracy]: {settings.min_accuracy}; improve the model or lower the gate"
        )


def check_installed(settings: Export) -> None:
    """Raise UserError when a package that one of the formats needs is missing."""
    for name in settings.names:
        for module in FORMATS[name].modules:
            if importlib.util.find_spec(module) is None:
                raise UserError(
                    f"params.yaml [export.formats]: {name} needs the package "
                    f"{module.replace('_', '-')}, which is not installed; run `make extras`, or "
                    f"take {name} out of the list"
                )


def contract(size: int, decoding: Pictures) -> dict:
    """Return what goes in and comes out, the same for all formats, as input.json says it."""
    return {
        "pixels": {
            "dtype": "float32",
            "shape": ["n", size, size, 3],
            "colours": "RGB",
            "range": [0, 255],
            "resize": "the whole picture, squeezed; bilinear, averaging where it shrinks (Pillow)",
            "upright": decoding.upright,
            "background": decoding.background,
        },
        "probabilities": {"dtype": "float32", "shape": ["n", "classes"], "order": "labels.json"},
    }


def write(
    model: keras.Model, classes: list[str], decoding: Pictures, names: list[str],
    calibration: Calibration, folder: Path,
) -> None:  # fmt: skip
    """Write the formats `names`, labels.json and input.json into the new `folder`.

    `model`: pixels float32 (n, size, size, 3), RGB 0..255 -> probabilities float32 (n, classes), in
    the order of labels.json. `calibration`: gives training pictures uint8 (k, size, size, 3).
    Raises UserError when a converter knows no way for something in this network.
    """
    folder.mkdir(parents=True)
    facts = {"labels.json": classes, "input.json": contract(model.input_shape[1], decoding)}
    for name, values in facts.items():
        (folder / name).write_text(json.dumps(values, indent=2, ensure_ascii=False) + "\n")
    for name in names:
        with _refusing(name):
            FORMATS[name].write(model, folder / FORMATS[name].file, calibration)


@contextmanager
def _refusing(name: str) -> Iterator[None]:
    """Turn what a converter or a runtime raises into a UserError; each has kinds of its own."""
    try:
        yield
    except Exception as error:
        raise UserError(
            f"not exported: {name} cannot do with this network: {str(error)[:300]}; take {name} "
            "out of params.yaml [export.formats]"
        ) from error


def compare(
    model: keras.Model, truth: np.ndarray, pixels: np.ndarray, folder: Path, settings: Export
) -> dict[str, dict[str, float]]:
    """Run each format in `folder` by its own runtime, and compare it with `model`.

    pixels: uint8 (n, size, size, 3); truth: their classes, int (n,). Returns by format megabytes,
    milliseconds (one picture at a time, the median, as the runtime sets itself up on this machine),
    and on these pictures accuracy, agreement (share with Keras' class) and largest_difference (of a
    probability). Raises UserError when a format does not run or passes its tolerance.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)  # a GPU's, of 11 bits
    expected, table = batchwise(model.predict_on_batch, pixels), {}
    for name in settings.names:
        file = folder / FORMATS[name].file
        with _refusing(name):
            run = FORMATS[name].open(file)
            got = batchwise(run, pixels)
        check(name, truth, expected, got, settings)
        same = got.argmax(axis=1) == expected.argmax(axis=1)
        table[name] = {
            "megabytes": round(size(file) / 1e6, 2),
            "milliseconds": significant(milliseconds(run, pixels[:1].astype("float32"))),
            "accuracy": round(float((got.argmax(axis=1) == truth).mean()), 4),
            "agreement": round(float(same.mean()), 4),
            "largest_difference": significant(np.abs(got - expected).max()),
        }
    return table


def check(
    name: str, truth: np.ndarray, expected: np.ndarray, got: np.ndarray, settings: Export
) -> None:
    """Raise UserError when a format's probabilities (n, classes) are too far from Keras'.

    An exact format may differ by `tolerance` in each; int8 may lose accuracy by `int8_tolerance`
    points, or one picture, as a single one says nothing.
    """
    if FORMATS[name].exact:
        difference = np.abs(got - expected).max()
        if not difference <= settings.tolerance:
            raise UserError(
                f"not exported: probabilities of {name} differ from Keras' by {difference:.2g}, "
                f"more than params.yaml [export.tolerance]: {settings.tolerance:g}; take {name} "
                "out of export.formats, or allow more"
            )
        return
    hits = [(each.argmax(axis=1) == truth).sum() for each in (expected, got)]
    lost = int(hits[0] - hits[1])
    if lost > max(settings.int8_tolerance * len(truth) / 100, 1):
        raise UserError(
            f"not exported: {name} costs {100 * lost / len(truth):.1f} points of accuracy on "
            f"{len(truth)} test pictures, more than params.yaml [export.int8_tolerance]: "
            f"{settings.int8_tolerance:g}; take {name} out of export.formats, or allow more"
        )


def batchwise(run: Run, pixels: np.ndarray) -> np.ndarray:
    """Return the probabilities (n, classes) of pixels uint8 (n, size, size, 3)."""
    parts = slices(len(pixels), BATCH)
    return np.concatenate([run(pixels[part].astype("float32")) for part in parts])


def milliseconds(run: Run, pixels: np.ndarray) -> float:
    """Return the median time of a call, of those that fit into SECONDS, three at least."""
    taken: list[float] = []
    for _ in range(3):
        run(pixels)  # warms up
    while len(taken) < 3 or sum(taken) < SECONDS:
        start = time.perf_counter()
        run(pixels)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def size(file: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = file.rglob("*") if file.is_dir() else [file]
    return sum(each.stat().st_size for each in files if each.is_file())


def significant(value: float) -> float:
    """Round to two digits that count."""
    return float(f"{value:.2g}")
