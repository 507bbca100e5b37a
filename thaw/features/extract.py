"""The forward pass through the frozen backbone, from image files to `.npy` files."""

import functools
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.features import frozen_backbone, inference, outputs, store
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.image_source import AugmentedCopies, ImageSource
from thaw.features.provenance import of_features
from thaw.features.settings import Extract
from thaw.features.store import FeatureStore
from thaw.models.settings import Backbone
from thaw.project import engine

LARGEST = 10**8  # bytes of a shard's outputs


class Passing(NamedTuple):
    """What a host needs besides the network to pass a shard through it, as `run_network` does."""

    source: ImageSource
    copies: AugmentedCopies | None
    dtype: str


class Extracted(NamedTuple):
    """What features depend on, and of how many images they were found and computed."""

    provenance: dict
    found: int
    computed: int


def extract_features(
    spec: Backbone,
    settings: Extract,
    weights: Path,
    source: ImageSource,
    folder: Path,
    copies: AugmentedCopies | None = None,
) -> Extracted:
    """Write the features of images, or of augmented copies, into `folder`, a row for each image.

    `weights`: the file of the backbone's.
    """
    provenance = of_features(spec, source.decoding, settings, weights)
    with store.open_store(source.runtime) as kept:
        network = frozen_backbone.of_backbone(spec, settings, weights, provenance, kept, source)
        computed = run_network(network, source, folder, kept, copies)
    provenance |= {key: network.provenance[key] for key in {"ranges"} & network.provenance.keys()}
    provenance |= copies.provenance if copies else {}
    return Extracted(provenance, len(source.images) - computed, computed)


def run_network(
    network: FrozenNetwork,
    source: ImageSource,
    folder: Path,
    kept: FeatureStore,
    copies: AugmentedCopies | None = None,
    dtype: str = "float32",
) -> int:
    """Pass images or augmented copies through a network; write NAME.npy for each of its outputs.

    The files are dtype (n, *shape), or (n, copies, *shape). Returns how many images were computed,
    the others being in the store.
    """
    if source.runtime.engine == "ray":
        return _run_shards(network, source, folder, copies, dtype)
    count = copies.seeds.shape[1] if copies else None
    provenance = network.provenance | {"dtype": dtype}
    if copies:  # which TensorFlow makes, whatever computes their features
        provenance |= copies.provenance | {"copied_on": inference.tensorflow_device()}
    keys = store.keys({**provenance, "outputs": list(network.shapes)}, source.digests, count)
    loader = source.loader(network.size)
    augment = functools.cache(copies.make) if copies else None

    def batches(rows: np.ndarray) -> Iterator:
        chosen = [source.images[row] for row in rows]
        for part, pixels in loader.batches(chosen, source.runtime.batch_size, folder.name):
            if copies is None:
                yield rows[part], pixels
            for number in range(count or 0):
                place = rows[part], number
                yield place, augment()(pixels, copies.seeds[place]).numpy()

    return outputs.write_outputs(network, keys, batches, folder, kept, dtype)


def _run_shards(
    network: FrozenNetwork, source: ImageSource, folder: Path, copies: AugmentedCopies | None,
    dtype: str,
) -> int:  # fmt: skip
    """Do what `run_network` does by shards, each with the feature store of its host."""
    lead, seeds = (len(source.images),), [()] * len(source.images)
    if copies:
        lead, seeds = copies.seeds.shape, copies.seeds
    files = outputs.create(network, lead, folder, dtype)
    rows_of_one = int(np.prod(lead[1:]))
    size = rows_of_one * sum(file.row.nbytes for file in files.values())
    items = [*zip(source.images, source.digests, seeds, strict=True)]
    runtime = source.runtime.model_copy(update={"engine": "local"})
    alone = ImageSource((), (), source.decoding, runtime)
    task = functools.partial(
        pass_shard, passing=Passing(alone, copies and copies._replace(seeds=None), dtype)
    )
    prepare = functools.partial(
        frozen_backbone.unpacked, network.packed(), network.shapes, network.provenance
    )
    most, count = max(1, min(engine.SHARD, LARGEST // size)), 0
    for rows, (values, computed) in engine.map_shards(task, items, source.runtime, prepare, most):
        count += computed
        for name, file in files.items():
            file.write([rows.start * rows_of_one], values[name][None])
    for file in files.values():
        file.close()
    return count


def pass_shard(
    items: Sequence[tuple[Path, str, np.ndarray]], network: FrozenNetwork, passing: Passing
) -> tuple[dict[str, np.ndarray], int]:
    """Return the outputs by name of images (path, digest, seeds), and how many were computed."""
    images, digests, seeds = zip(*items, strict=True)
    source, copies = passing.source._replace(images=images, digests=digests), passing.copies
    if copies:
        from thaw.models.tf_setup import make_deterministic

        make_deterministic()
        copies = copies._replace(seeds=np.array(seeds))
    with tempfile.TemporaryDirectory() as scratch, store.open_store(source.runtime) as kept:
        folder = Path(scratch, "shard")
        computed = run_network(network, source, folder, kept, copies, passing.dtype)
        return {name: np.load(folder / f"{name}.npy") for name in network.shapes}, computed
