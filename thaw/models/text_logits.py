"""How well texts fit images, by what a network pools of these. It needs neither Keras nor KerasHub.

As CLIP (Radford and others 2021, arXiv:2103.00020) and SigLIP (Zhai and others 2023,
arXiv:2303.15343): the cosine of the two embeddings times a scale, plus a bias.
"""

from pathlib import Path
from typing import NamedTuple

import numpy as np

PROVENANCE_FILE = "provenance.json"  # in the folder of what a network has for texts
WITH_TEXTS = "a preset of CLIP, MetaCLIP 2 or SigLIP, with its tokenizer"
POOLING = "cls"  # the features that texts are compared with
TEMPLATES = ("a photo of a {}",)  # {} is for the class


def kept(folder: Path) -> bool:
    """Return whether the stage backbone left anything for texts in its folder."""
    return (folder / "config.json").is_file()


class Norm(NamedTuple):
    """A layer normalisation: gamma and beta, float32 (c,), and epsilon."""

    gamma: np.ndarray
    beta: np.ndarray
    epsilon: float

    def deviation(self, pooled: np.ndarray) -> np.ndarray:
        """Return what it divides each image's features by, (n, 1)."""
        return np.sqrt(pooled.var(axis=1, keepdims=True) + self.epsilon)


class TextLogits(NamedTuple):
    """From what the network pools of images, float32 (n, c), to a logit for each text.

    embeddings: of the texts, float32 (k, d), each of length 1. norm: before the projection, or
    None. projection: float32 (c, d), or None where the network pools embeddings. scale, bias: of
    the cosines.
    """

    embeddings: np.ndarray
    norm: Norm | None
    projection: np.ndarray | None
    scale: float
    bias: float

    def __call__(self, pooled: np.ndarray) -> np.ndarray:
        """Return the logits, float32 (n, k)."""
        images = self._project(pooled)
        images = images / np.linalg.norm(images, axis=1, keepdims=True)
        return (images @ self.embeddings.T * self.scale + self.bias).astype("float32")

    def linear(self, pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the kernel, float32 (c, k), and the bias (k,) of a linear head like this.

        An image's embedding is not divided by its own length, but by the mean of those of `pooled`.
        So the likeliest class is the same, and logits differ by a factor for each image. Likewise a
        layer normalisation divides by its mean deviation, which may change classes, too.
        """
        kernel = self.embeddings.T
        if self.projection is not None:
            kernel = self.projection @ kernel
        bias = np.zeros(len(self.embeddings))
        if self.norm:
            bias = self.norm.beta @ kernel
            kernel = self.norm.gamma[:, None] * kernel
            # (x - mean of x) @ kernel is x @ (kernel - mean of its rows)
            kernel = (kernel - kernel.mean(axis=0)) / self.norm.deviation(pooled).mean()
        factor = self.scale / np.linalg.norm(self._project(pooled), axis=1).mean()
        return (kernel * factor).astype("float32"), (bias * factor + self.bias).astype("float32")

    def _project(self, pooled: np.ndarray) -> np.ndarray:
        if self.norm:
            centred = pooled - pooled.mean(axis=1, keepdims=True)
            pooled = centred / self.norm.deviation(pooled) * self.norm.gamma + self.norm.beta
        return pooled if self.projection is None else pooled @ self.projection
