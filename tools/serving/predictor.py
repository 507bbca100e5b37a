"""A trained classifier, ready to run: of the workspace, of a file, or of another revision."""

import functools
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thaw.data import manifest, value_range
from thaw.features import frozen_backbone, inference, provenance
from thaw.features.settings import Extract
from thaw.features.store import open_store
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone, Head
from thaw.project import files, params, paths, snapshots
from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime
from tools.revisions import dvc_lock

if TYPE_CHECKING:
    import keras

OUTPUT = "probabilities"
CODE = files.sha256(Path(__file__))  # as what is converted here is kept
HINT = "`dvc pull` brings it from a remote, `dvc repro` makes it"


class Probabilities:
    """From pixels uint8 (n, size, size, 3), RGB 0..255, n > 0, to float32 (n, classes) of sum 1.

    It may be called by several threads. One at a time, because OpenVINO 2026.4.1 stands still when
    two of them ask for their first results at once, each with a lock that the other one wants.
    """

    def __init__(self, forward: inference.Forward):
        self._forward, self._turn = forward, threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        [(_, rows)] = self.stream([(None, pixels)])
        return rows

    def stream(
        self, batches: Iterable[tuple[object, np.ndarray]]
    ) -> Iterator[tuple[object, np.ndarray]]:
        """Yield the probabilities of batches, in their order; several are computed at once.

        Each comes with anything that tells where it belongs, and goes with the same.
        """
        with self._turn:
            for place, outputs in inference.with_places(self._forward, batches):
                yield place, outputs[OUTPUT]


class Predictor(NamedTuple):
    """A trained classifier, ready to run.

    name: for messages. labels: the classes, in the order of the probabilities. loader: makes pixels
    of a file. probabilities: of pixels, float32 (n, classes). network: makes its Keras model, from
    float32 pixels to the same; it raises UserError where the model is of another revision.
    """

    name: str
    labels: list[str]
    loader: ImageLoader
    probabilities: Probabilities
    network: Callable[[], "keras.Model"]


def load_predictor(model: str = "fine_tuned") -> Predictor:
    """Return a classifier of the workspace, of a folder or file, or of another revision.

    `model`: fine_tuned (what the last run exported); head (its backbone and head before
    fine-tuning); a folder with model.keras and labels.json, or a `.keras` file with labels.json
    beside it; else a Git revision or a DVC experiment, whose export DVC brings from its cache or a
    remote. Raises UserError when there is no such model, or a file is missing or damaged; when the
    export is of another run than dvc.lock has, as after `dvc exp apply` of one that did not export;
    or when the head is of another backbone than params.yaml names.
    """
    if model in ("head", "fine_tuned"):
        with dvc_lock.of_one_run():
            return _head() if model == "head" else _last_export()
    if Path(model).exists():
        return _exported(model, Path(model), "name a folder that has both, as models/export does")
    from tools.revisions import exported_model

    with tempfile.TemporaryDirectory() as scratch:
        folder = exported_model.bring(model, Path(scratch))
        hint = "run `dvc repro` there and commit what it changes"
        brought = _exported(model, folder / paths.EXPORT, hint, folder / paths.PARAMS)
    return brought._replace(network=functools.partial(_gone, model))


def _last_export() -> Predictor:
    dvc_lock.check(str(paths.EXPORT), dvc_lock.read(), None, "export", "run `dvc repro export`")
    return _exported("fine_tuned", paths.EXPORT, HINT)


def _gone(model: str) -> None:
    raise UserError(
        f"--model {model}: only a model of the workspace or of a file can be looked into; check "
        "this one out"
    )


def _exported(name: str, place: Path, hint: str, settings: Path = paths.PARAMS) -> Predictor:
    """Load an export, a folder or a `.keras` file; `settings` is the params.yaml it was made by."""
    file = place / "model.keras" if place.is_dir() else place
    beside = file.with_name("labels.json")
    for each in (file, beside):
        if not each.is_file():
            raise UserError(f"{each} is missing", hint=hint)
    try:
        labels = json.loads(beside.read_text(encoding="utf-8"))
    except (ValueError, RecursionError):
        labels = None
    if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
        raise UserError(f"{beside} is not a JSON list of class names; export the model again")
    decoding = _decoding(params.load(Decoding, "images", settings), file)
    digest = files.sha256(file)
    make = functools.partial(_read, file, digest)
    return _ready(name, labels, decoding, make, {"exported_sha256": digest})


def _decoding(decoding: Decoding, file: Path) -> Decoding:
    """Return how the images of an export are decoded: as its input.json says, if it has one."""
    try:
        says = json.loads(file.with_name("input.json").read_text(encoding="utf-8"))["pixels"]
        said = {
            "apply_exif_orientation": bool(says["apply_exif_orientation"]),
            "background": says["background"],
        }
        if "sixteen_bits" in says:
            said["bits"] = int(says["sixteen_bits"]["fill"])
        return decoding.model_copy(update=said)
    except FileNotFoundError:
        return decoding
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
        raise UserError(
            f"{file.with_name('input.json')} does not say how images are decoded; export the "
            "model again"
        ) from None


def _read(file: Path, sha256: str) -> "keras.Model":
    """Return the model of an export that has this digest. Raises UserError when it has another."""
    import thaw.models.tf_setup  # noqa: F401  first, before Keras

    # isort: split

    with snapshots.copied(file, sha256) as copy:
        return _checked(copy)


def _checked(file: Path) -> "keras.Model":
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
        raise UserError(f"{file}: not a classifier of images that Keras reads ({cause})") from None


def _head() -> Predictor:
    for file in (paths.BACKBONE, paths.HEAD, paths.MANIFEST):
        if not file.is_file():
            raise UserError(f"{file} is missing", hint=HINT)
    spec = params.load(Backbone, "backbone")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(params.load(Decoding, "images"), rows)
    labels = manifest.classes(rows)
    of_backbone = provenance.of_backbone(spec, decoding)
    of_backbone |= {"weights_sha256": files.sha256(paths.BACKBONE)}
    of_head = {"head": params.read()["head"], "sha256": files.sha256(paths.HEAD)}
    make = functools.partial(_joined, spec, len(labels), of_backbone, of_head["sha256"])
    return _ready("head", labels, decoding, make, of_backbone | of_head)


def _joined(spec: Backbone, classes: int, of_backbone: dict, head_sha256: str) -> "keras.Model":
    import thaw.models.tf_setup  # noqa: F401  first, before Keras

    # isort: split
    import keras

    from thaw.models import classifier, weights

    head_spec = params.load(Head, "head")
    check_provenance(weights.read_provenance(paths.HEAD), of_backbone, paths.HEAD, "train_head")
    with (
        snapshots.copied(paths.BACKBONE, of_backbone["weights_sha256"]) as backbone,
        snapshots.copied(paths.HEAD, head_sha256) as head,
    ):
        network = classifier.load_parts(spec, head_spec, classes, backbone, head)
    whole = classifier.with_probabilities(network.joined)
    return keras.Model(whole.input, {OUTPUT: whole.output})


def _ready(
    name: str,
    labels: list[str],
    decoding: Decoding,
    make: Callable[[], "keras.Model"],
    model_provenance: dict,
) -> Predictor:
    """Return the model that `make` makes as a predictor.

    It needs no TensorFlow where the model was converted before.
    """
    engine = {"engine": params.load(Extract, "extract").engine, "precision": "float32"}
    with open_store(params.load(Runtime, "runtime")) as store:
        network = frozen_backbone.converted_once(
            make, {"classifier": model_provenance, "read_by": CODE}, engine, store
        )
    if network.shapes != {OUTPUT: (len(labels),)}:
        raise UserError(
            f"--model {name}: the network's output is {network.shapes[OUTPUT]} and there are "
            f"{len(labels)} labels; export it again, so that they belong together"
        )
    loader = ImageLoader(network.size, decoding)
    return Predictor(name, labels, loader, Probabilities(network.ready()), make)
