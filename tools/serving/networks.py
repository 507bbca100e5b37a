"""The Keras models of the classifiers that answer, as they are converted."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw.calibration.saved import Calibration
from thaw.data import manifest
from thaw.export.formats import OUTPUT
from thaw.features.image_source import ImageSource
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone, Head
from thaw.project import params, paths, snapshots
from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime

if TYPE_CHECKING:
    import keras

HINT = "`dvc pull` brings it from a remote, `dvc repro` makes it"


def read(file: Path, sha256: str, outputs: Sequence[str] = (OUTPUT,)) -> "keras.Model":
    """Return the model of an export, with these of its outputs by name.

    Raises UserError when its digest is another one.
    """
    import thaw.models.tf_setup  # noqa: F401  first, before Keras

    # isort: split

    with snapshots.copied(file, sha256) as copy:
        return _checked(copy, outputs)


def _checked(file: Path, outputs: Sequence[str]) -> "keras.Model":
    import keras

    try:
        model = keras.saving.load_model(file, compile=False, safe_mode=True)
        _, height, width, channels = model.input_shape
        if None in (height, width) or height != width or channels != 3:
            raise ValueError(f"its input is {model.input_shape} and not (None, side, side, 3)")
        found = model.output if isinstance(model.output, dict) else {OUTPUT: model.output}
        shape = found[OUTPUT].shape
        if len(shape) != 2 or not isinstance(shape[1], int):
            raise ValueError(f"its output is {shape} and not (None, classes)")
        return keras.Model(model.input, {name: found[name] for name in outputs})
    except Exception as error:  # Keras raises all kinds for a damaged or foreign file
        cause = " ".join(str(error).split())[:200]
        raise UserError(f"{file}: not a classifier of images that Keras reads ({cause})") from None


def with_known(
    make: Callable[[], "keras.Model"], weights_sha256: str, calibration: Calibration
) -> "keras.Model":
    """Return the exported model with `known` beside its probabilities."""
    exported = make()  # first, as it sets TensorFlow up
    import keras

    from thaw.calibration import known
    from thaw.models import backbones

    with snapshots.copied(paths.BACKBONE, weights_sha256) as copy:
        frozen = backbones.load(params.load(Backbone, "backbone"), copy)
    return known.join(keras.Model(exported.input, exported.output[OUTPUT]), frozen, calibration)


def head(
    spec: Backbone, classes: int, of_backbone: dict, head_sha256: str, temperature: float
) -> "keras.Model":
    """Return the network before fine-tuning. Raises UserError when the head is of another one."""
    import thaw.models.tf_setup  # noqa: F401  first, before Keras

    # isort: split
    import keras

    from thaw.models import classifier, weights

    head_spec = params.load(Head, "head")
    check_provenance(weights.read_provenance(paths.HEAD), of_backbone, paths.HEAD, "train_head")
    with (
        snapshots.copied(paths.BACKBONE, of_backbone["weights_sha256"]) as backbone,
        snapshots.copied(paths.HEAD, head_sha256) as trained,
    ):
        network = classifier.load_parts(spec, head_spec, classes, backbone, trained)
    whole = classifier.with_probabilities(network.joined, temperature)
    return keras.Model(whole.input, {OUTPUT: whole.output})


def training_images(decoding: Decoding) -> ImageSource:
    """Return the images of the run in this folder, of which training images calibrate int8.

    Raises UserError when they are not there.
    """
    for file in (paths.MANIFEST, paths.SPLIT, paths.RAW):
        if not file.exists():
            raise UserError(f"--precision int8: {file} is missing", hint=HINT)
    rows = manifest.read(paths.MANIFEST)
    train = np.flatnonzero(manifest.read_split(paths.SPLIT, rows) == "train")
    images, digests = manifest.image_paths(rows, paths.RAW), rows["sha256"].tolist()
    runtime = params.load(Runtime, "runtime")
    return ImageSource(images, digests, decoding, runtime, train)
