"""The training images that are most like an image, by the frozen network's pooled features."""

from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd

from thaw.data import manifest, value_range
from thaw.features import arrays, frozen_backbone, provenance
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.settings import Extract
from thaw.features.store import open_store
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone
from thaw.project import params, paths
from thaw.project.errors import UserError
from thaw.project.provenance import check_provenance
from thaw.project.settings import Runtime

NEEDED = (paths.MANIFEST, paths.SPLIT, paths.RAW, paths.FEATURES, paths.BACKBONE)


class Neighbour(NamedTuple):
    """A training image: its file with its digest, its class, and the cosine similarity, -1..1."""

    path: Path
    sha256: str
    label: str
    similarity: float


class TrainingImages(NamedTuple):
    """The training images of a run, and what computes the features of another image.

    rows: the manifest's rows of the training images. directions: float32 (n, channels), their
    features scaled to length 1; validation: the same of the validation images.
    """

    rows: pd.DataFrame
    directions: np.ndarray
    validation: np.ndarray
    loader: ImageLoader
    network: FrozenNetwork


def load() -> TrainingImages:
    """Return the training images of the run in the current folder.

    Raises UserError when parts of it are missing, or are not of these params.
    """
    missing = [str(path) for path in NEEDED if not path.exists()]
    if missing:
        raise UserError(f"{', '.join(missing)} missing", hint=f"run `dvc pull {' '.join(missing)}`")
    spec = params.load(Backbone, "backbone")
    settings = params.load(Extract, "extract")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(params.load(Decoding, "images"), rows)
    expected = provenance.of_features(spec, decoding, settings, paths.BACKBONE)
    found = arrays.read_provenance(paths.FEATURES)
    check_provenance(found, expected, paths.FEATURES, "extract")
    split = manifest.read_split(paths.SPLIT, rows)
    parts = [np.flatnonzero(split == name) for name in ("train", "validation")]
    features = arrays.load(paths.FEATURES, arrays.POOLING, len(rows))
    both = [arrays.directions(arrays.take(features, part)) for part in parts]
    with open_store(params.load(Runtime, "runtime")) as store:
        network = frozen_backbone.of_backbone(spec, settings, paths.BACKBONE, found, store)
    network.ready()  # now, and not while somebody waits for an answer
    loader = ImageLoader(network.size, decoding)
    return TrainingImages(rows.iloc[parts[0]], *both, loader, network)


def check_size(training: TrainingImages, loader: ImageLoader) -> None:
    """Raise UserError where a classifier takes images of another size than the frozen network."""
    if loader.size != training.loader.size:
        raise UserError(
            f"the classifier takes images of {loader.size} px and the features are of "
            f"{training.loader.size} px",
            hint="run `dvc repro`",
        )


def nearest(training: TrainingImages, image: Path, count: int) -> list[Neighbour]:
    """Return the `count` training images most like the file `image`, the most alike first.

    Raises what Pillow's decoders raise.
    """
    [outputs] = training.network.ready()([training.loader.stack([image])])
    similar = training.directions @ arrays.directions(outputs[arrays.POOLING])[0]
    best = np.argsort(-similar, kind="stable")[:count]
    return [
        Neighbour(paths.RAW / row.path, row.sha256, row.label, float(similarity))
        for row, similarity in zip(training.rows.iloc[best].itertuples(), similar[best])
    ]
