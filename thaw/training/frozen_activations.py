"""The activations of the frozen layers, which fine-tuning computes once and not in every epoch."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from thaw.features import extract, frozen_backbone, store
from thaw.features.arrays import AugmentedRows
from thaw.features.image_source import ImageSource
from thaw.models import classifier
from thaw.models.classifier import JoinedNetwork
from thaw.training import processor_form
from thaw.training.augmentation import Augment, augmented_copies, augments, of_batch
from thaw.training.settings import Augmentation, FineTune

OUTPUT = "activations"


class Cut(NamedTuple):
    """A network in two: pixels -> {OUTPUT: activations}, and activations -> feature map.

    They share the network's layers, so training the top trains the network. layer: the last of the
    lower part.
    """

    frozen: keras.Model
    top: keras.Model
    layer: str


class Plan(NamedTuple):
    """What to cache: activations of each image, and of so many copies of each training image."""

    cut: Cut
    copies: int
    gigabytes: float


class FineTuningImages(NamedTuple):
    """The images that fine-tuning uses. split: of each, train or validation."""

    source: ImageSource
    split: pd.Series
    augmentation: Augmentation


class Trained(NamedTuple):
    """What trains, and on what.

    inputs: by row. augmented: what stands in for those of training rows, or None. augment: what is
    made of each training batch, as `augmentation.of_batch` gives it, or None.
    """

    model: keras.Model
    inputs: np.ndarray
    augmented: AugmentedRows | None
    augment: Augment | None


def cut_below(network: keras.Model, first: int) -> Cut | None:
    """Cut a network at or below its layer of index `first`, where one tensor alone goes up.

    None where there is no such place with weights below, or only in the lower half of what is below
    `first`: then too little would be saved.
    """
    operations = network.operations  # in the order of computation, and more than the layers
    highest = operations.index(network.layers[first])
    made, last_use = {}, {}
    for place, operation in enumerate(operations):
        if not isinstance(operation, keras.layers.InputLayer):
            last_use |= {id(tensor): place for tensor in keras.tree.flatten(operation.input)}
        made |= {id(tensor): (place, tensor) for tensor in keras.tree.flatten(operation.output)}
    last_use[id(network.output)] = len(operations)
    for place in range(highest, highest // 2, -1):
        crossing = [each for each, used in last_use.items() if made[each][0] < place <= used]
        below = operations[:place]
        if len(crossing) == 1 and any(getattr(each, "weights", None) for each in below):
            last, tensor = made[crossing[0]]
            frozen = keras.Model(network.inputs[0], {OUTPUT: tensor}, name="frozen")
            top = keras.Model(tensor, network.output, name="top")
            return Cut(frozen, top, operations[last].name)
    return None


def plan(
    network: keras.Model, first: int, settings: FineTune, augmented: bool, split: pd.Series
) -> Plan | None:
    """Decide whether to cache activations, and say so; None for not.

    They are cached when that is asked for, possible, no larger than `activations_gigabytes`, and
    fewer passes than the epochs would make. `augmented`: whether training images are; `split`: of
    the images that are used, train or validation.
    """
    cut = cut_below(network, first) if settings.cache_activations == "auto" else None
    copies = settings.augmented_copies if augmented else 0
    passes = len(split) + copies * int((split == "train").sum())
    if settings.cache_activations == "never":
        reason = "fine_tune.cache_activations is never"
    elif cut is None:
        reason = f"there is no place to cut {network.name} at"
    elif passes >= settings.epochs * len(split):
        reason = f"{settings.epochs} epochs are not more than the passes of {copies} copies"
    else:
        shape = cut.frozen.output[OUTPUT].shape[1:]
        size = int(np.prod(shape)) * np.dtype(settings.activations_dtype).itemsize
        gigabytes = passes * size / 1e9
        kept = f"{size / 1e3:.0f} kB for each of {passes} images and copies, {gigabytes:.2f} GB"
        if gigabytes <= settings.activations_gigabytes:
            print(f"frozen layers up to {cut.layer} pass once: {kept}", flush=True)
            return Plan(cut, copies, gigabytes)
        reason = f"{kept}, are more than fine_tune.activations_gigabytes"
    print(f"frozen layers pass in every epoch: {reason}", flush=True)
    return None


def activations(
    chosen: Plan, provenance: dict, images: FineTuningImages, settings: FineTune, folder: Path
) -> tuple[np.ndarray, AugmentedRows | None]:
    """Pass images, and copies of training images, through the frozen layers, into `folder`.

    Returns the images' activations, memory-mapped, activations_dtype (n, ...), and with copies what
    to train on. `provenance`: of the features, by whose engine they are computed, always at float32
    as the network that is saved. Raises UserError when numbers are too large for activations_dtype.
    """
    source = images.source
    if chosen.gigabytes > source.runtime.store_gigabytes / 2:  # it would drive all else out
        source = source._replace(runtime=source.runtime.model_copy(update={"store": None}))
    of_features = {name: value for name, value in provenance.items() if name != "ranges"}  # of int8
    provenance = of_features | {"precision": "float32", "layer": chosen.cut.layer}
    network = frozen_backbone.of_lower(chosen.cut.frozen, chosen.cut.layer, provenance)
    dtype = settings.activations_dtype
    with store.open_store(source.runtime) as kept:
        extract.run_network(network, source, folder / "frozen", kept, None, dtype)
        plain = np.load(folder / f"frozen/{OUTPUT}.npy", mmap_mode="r")
        if not chosen.copies:
            return plain, None
        train = np.flatnonzero(images.split == "train")
        files, digests = ([each[row] for row in train] for each in (source.images, source.digests))
        of_train = source._replace(images=files, digests=digests)
        copies = augmented_copies(digests, chosen.copies, images.augmentation)
        extract.run_network(network, of_train, folder / "copies", kept, copies, dtype)
    augmented = np.load(folder / f"copies/{OUTPUT}.npy", mmap_mode="r")
    return plain, AugmentedRows(plain, augmented, train, settings.seed)


def to_train(
    network: JoinedNetwork,
    first: int,
    images: FineTuningImages,
    settings: FineTune,
    provenance: dict,
    folder: Path,
) -> Trained:
    """Return what trains, and on what: `network` is unfrozen from its layer `first` on.

    That is the part above the frozen layers, on their activations, where `plan` caches these; else
    the whole network on pixels, which are augmented in each batch. Files lie in `folder`; the rest
    is as for `plan` and `activations`.
    """
    augmented = augments(images.augmentation)
    chosen = plan(network.backbone, first, settings, augmented, images.split)
    if chosen:
        inputs, rows = activations(chosen, provenance, images, settings, folder)
        top = processor_form.arrange(chosen.cut.top)
        return Trained(classifier.join(top, network.head, network.pooling), inputs, rows, None)
    loader = images.source.loader(network.joined.input_shape[1])
    backbone = processor_form.arrange(network.backbone)
    joined = classifier.join(backbone, network.head, network.pooling)
    augment = of_batch(images.augmentation) if augmented else None
    return Trained(joined, loader.to_file(images.source.images, folder), None, augment)
