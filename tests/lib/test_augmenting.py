import keras
import numpy as np
import pytest

from stages.lib import augmenting
from stages.lib.errors import UserError

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


def test_no_two_kinds_of_change_go_together():
    """Half white, half black: which half is white after a flip, and which way it then turns."""
    flip, turn = augmenting.chain(settings(flip="horizontal", rotation=0.2), 3)
    pictures = np.zeros((500, 16, 16, 3), "float32")
    pictures[:, :, :8] = 255
    flipped = flip(pictures, training=True).numpy()[:, 0, 0, 0] < 100
    turned = turn(pictures, training=True).numpy()
    left = turned[:, 0].mean(axis=(1, 2)) > turned[:, -1].mean(axis=(1, 2))
    assert abs(np.corrcoef(flipped, left)[0, 1]) < 0.2


def test_by_seed_a_picture_varies_alike_in_any_batch():
    vary = augmenting.by_seed(settings(flip="horizontal", rotation=0.1, zoom=0.1, contrast=0.2))
    pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype("uint8")
    pixels[5] = pixels[4]
    seeds = augmenting.seeds(["a", "b", "c", "d", "e", "e"], 2)
    assert (seeds.shape, seeds.dtype) == ((6, 2), np.int64)
    assert seeds.min() >= 0
    assert len(np.unique(seeds[:5])) == 10
    all_six = vary(pixels, seeds[:, 0]).numpy()
    assert (all_six.shape, all_six.dtype) == ((6, 16, 16, 3), np.float32)
    assert np.array_equal(vary(pixels[::-1], seeds[::-1, 0]).numpy()[::-1], all_six)
    assert np.array_equal(all_six[4], all_six[5])
    assert not np.array_equal(vary(pixels, seeds[:, 1]).numpy(), all_six)
    with pytest.raises(UserError, match="views would be copies"):
        augmenting.by_seed(settings())


def test_variations_of_one_picture_differ_and_repeat():
    picture = PIXELS[0].astype("uint8")
    varied = augmenting.variations(picture, 7, settings(brightness=0.3, contrast=0.2))
    assert (varied.shape, varied.dtype) == ((7, 16, 16, 3), np.dtype("uint8"))
    assert len({each.tobytes() for each in varied} | {picture.tobytes()}) == 8
    again = augmenting.variations(picture, 7, settings(brightness=0.3, contrast=0.2))
    assert (varied == again).all()
    assert augmenting.variations(picture, 7, settings()).shape == (0, 16, 16, 3)
