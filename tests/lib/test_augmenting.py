import keras
import numpy as np
import pytest

from stages.lib import augmenting

SHARES = ("rotation", "shift", "zoom", "shear", "brightness", "contrast")
NONE = {"flip": "none", "fill": "nearest", **dict.fromkeys(SHARES, 0.0)}
PIXELS = np.random.default_rng(0).uniform(60, 200, (9, 16, 16, 3)).astype("float32")


def settings(**changes) -> augmenting.Augmentation:
    return augmenting.Augmentation(**NONE | changes)


@pytest.fixture
def identity() -> keras.Model:
    pixels = keras.Input((16, 16, 3))
    return keras.Model(pixels, keras.layers.Rescaling(1.0)(pixels))


CHANGES = [{"flip": "vertical"}, *({name: 0.3} for name in SHARES)]


@pytest.mark.parametrize("changes", CHANGES)
def test_each_varies_training_only(identity, changes):
    model = augmenting.in_front(identity, settings(**changes), seed=3)
    assert len(model.layers) == 2
    assert np.array_equal(model.predict(PIXELS, verbose=0), PIXELS)
    first, second = (np.asarray(model(PIXELS, training=True)) for _ in range(2))
    assert not np.allclose(first, PIXELS)
    assert not np.allclose(first, second)
    assert (first.min(), first.max()) >= (0, 0)
    assert first.max() <= 255


@pytest.mark.parametrize("changes", CHANGES)
def test_the_same_seed_varies_alike(identity, changes):
    got = []
    for seed in (3, 3, 4):
        model = augmenting.in_front(identity, settings(**changes), seed)
        got.append(np.asarray(model(PIXELS, training=True)))
    assert np.array_equal(got[0], got[1])
    assert not np.array_equal(got[0], got[2])


def test_none_adds_no_layer(identity):
    assert len(augmenting.in_front(identity, settings(), 1).layers) == 1


@pytest.mark.parametrize(("fill", "edge"), [("nearest", 100.0), ("constant", 0.0)])
def test_what_comes_in_from_outside(identity, fill, edge):
    model = augmenting.in_front(identity, settings(shift=0.5, fill=fill), seed=1)
    moved = np.asarray(model(np.full_like(PIXELS, 100.0), training=True))
    assert moved.min() == edge


def test_the_whole_chain_stands_in_order():
    every = settings(flip="horizontal", **dict.fromkeys(SHARES, 0.1))
    kinds = [type(layer).__name__ for layer in augmenting.chain(every, 1)]
    assert kinds == [
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomShear",
        "RandomBrightness",
        "RandomContrast",
    ]
