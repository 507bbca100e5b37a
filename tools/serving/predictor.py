"""A trained classifier, ready to run: of the workspace, of a file, or of another revision."""

import functools
import json
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from thaw.calibration import saved
from thaw.calibration.saved import Calibration
from thaw.data import manifest, value_range
from thaw.export.formats import KNOWN, OUTPUT
from thaw.features import frozen_backbone, inference, provenance
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.settings import Extract
from thaw.features.store import open_store
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.images.square import FITS
from thaw.models.settings import Backbone
from thaw.project import files, params, paths
from thaw.project.errors import UserError
from thaw.project.settings import Runtime
from tools.revisions import dvc_lock
from tools.serving import networks
from tools.serving.trust import Trust

if TYPE_CHECKING:
    import keras

# what makes the networks, which are kept as converted
CODE = [
    files.sha256(each)
    for each in (Path(networks.__file__), Path(saved.__file__).with_name("known.py"))
]


class Probabilities:
    """From pixels uint8 (n, size, size, 3), RGB 0..255, n > 0, to float32 (n, classes) of sum 1.

    It may be called by several threads. One at a time, because OpenVINO 2026.4.1 stands still when
    two of them ask for their first results at once, each with a lock that the other one wants.
    """

    def __init__(self, forward: inference.Forward):
        self._forward, self._turn = forward, threading.Lock()

    def __call__(self, pixels: np.ndarray) -> np.ndarray:
        return self.outputs(pixels)[OUTPUT]

    def outputs(self, pixels: np.ndarray) -> dict[str, np.ndarray]:
        """Return all outputs of the network by name: probabilities, and known if it has that."""
        [(_, found)] = self.stream([(None, pixels)])
        return found

    def stream(
        self, batches: Iterable[tuple[object, np.ndarray]]
    ) -> Iterator[tuple[object, dict[str, np.ndarray]]]:
        """Yield the outputs of batches, in their order; several are computed at once.

        Each comes with anything that tells where it belongs, and goes with the same.
        """
        with self._turn:
            yield from inference.with_places(self._forward, batches)


class Predictor(NamedTuple):
    """A trained classifier, ready to run.

    name: for messages. labels: the classes, in the order of the probabilities. loader: makes pixels
    of a file. probabilities: of pixels, float32 (n, classes). network: makes its Keras model, from
    float32 pixels to the same; it raises UserError where the model is of another revision, and is
    None where there is none. trust: which answers are unsure, and which images unknown. frozen:
    what `probabilities` runs, for other hosts; its provenance tells it from other ones.
    """

    name: str
    labels: list[str]
    loader: ImageLoader
    probabilities: Probabilities
    network: Callable[[], "keras.Model"] | None
    trust: Trust = Trust()
    frozen: FrozenNetwork | None = None

    def ask(self, pixels: np.ndarray) -> tuple[np.ndarray, np.ndarray | None]:
        """Return the probabilities of pixels, and how known they look if the network tells that."""
        if self.trust.known is None:
            return self.probabilities(pixels), None
        found = self.probabilities.outputs(pixels)
        return found[OUTPUT], found[KNOWN]


def load_predictor(model: str = "fine_tuned", precision: str = "float32") -> Predictor:
    """Return a classifier of the workspace, of a folder or file, or of another revision.

    `precision`: of the numbers inside, as for extract; int8 is for those of the workspace, whose
    training images calibrate it.

    `model`: fine_tuned (what the last run exported); head (its backbone and head before
    fine-tuning); a folder with model.keras and labels.json, or a `.keras` file with labels.json
    beside it; else a Git revision or a DVC experiment, whose export DVC brings from its cache or a
    remote. Raises UserError when there is no such model, or a file is missing or damaged; when the
    export is of another run than dvc.lock has, as after `dvc exp apply` of one that did not export;
    or when the head is of another backbone than params.yaml names.
    """
    if model in ("head", "fine_tuned"):
        with dvc_lock.of_one_run():
            return _head(precision) if model == "head" else _last_export(precision)
    if precision == "int8":
        raise UserError(
            f"--precision int8: there are no training images of {model} here to calibrate it on",
            hint="take another precision, or check that revision out",
        )
    if Path(model).exists():
        hint = "name a folder that has both, as models/export does"
        return _exported(model, Path(model), hint, precision=precision)
    from tools.revisions import exported_model

    with tempfile.TemporaryDirectory() as scratch:
        folder = exported_model.bring(model, Path(scratch))
        hint = "run `dvc repro` there and commit what it changes"
        place, settings = folder / paths.EXPORT, folder / paths.PARAMS
        brought = _exported(model, place, hint, settings, precision=precision)
    return brought._replace(network=functools.partial(_gone, model))


def _last_export(precision: str) -> Predictor:
    dvc_lock.check(str(paths.EXPORT), dvc_lock.read(), None, "export", "run `dvc repro export`")
    found = Calibration.read(paths.CALIBRATION) if _is_calibrated() else None
    return _exported(
        "fine_tuned", paths.EXPORT, networks.HINT, calibration=found, precision=precision
    )


def _is_calibrated() -> bool:
    return (paths.CALIBRATION / saved.FACTS).is_file()


def _gone(model: str) -> None:
    raise UserError(
        f"--model {model}: only a model of the workspace or of a file can be looked into; check "
        "this one out"
    )


def _exported(
    name: str, place: Path, hint: str, settings: Path = paths.PARAMS,
    calibration: Calibration | None = None, precision: str = "float32",
) -> Predictor:  # fmt: skip
    """Load an export, a folder or a `.keras` file; `settings` is the params.yaml it was made by.

    calibration: of the run in this folder, whose backbone then tells unknown images where the
    export does not.
    """
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
    decoding, trust = _contract(params.load(Decoding, "images", settings), file)
    trust = trust._replace(calibration=calibration)
    digest = files.sha256(file)
    made_of = {"exported_sha256": digest, "known": trust.known is not None}
    network = make = functools.partial(networks.read, file, digest)
    if trust.known is not None:
        make = functools.partial(networks.read, file, digest, (OUTPUT, KNOWN))
    elif calibration and calibration.unknown.threshold is not None and paths.BACKBONE.is_file():
        trust = trust._replace(known=-calibration.unknown.threshold)
        parts = (saved.FACTS, saved.REFERENCES, saved.SPACING)
        made_of |= {each: files.sha256(paths.CALIBRATION / each) for each in parts}
        made_of |= {"weights_sha256": files.sha256(paths.BACKBONE)}
        make = functools.partial(
            networks.with_known, network, made_of["weights_sha256"], calibration
        )
    ready = _ready(name, labels, decoding, make, made_of, precision)
    return ready._replace(network=network, trust=trust)


def _contract(decoding: Decoding, file: Path) -> tuple[Decoding, Trust]:
    """Return how the images of an export are decoded, and its thresholds.

    As its input.json says, if it has one.
    """
    beside = file.with_name("input.json")
    try:
        contract = json.loads(beside.read_text(encoding="utf-8"))
        says = contract["pixels"]
        said = {
            "apply_exif_orientation": bool(says["apply_exif_orientation"]),
            "background": says["background"],
            "fit": says.get("fit", "stretch"),  # which earlier versions did not say
        }
        if said["fit"] not in FITS:
            raise ValueError
        if "sixteen_bits" in says:
            said["bits"] = int(says["sixteen_bits"]["fill"])
        return decoding.model_copy(update=said), Trust.of(contract)
    except FileNotFoundError:
        return decoding, Trust()
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError):
        raise UserError(
            f"{beside} does not say how images are decoded; export the model again"
        ) from None


def _head(precision: str) -> Predictor:
    for file in (paths.BACKBONE, paths.HEAD, paths.MANIFEST):
        if not file.is_file():
            raise UserError(f"{file} is missing", hint=networks.HINT)
    spec = params.load(Backbone, "backbone")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(params.load(Decoding, "images"), rows)
    labels = manifest.classes(rows)
    of_backbone = provenance.of_backbone(spec, decoding)
    of_backbone |= {"weights_sha256": files.sha256(paths.BACKBONE)}
    of_head = {"head": params.read()["head"], "sha256": files.sha256(paths.HEAD)}
    temperature = 1.0
    if _is_calibrated():
        temperature = Calibration.read(paths.CALIBRATION).temperature["head"]
    of_head["temperature"] = temperature
    make = functools.partial(
        networks.head, spec, len(labels), of_backbone, of_head["sha256"], temperature
    )
    return _ready("head", labels, decoding, make, of_backbone | of_head, precision)


def _ready(
    name: str,
    labels: list[str],
    decoding: Decoding,
    make: Callable[[], "keras.Model"],
    model_provenance: dict,
    precision: str,
) -> Predictor:
    """Return the model that `make` makes as a predictor.

    It needs no TensorFlow where the model was converted before.
    """
    engine = {"engine": params.load(Extract, "extract").engine, "precision": precision}
    if precision == "int8" and engine["engine"] != "openvino":
        raise UserError("--precision int8 needs openvino", "extract.engine", "set it to openvino")
    with open_store(params.load(Runtime, "runtime")) as store:
        network = frozen_backbone.converted_once(
            make,
            {"classifier": model_provenance, "read_by": CODE},
            engine,
            store,
            networks.training_images(decoding) if precision == "int8" else None,
        )
    if network.shapes[OUTPUT] != (len(labels),):
        raise UserError(
            f"--model {name}: the network's output is {network.shapes[OUTPUT]} and there are "
            f"{len(labels)} labels; export it again, so that they belong together"
        )
    loader = ImageLoader(network.size, decoding)
    frozen = network._replace(provenance=network.provenance | {"model": model_provenance})
    return Predictor(name, labels, loader, Probabilities(network.ready()), make, frozen=frozen)
