"""Images of none of the classes: how much less known an image looks than the validation images.

It is the larger of two sums, as an image may be of another kind of thing altogether, or of a class
that is much like the known ones:

- far: twice the distance to the training images, that is to the 5th nearest of them (Sun and
  others 2022, arXiv:2204.06507);
- near: the distance to the nearest one, compared with how far that one is from its own neighbours
  (Tax and Duin 1998; as in Breunig and others 2000, LOF), less how much the largest logit stands
  out (Hendrycks and others 2022, arXiv:1911.11132).

Each term is standardized by its mean and spread on the validation images. Distances are those of
the frozen network's pooled features at length 1; those of the fine-tuned network tell less.
docs/performance.md has what this is worth.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from thaw.calibration import quantile
from thaw.features.arrays import directions

NEIGHBOURS = 5
MOST = 4000  # references
BLOCK = 1024  # images whose distances are in memory at once
TINY = np.finfo("float32").tiny  # stands in for a probability, a length or a distance of 0


class Unknown(NamedTuple):
    """What tells images of none of the classes.

    references: features of training images at length 1, float16 (n, d). spacing: their distance to
    their own 5th neighbour, float32 (n,). standards: mean and standard deviation on the validation
    images of the terms that `terms` gives, by name. threshold: an image is unknown where its score
    is larger; None for no threshold.
    """

    references: np.ndarray
    spacing: np.ndarray
    standards: dict[str, tuple[float, float]]
    threshold: float | None

    def score(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return how unknown images look, float64 (m,): about 0 for most known ones.

        features: averaged ones of the frozen network, float32 (m, d); probabilities: those of the
        fine-tuned one, (m, k), before calibration.
        """
        found = terms(features, probabilities, self.references, self.spacing)
        standard = {
            name: (found[name] - mean) / spread for name, (mean, spread) in self.standards.items()
        }
        return np.maximum(2 * standard["far"], standard["near"] - standard["evidence"])

    def is_unknown(self, scores: np.ndarray) -> np.ndarray:
        """Return whether each image is unknown, bool (m,), by what `score` gave."""
        return scores > (math.inf if self.threshold is None else self.threshold)


def some(rows: np.ndarray) -> np.ndarray:
    """Return those of the training rows whose images are references: MOST at equal steps."""
    return rows[np.linspace(0, len(rows) - 1, min(len(rows), MOST)).astype(int)]


def fit(
    train: np.ndarray, features: np.ndarray, probabilities: np.ndarray, known: float | None
) -> Unknown:
    """Return what tells unknown images.

    train: features of the training images of `some`, float32 (n, d); features and probabilities, as
    in `score`: of the validation images. known: the fraction of new images of the classes that
    shall pass, in (0, 1); None for no threshold.
    """
    references = directions(train).astype("float16")
    spacing = _spacing(references)
    found = terms(features, probabilities, references, spacing)
    standards = {
        name: (float(each.mean()), float(each.std()) or 1.0) for name, each in found.items()
    }
    unknown = Unknown(references, spacing, standards, None)
    if known is None:
        return unknown
    threshold = quantile.upper(unknown.score(features, probabilities), known)
    return unknown._replace(threshold=threshold if math.isfinite(threshold) else None)


def terms(
    features: np.ndarray, probabilities: np.ndarray, references: np.ndarray, spacing: np.ndarray
) -> dict[str, np.ndarray]:
    """Return the three terms of images, float64 (m,) each, before they are standardized.

    far: the distance to the 5th nearest reference. near: to the nearest one, over its `spacing`.
    evidence: by how much the largest logit is above the mean of all, which depends on the
    probabilities alone.
    """
    far, near = [], []
    for similar in _similarities(features, references):
        far.append(_distance(_nth(similar)))
        near.append(_distance(similar.max(axis=1)) / spacing[similar.argmax(axis=1)])
    logits = np.log(np.maximum(np.asarray(probabilities, "float64"), TINY))
    evidence = logits.max(axis=1) - logits.mean(axis=1)
    return {"far": np.concatenate(far), "near": np.concatenate(near), "evidence": evidence}


def _spacing(references: np.ndarray) -> np.ndarray:
    """Return the distance of each reference to its own 5th neighbour, float32 (n,)."""
    found = []
    for similar in _similarities(references, references):
        start = sum(map(len, found))
        rows = np.arange(len(similar))
        similar[rows, start + rows] = -1.0  # not to itself
        found.append(_distance(_nth(similar)))
    return np.maximum(np.concatenate(found), 1e-3).astype("float32")  # of copies it would be 0


def _similarities(features: np.ndarray, references: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the cosines of some images at a time with all references, float32 (b, n)."""
    turned = references.astype("float32").T
    for start in range(0, len(features), BLOCK):
        yield directions(features[start : start + BLOCK].astype("float32")) @ turned


def _nth(similar: np.ndarray) -> np.ndarray:
    place = min(NEIGHBOURS, similar.shape[1])
    return np.partition(similar, -place, axis=1)[:, -place]


def _distance(cosine: np.ndarray) -> np.ndarray:
    return np.sqrt(np.maximum(2 - 2 * cosine.astype("float64"), 0))
