import numpy as np
import pytest

from thaw.training import losses, mixing
from thaw.training.settings import Loss

TRUTH = np.array([0, 2, 1, 2, 0, 1, 1], "int32")
COLOURS = np.array([10.0, 100.0, 250.0], "float32")  # by class
X = np.broadcast_to(COLOURS[TRUTH][:, None, None, None], (7, 12, 12, 3)).astype("uint8")
PLAIN, BLENDED, PASTED = 3, 4, 8  # seeds


def mixed(seed: int, x=X, truth=TRUTH, classes=3, weights=None) -> list[np.ndarray]:
    mix = mixing.of_batch(classes, weights)
    return [np.asarray(each) for each in mix(x, truth, np.int64(seed))]


def test_a_third_of_batches_stays_and_shares_are_what_an_image_has_of_each():
    for seed in (PLAIN, BLENDED, PASTED):
        x, shares, weight = mixed(seed)
        assert (x.shape, x.dtype, shares.shape) == (X.shape, np.float32, (7, 3))
        assert np.allclose(weight, 1)
        assert np.allclose(shares.sum(axis=1), 1)
        assert x.min() > 9.999
        assert x.max() < 250.001
        # What a colour's share of the mean is; a pasted part ends at whole pixels.
        close = 0.01 if seed != PASTED else 250 * 0.2
        assert np.allclose(x.mean(axis=(1, 2, 3)), shares @ COLOURS, atol=close)
        assert (len(np.unique(shares)) == 2) == (seed == PLAIN)
    assert np.array_equal(mixed(PLAIN)[0], X)
    assert len(np.unique(mixed(BLENDED)[0][0])) == 1
    assert set(np.unique(mixed(PASTED)[0])) == set(COLOURS)


@pytest.mark.parametrize("seed", [BLENDED, PASTED])
def test_the_same_seed_mixes_alike(seed):
    first, again, other = mixed(seed), mixed(seed), mixed(seed + 3)
    for ours, theirs in zip(first, again, strict=True):
        assert np.array_equal(ours, theirs)
    assert not np.array_equal(first[0], other[0])


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_of_a_mixed_image_is_the_mixture_of_both_weighted_losses(classes, smoothing):
    truth, weights = TRUTH % classes, {0: 0.5, 1: 3.0, 2: 7.0}
    random = np.random.default_rng(0)
    logits = random.normal(size=(7, 1 if classes == 2 else 3)).astype("float32")
    build = losses.build(
        Loss(label_smoothing=smoothing, class_weights="none"), logits.shape[1], True
    )
    for seed in (PLAIN, BLENDED, PASTED):
        _, plain, _ = mixed(seed, truth=truth, classes=classes)
        _, shares, weight = mixed(seed, truth=truth, classes=classes, weights=weights)
        each = plain if classes == 3 else np.stack([1 - plain, plain], axis=1)
        expected = sum(
            weights[number] * each[row, number] * build(np.array([number]), logits[row : row + 1])
            for row in range(7)
            for number in range(classes)
        )
        assert float(build(shares, logits, weight)) == pytest.approx(float(expected) / 7, rel=1e-5)


def test_tokens_are_blended_and_nothing_is_pasted_into_them():
    tokens = np.random.default_rng(0).normal(size=(7, 5, 4)).astype("float32")
    for seed in (BLENDED, PASTED):
        x, shares, _ = mixed(seed, tokens)
        assert x.shape == tokens.shape
        row = shares.max(axis=1).argmin()  # the most mixed
        near = np.abs(x[row] - tokens[row][None])
        assert (near > 0).all()
