"""The training pictures that are most like a picture, by the frozen network's pooled features."""

from pathlib import Path
from typing import NamedTuple

import numpy as np

from stages.lib import (
    backbones,
    features,
    fingerprints,
    frozen,
    manifest,
    params,
    paths,
    pictures,
)
from stages.lib.errors import UserError
from stages.lib.runtime import Runtime

POOLING = "avg"  # which extract always keeps, whatever the head takes
NEEDED = (paths.MANIFEST, paths.SPLIT, paths.RAW, paths.FEATURES, paths.BACKBONE)


class Neighbour(NamedTuple):
    """A training picture: its file with its digest, its class, and the cosine similarity, -1..1."""

    path: Path
    sha256: str
    label: str
    similarity: float


class Training(NamedTuple):
    """The training pictures of a run.

    directions: float32 (n, channels), features of length 1. images, digests, labels: of the same
    rows.
    network, decoding: which made them, for more.
    """

    directions: np.ndarray
    images: list[Path]
    digests: list[str]
    labels: list[str]
    network: frozen.Network
    decoding: pictures.Pictures


def load() -> Training:
    """Return the training pictures of the run in the current folder.

    Raises UserError when parts of it are missing, or are not of these params.
    """
    missing = [str(path) for path in NEEDED if not path.exists()]
    if missing:
        raise UserError(f"{', '.join(missing)} missing; run `dvc pull {' '.join(missing)}`")
    spec = params.load(backbones.Backbone, "backbone")
    settings = params.load(features.Extract, "extract")
    decoding = params.load(pictures.Pictures, "pictures")
    made_with = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    made_with |= {"engine": settings.engine, "precision": settings.precision}
    fingerprints.check(features.fingerprint(paths.FEATURES), made_with, paths.FEATURES, "extract")
    everything = manifest.read(paths.MANIFEST)
    train = np.flatnonzero(manifest.read_split(paths.SPLIT, everything) == "train")
    rows = everything.iloc[train]
    values = features.load(paths.FEATURES, POOLING, len(everything))
    runtime = params.load(Runtime, "runtime")
    network = frozen.of_backbone(spec, settings, paths.BACKBONE, made_with, runtime)
    network.ready()  # now, and not while somebody waits for an answer
    return Training(
        directions(features.take(values, train)),
        manifest.image_paths(rows, paths.RAW),
        list(rows["sha256"]),
        list(rows["label"]),
        network,
        decoding,
    )


def nearest(training: Training, image: Path, count: int) -> list[Neighbour]:
    """Return the `count` training pictures most like the file `image`, the most alike first.

    Raises what Pillow's decoders raise.
    """
    pixels = pictures.load(image, training.network.size, training.decoding)
    [(_, outputs)] = training.network.ready()([(None, pixels[None])])
    similar = training.directions @ directions(outputs[POOLING])[0]
    best = np.argsort(-similar, kind="stable")[:count]
    return [
        Neighbour(
            training.images[row], training.digests[row], training.labels[row], float(similar[row])
        )
        for row in best
    ]


def directions(values: np.ndarray) -> np.ndarray:
    """Scale each row of float32 (n, channels) to length 1; a row of zeros stays."""
    lengths = np.linalg.norm(values, axis=1, keepdims=True)
    return values / np.maximum(lengths, np.finfo("float32").tiny)
