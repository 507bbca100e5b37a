"""The frozen lower part of a network, which fine-tuning passes once and not in every epoch."""

from pathlib import Path
from typing import NamedTuple

import keras
import numpy as np
import pandas as pd

from stages.lib import augmenting, classifier, extraction, frozen, pictures
from stages.lib.augmenting import Augmentation
from stages.lib.extraction import Source
from stages.lib.features import Varied
from stages.lib.fine_tuning import FineTune, Network


class Parts(NamedTuple):
    """A network in two: pixels -> {"trunk": activations}, and activations -> feature map.

    They share the network's layers, so training the top trains the network. layer: the trunk's
    last.
    """

    trunk: keras.Model
    top: keras.Model
    layer: str


class Plan(NamedTuple):
    """What to keep of the trunk: for each picture, and for some views of each training picture."""

    parts: Parts
    views: int
    gigabytes: float


def split(network: keras.Model, first: int) -> Parts | None:
    """Part a network at or below its layer of index `first`, where one tensor alone goes up.

    None where there is no such place with weights below, or only in the lower half of what is below
    `first`: then too little would be saved.
    """
    operations = network.operations  # in the order of computation, and more than the layers
    highest = operations.index(network.layers[first])
    makers = {id(operation.output): place for place, operation in enumerate(operations)}
    last_use = {makers[id(network.output)]: len(operations)}
    for place, operation in enumerate(operations):
        if not isinstance(operation, keras.layers.InputLayer):
            for tensor in keras.tree.flatten(operation.input):
                last_use[makers[id(tensor)]] = max(place, last_use.get(makers[id(tensor)], 0))
    for place in range(highest, highest // 2, -1):
        crossing = [made for made, used in last_use.items() if made < place <= used]
        below = operations[:place]
        if len(crossing) == 1 and any(getattr(each, "weights", None) for each in below):
            cut = operations[crossing[0]]
            trunk = keras.Model(network.inputs[0], {"trunk": cut.output}, name="trunk")
            return Parts(trunk, keras.Model(cut.output, network.output, name="top"), cut.name)
    return None


def plan(
    network: keras.Model, first: int, settings: FineTune, varies: bool, split_of: pd.Series
) -> Plan | None:
    """Decide whether to keep the trunk's activations, and say so; None for not.

    They are kept when that is asked for, possible, no larger than `trunk_gigabytes`, and fewer
    passes than the epochs would make. `varies`: whether training pictures are augmented;
    `split_of`: of the pictures that are used, train or validation.
    """
    parts = split(network, first) if settings.cache_trunk == "auto" else None
    views = settings.trunk_views if varies else 0
    passes = len(split_of) + views * int((split_of == "train").sum())
    if settings.cache_trunk == "never":
        reason = "fine_tune.cache_trunk is never"
    elif parts is None:
        reason = f"there is no place to part {network.name} at"
    elif passes >= settings.epochs * len(split_of):
        reason = f"{settings.epochs} epochs are not more than the passes of {views} views"
    else:
        shape = parts.trunk.output["trunk"].shape[1:]
        size = int(np.prod(shape)) * np.dtype(settings.trunk_dtype).itemsize
        gigabytes = passes * size / 1e9
        kept = f"{size / 1e3:.0f} kB for each of {passes} pictures and views, {gigabytes:.2f} GB"
        if gigabytes <= settings.trunk_gigabytes:
            print(f"frozen layers up to {parts.layer} pass once: {kept}", flush=True)
            return Plan(parts, views, gigabytes)
        reason = f"{kept}, are more than fine_tune.trunk_gigabytes"
    print(f"frozen layers pass in every epoch: {reason}", flush=True)
    return None


def activations(
    chosen: Plan,
    made_with: dict,
    source: Source,
    split_of: pd.Series,
    settings: FineTune,
    augmentation: Augmentation,
    folder: Path,
) -> tuple[np.ndarray, Varied | None]:
    """Pass pictures, and views of training pictures, through the trunk, into files in `folder`.

    Returns the pictures' activations, memory-mapped, trunk_dtype (n, ...), and with views what to
    train on. `made_with`: of the features, by whose engine the trunk is computed, always at float32
    as the network that is saved. Raises UserError when numbers are too large for trunk_dtype.
    """
    if chosen.gigabytes > source.runtime.store_gigabytes / 2:  # it would drive all else out
        source = source._replace(runtime=source.runtime.model_copy(update={"store": None}))
    made_with = made_with | {"precision": "float32", "layer": chosen.parts.layer}
    network = frozen.of_model(chosen.parts.trunk, made_with)
    extraction.write(network, source, folder / "trunk", None, settings.trunk_dtype)
    plain = np.load(folder / "trunk/trunk.npy", mmap_mode="r")
    if not chosen.views:
        return plain, None
    train = np.flatnonzero(split_of == "train")
    images, digests = ([each[row] for row in train] for each in (source.images, source.digests))
    of_train = source._replace(images=images, digests=digests)
    views = augmenting.views_of(digests, chosen.views, augmentation)
    extraction.write(network, of_train, folder / "views", views, settings.trunk_dtype)
    varied = np.load(folder / "views/trunk.npy", mmap_mode="r")
    return plain, Varied(plain, varied, train, settings.seed)


def to_train(
    network: Network,
    source: Source,
    split_of: pd.Series,
    settings: FineTune,
    augmentation: Augmentation,
    folder: Path,
) -> tuple[keras.Model, np.ndarray, Varied | None]:
    """Return what trains, its inputs by row, and what stands in for those of training rows.

    That is the part above the frozen layers, on their activations, where `plan` keeps these; else
    the whole network on pixels, behind the layers that vary them. Files lie in `folder`; the rest
    is as for `plan` and `activations`.
    """
    varies = augmenting.varies(augmentation)
    chosen = plan(network.backbone, network.first, settings, varies, split_of)
    if chosen:
        inputs, varied = activations(
            chosen, network.made_with, source, split_of, settings, augmentation, folder
        )
        return classifier.join(chosen.parts.top, network.head, network.head_spec), inputs, varied
    size, threads = network.joined.input_shape[1], source.runtime.threads
    inputs = pictures.decode(source.images, size, source.decoding, threads, folder)
    return augmenting.in_front(network.joined, augmentation, settings.seed), inputs, None
