"""A trained classifier, ready to run: of the workspace, of a file, or of another revision."""

import functools
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from stages.lib import (
    backbones,
    engines,
    features,
    files,
    fingerprints,
    frozen,
    manifest,
    params,
    paths,
    pictures,
)
from stages.lib.errors import UserError
from stages.lib.runtime import Runtime
from tools.lib import lock

if TYPE_CHECKING:
    import keras

OUTPUT = "probabilities"
MEND = "`dvc pull` brings it from a remote, `dvc repro` makes it"


class Probabilities:
    """From pixels uint8 (n, size, size, 3), RGB 0..255, n > 0, to float32 (n, classes) of sum 1.

    It may be called by several threads. One at a time, because OpenVINO 2026.4.1 stands still when
    two of them ask for their first results at once, each with a lock that the other one wants.
    """

    def __init__(self, forward: engines.Forward):
        self._forward, self._turn = forward, threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        [(_, rows)] = self.stream([(None, pixels)])
        return rows

    def stream(
        self, batches: Iterable[tuple[object, np.ndarray]]
    ) -> Iterator[tuple[object, np.ndarray]]:
        """Yield the probabilities of batches, several of which are computed at once.

        Each comes with anything that tells where it belongs, and goes with the same.
        """
        with self._turn:
            for place, outputs in self._forward(batches):
                yield place, outputs[OUTPUT]


class Predictor(NamedTuple):
    """A trained classifier, ready to run.

    name: for messages. labels: the classes, in the order of the probabilities. size: the side of
    the pictures in pixels; decoding: how a file becomes pixels. probabilities: of pixels, float32
    (n, classes). network: makes its Keras model, from float32 pixels to the same; it raises
    UserError where only the answers of another revision's model are there.
    """

    name: str
    labels: list[str]
    size: int
    decoding: pictures.Pictures
    probabilities: Probabilities
    network: Callable[[], "keras.Model"]


def load(model: str = "fine_tuned") -> Predictor:
    """Return a classifier of the workspace, of a folder or file, or of another revision.

    `model`: fine_tuned (what the last run exported); head (its backbone and head before
    fine-tuning); a folder with model.keras and labels.json, or a `.keras` file with labels.json
    beside it; else a Git revision or a DVC experiment, whose export DVC brings from its cache or a
    remote. Raises UserError when there is no such model, when a file is missing or damaged, or of
    another run than dvc.lock has, as after `dvc exp apply` of one that did not export, or when
    the head is of another backbone than params.yaml names.
    """
    if model == "head":
        return _head()
    if model == "fine_tuned":
        lock.check(str(paths.EXPORT), lock.read(), None, "export", "run `dvc repro export`")
        return _exported("fine_tuned", paths.EXPORT, MEND)
    if Path(model).exists():
        return _exported(model, Path(model), "name a folder that has both, as models/export does")
    from tools.lib import exports  # with DVC, which takes a second to import

    with tempfile.TemporaryDirectory() as scratch:
        folder = exports.bring(model, Path(scratch))
        mend = "run `dvc repro` there and commit what it changes"
        brought = _exported(model, folder / paths.EXPORT, mend, folder / paths.PARAMS)
    return brought._replace(network=functools.partial(_gone, model))


def _gone(model: str) -> None:
    raise UserError(
        f"--model {model}: only a model of the workspace or of a file can be looked into; check "
        "this one out"
    )


def _exported(name: str, place: Path, mend: str, settings: Path = paths.PARAMS) -> Predictor:
    """Load an export, a folder or a `.keras` file; `settings` is the params.yaml it was made by."""
    file = place / "model.keras" if place.is_dir() else place
    beside = file.with_name("labels.json")
    for each in (file, beside):
        if not each.is_file():
            raise UserError(f"{each} is missing; {mend}")
    try:
        labels = json.loads(beside.read_text())
    except ValueError:
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError(f"{beside} is not a JSON list of class names; export the model again")
    decoding = _decoding(params.load(pictures.Pictures, "pictures", settings), file)
    made_of = {"exported_sha256": files.sha256(file)}
    return _ready(name, labels, decoding, functools.partial(_read, file), made_of)


def _decoding(decoding: pictures.Pictures, file: Path) -> pictures.Pictures:
    """Return how the pictures of an export are decoded: as its input.json says, if it has one."""
    try:
        says = json.loads(file.with_name("input.json").read_text())["pixels"]
        return decoding.model_copy(
            update={"upright": bool(says["upright"]), "background": says["background"]}
        )
    except FileNotFoundError:
        return decoding
    except (ValueError, KeyError, TypeError):
        raise UserError(
            f"{file.with_name('input.json')} does not say how pictures are decoded; export the "
            "model again"
        ) from None


def _read(file: Path) -> "keras.Model":
    import stages.lib.quiet  # noqa: F401  first, before Keras

    # isort: split
    import keras

    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        _, height, width, channels = model.input_shape
        if None in (height, width) or height != width or channels != 3:
            raise ValueError(f"its input is {model.input_shape} and not (None, side, side, 3)")
        if len(model.output_shape) != 2 or not isinstance(model.output_shape[1], int):
            raise ValueError(f"its output is {model.output_shape} and not (None, classes)")
        return keras.Model(model.input, {OUTPUT: model.output})
    except Exception as error:  # Keras raises all kinds for a damaged or foreign file
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{file}: not a classifier of pictures that Keras reads ({cause})"
        ) from None


def _head() -> Predictor:
    for file in (paths.BACKBONE, paths.HEAD, paths.MANIFEST):
        if not file.is_file():
            raise UserError(f"{file} is missing; {MEND}")
    spec = params.load(backbones.Backbone, "backbone")
    decoding = params.load(pictures.Pictures, "pictures")
    labels = manifest.classes(manifest.read(paths.MANIFEST))
    made_with = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    make = functools.partial(_joined, spec, len(labels), made_with)
    made_of = made_with | {"head": params.read()["head"], "sha256": files.sha256(paths.HEAD)}
    return _ready("head", labels, decoding, make, made_of)


def _joined(spec: backbones.Backbone, classes: int, made_with: dict) -> "keras.Model":
    import stages.lib.quiet  # noqa: F401  first, before Keras

    # isort: split
    import keras

    from stages.lib import building, classifier, heads, weights

    head_spec = params.load(heads.Head, "head")
    fingerprints.check(weights.fingerprint(paths.HEAD), made_with, paths.HEAD, "train_head")
    backbone = building.load(spec, paths.BACKBONE)
    pooled = head_spec.pooling != "flatten"
    feature_shape = backbone.output_shape[-1:] if pooled else backbone.output_shape[1:]
    head = heads.load(head_spec, feature_shape, classes, paths.HEAD)
    whole = classifier.with_probabilities(classifier.join(backbone, head, head_spec))
    return keras.Model(whole.input, {OUTPUT: whole.output})


def _ready(
    name: str,
    labels: list[str],
    decoding: pictures.Pictures,
    make: Callable[[], "keras.Model"],
    made_of: dict,
) -> Predictor:
    """Return what `make` makes as a predictor; without TensorFlow where it was converted before."""
    engine = params.load(features.Extract, "extract").engine
    runtime = params.load(Runtime, "runtime")
    made_with = {"engine": engine, "precision": "float32"}
    network = frozen.converted_once(make, {"classifier": made_of}, made_with, runtime)
    if network.shapes != {OUTPUT: (len(labels),)}:
        raise UserError(
            f"--model {name}: the network's output is {network.shapes[OUTPUT]} and there are "
            f"{len(labels)} labels; export it again, so that they belong together"
        )
    return Predictor(name, labels, network.size, decoding, Probabilities(network.ready()), make)
