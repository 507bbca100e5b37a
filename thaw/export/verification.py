"""Write the finished classifier in formats that need no code of this project, and check them."""

import json
import shutil
import statistics
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from thaw.export import formats
from thaw.export.formats import EXPORT_FORMATS, KNOWN, OUTPUT, QUANTIZED, Calibration, Predict
from thaw.export.settings import Export
from thaw.images.loader import slices
from thaw.project.errors import UserError

IMAGES = 200  # of the test set, to compare on, and of the training set, to calibrate int8 with
BATCH = 25  # of which IMAGES is a multiple, as Keras traces a model for each size
FULL = 1 << 20  # bytes left on a disk on which some library has just failed to write
KNOWN_TOLERANCE = 0.01  # of a `known`, in standard deviations of the validation images
SECONDS = 0.1  # of measuring how long one image takes


def check_gate(scores: dict, settings: Export) -> None:
    """Raise UserError when the fine-tuned test accuracy is under `min_accuracy`; None: no gate."""
    accuracy = scores["fine_tuned"]["accuracy"]
    if settings.min_accuracy is not None and accuracy < settings.min_accuracy:
        raise UserError(
            f"not exported, as the test accuracy {accuracy} is under {settings.min_accuracy}",
            key="export.min_accuracy",
            hint="improve the model or lower the gate",
        )


def write(
    model: keras.Model, classes: list[str], contract: dict, names: list[str],
    calibration: Calibration, folder: Path,
) -> None:  # fmt: skip
    """Write the formats `names`, labels.json and input.json into the new `folder`.

    `model`: pixels float32 (n, size, size, 3), RGB 0..255 -> probabilities float32 (n, classes), in
    the order of labels.json, or a dict of these and known, float32 (n,). `contract`: as
    `input_json.contract` gives it. `calibration`: gives training images uint8 (k, size, size, 3).
    Raises UserError when a converter fails on this network.
    """
    folder.mkdir(parents=True)
    facts = {"labels.json": classes, "input.json": contract}
    for name, values in facts.items():
        (folder / name).write_text(
            json.dumps(values, indent=2, ensure_ascii=False) + "\n", encoding="utf-8"
        )
    for name in names:
        with _refusing(name, folder):
            EXPORT_FORMATS[name].write(model, folder / EXPORT_FORMATS[name].file, calibration)


@contextmanager
def _refusing(name: str, folder: Path) -> Iterator[None]:
    """Turn whatever a converter or a runtime raises into a UserError; each has its own errors.

    On a full disk it is an OSError, which has nothing to do with the network.
    """
    try:
        yield
    except Exception as error:
        said = str(error)[:300]
        if "No space left" in said or shutil.disk_usage(folder).free < FULL:
            raise OSError(f"no space left in {folder.parent.parent} for {name}") from error
        raise UserError(
            f"not exported, as {name} fails on this network: {said}",
            key="export.formats",
            hint=f"take {name} out of the list",
        ) from error


def compare(
    model: keras.Model, truth: np.ndarray, pixels: np.ndarray, folder: Path, settings: Export
) -> dict[str, dict[str, float]]:
    """Run each format in `folder` by its own runtime, and compare it with `model`.

    pixels: uint8 (n, size, size, 3); truth: their classes, int (n,). Returns by format: megabytes;
    milliseconds, the median for one image at a time with the runtime's default settings; accuracy;
    agreement, the fraction with Keras' class; and largest_difference, of a probability from Keras'.
    With known as a second output also largest_difference_of_known, but in 8 bits. Raises UserError
    when a format does not run or differs by more than its tolerance.
    """
    tf.config.experimental.enable_tensor_float_32_execution(False)  # a GPU's, of 11 bits
    expected = {
        output: batchwise(formats.traced(model, output), pixels)
        for output in formats.outputs(model)
    }
    probabilities, table = expected[OUTPUT], {}
    for name in settings.names:
        file = folder / EXPORT_FORMATS[name].file
        with _refusing(name, folder):
            predict = EXPORT_FORMATS[name].open(file)
            got = batchwise(predict, pixels)
        check(name, truth, probabilities, got, settings)
        same = got.argmax(axis=1) == probabilities.argmax(axis=1)
        table[name] = {
            "megabytes": round(size(file) / 1e6, 2),
            "milliseconds": significant(milliseconds(predict, pixels[:1].astype("float32"))),
            "accuracy": round(float((got.argmax(axis=1) == truth).mean()), 4),
            "agreement": round(float(same.mean()), 4),
            "largest_difference": significant(np.abs(got - probabilities).max()),
        }
        if KNOWN in expected and name not in QUANTIZED:
            table[name]["largest_difference_of_known"] = _known(name, expected[KNOWN], pixels, file)
    return table


def _known(name: str, expected: np.ndarray, pixels: np.ndarray, file: Path) -> float:
    """Return the largest difference of a format's known from Keras'. Raises UserError as above."""
    with _refusing(name, file.parent):
        got = batchwise(EXPORT_FORMATS[name].open(file, KNOWN), pixels)
    difference = np.abs(got - expected).max()
    if not difference <= KNOWN_TOLERANCE:
        raise UserError(
            f"not exported, as known of {name} differs from Keras' by {difference:.2g}, more than "
            f"{KNOWN_TOLERANCE:g}",
            key="export.unknown",
            hint=f"take {name} out of export.formats, or set it to false",
        )
    return significant(difference)


def check(
    name: str, truth: np.ndarray, expected: np.ndarray, got: np.ndarray, settings: Export
) -> None:
    """Raise UserError when a format's probabilities (n, classes) are too far from Keras'.

    Each may differ by `tolerance`. A format of 8 bits may instead lose `int8_tolerance` points of
    accuracy, or one image, as a single one says nothing.
    """
    hint = f"take {name} out of export.formats, or allow more"
    if name in QUANTIZED:
        correct = [(each.argmax(axis=1) == truth).sum() for each in (expected, got)]
        lost = int(correct[0] - correct[1])
        if lost > max(settings.int8_tolerance * len(truth) / 100, 1):
            raise UserError(
                f"not exported, as {name} costs {100 * lost / len(truth):.1f} points of accuracy "
                f"on {len(truth)} test images, more than {settings.int8_tolerance:g}",
                key="export.int8_tolerance",
                hint=hint,
            )
        return
    difference = np.abs(got - expected).max()
    if not difference <= settings.tolerance:
        raise UserError(
            f"not exported, as probabilities of {name} differ from Keras' by {difference:.2g}, "
            f"more than {settings.tolerance:g}",
            key="export.tolerance",
            hint=hint,
        )


def batchwise(predict: Predict, pixels: np.ndarray) -> np.ndarray:
    """Return the output, (n, ...), of pixels uint8 (n, size, size, 3)."""
    parts = slices(len(pixels), BATCH)
    return np.concatenate([predict(pixels[part].astype("float32")) for part in parts])


def milliseconds(predict: Predict, pixels: np.ndarray) -> float:
    """Return the median time of a call, of those that fit into SECONDS, three at least."""
    taken: list[float] = []
    for _ in range(3):
        predict(pixels)  # warms up
    while len(taken) < 3 or sum(taken) < SECONDS:
        start = time.perf_counter()
        predict(pixels)
        taken.append(time.perf_counter() - start)
    return 1000 * statistics.median(taken)


def size(file: Path) -> int:
    """Return the bytes of a file, or of all files in a folder."""
    files = file.rglob("*") if file.is_dir() else [file]
    return sum(each.stat().st_size for each in files if each.is_file())


def significant(value: float) -> float:
    """Round to two significant digits."""
    return float(f"{value:.2g}")
