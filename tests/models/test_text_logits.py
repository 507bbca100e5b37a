import numpy as np
import pytest

from thaw.features.arrays import directions
from thaw.models.text_logits import Norm, TextLogits

RANDOM = np.random.default_rng(0)
POOLED = RANDOM.normal(2, 1, (7, 5)).astype("float32")
PROJECTION = RANDOM.normal(size=(5, 4)).astype("float32")


def fit(projection, norm=None, bias: float = 0.0) -> TextLogits:
    width = 5 if projection is None else 4
    texts = directions(np.random.default_rng(1).normal(size=(3, width)))
    return TextLogits(texts, norm, projection, 30.0, bias)


def test_logits_are_scaled_cosines():
    given = fit(PROJECTION, bias=-7.0)
    logits = given(POOLED)
    assert (logits.shape, logits.dtype) == ((7, 3), np.dtype("float32"))
    image = POOLED[6] @ PROJECTION
    cosine = image @ given.embeddings[2] / np.linalg.norm(image)
    assert logits[6, 2] == pytest.approx(30 * cosine - 7, abs=1e-4)


def test_a_normalisation_comes_before_the_projection():
    norm = Norm(np.array([1, 2, 0.5, 3, 1]), np.array([0.1, 0, -2, 1, 0]), 1e-5)
    image = (POOLED[1] - POOLED[1].mean()) / np.sqrt(POOLED[1].var() + 1e-5)
    image = (image * norm.gamma + norm.beta) @ PROJECTION
    given = fit(PROJECTION, norm)
    expected = 30 * given.embeddings @ image / np.linalg.norm(image)
    assert given(POOLED)[1] == pytest.approx(expected, abs=1e-4)


@pytest.mark.parametrize("projection", [PROJECTION, None])
def test_a_linear_head_differs_by_a_factor_for_each_image(projection):
    """The length of its embedding by the mean one."""
    given = fit(projection)
    kernel, bias = given.linear(POOLED)
    assert (kernel.shape, bias.shape) == ((5, 3), (3,))
    factors = (POOLED @ kernel + bias) / given(POOLED)
    embeddings = POOLED if projection is None else POOLED @ projection
    lengths = np.linalg.norm(embeddings, axis=1)
    assert factors == pytest.approx(np.tile(lengths / lengths.mean(), (3, 1)).T, rel=1e-3)


def test_a_linear_head_has_the_bias():
    (kernel, bias), (same, more) = (fit(None, bias=each).linear(POOLED) for each in (0.0, -7.0))
    assert np.array_equal(kernel, same)
    assert more - bias == pytest.approx(-7)


def test_a_normalisation_of_one_deviation_is_linear():
    norm = Norm(np.array([1, 2, 0.5, 3, 1]), np.array([0.1, 0, -2, 1, 0]), 1e-5)
    pooled = np.stack([RANDOM.permutation(POOLED[0]) for _ in range(6)]) + np.arange(6)[:, None]
    kernel, bias = fit(PROJECTION, norm).linear(pooled)
    factors = (pooled @ kernel + bias) / fit(PROJECTION, norm)(pooled)
    assert np.ptp(factors, axis=1).max() < 1e-3
    assert factors.mean() == pytest.approx(1, abs=0.1)
