import keras
import numpy as np
import pytest

from thaw.project.errors import UserError
from thaw.training import augmentation
from thaw.training.settings import Augmentation

FRACTIONS = ("rotation", "translation", "zoom", "shear", "brightness", "contrast")
NONE = {"policy": "none", "flip": "none", "fill_mode": "nearest", **dict.fromkeys(FRACTIONS, 0.0)}
PIXELS = np.random.default_rng(0).uniform(60, 200, (9, 16, 16, 3)).astype("float32")


def settings(**changes) -> Augmentation:
    return Augmentation(**NONE | changes)


@pytest.fixture
def identity() -> keras.Model:
    pixels = keras.Input((16, 16, 3))
    return keras.Model(pixels, keras.layers.Rescaling(1.0)(pixels))


CHANGES = [{"flip": "vertical"}, *({name: 0.3} for name in FRACTIONS)]
CHANGES += [{"policy": "light"}, {"policy": "strong"}]


@pytest.mark.parametrize("changes", CHANGES)
def test_each_varies_training_only(identity, changes):
    model = augmentation.in_front(identity, settings(**changes), seed=3)
    assert len(model.layers) == 2 or "policy" in changes
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
        model = augmentation.in_front(identity, settings(**changes), seed)
        got.append(np.asarray(model(PIXELS, training=True)))
    assert np.array_equal(got[0], got[1])
    assert not np.array_equal(got[0], got[2])


def test_none_adds_no_layer(identity):
    assert len(augmentation.in_front(identity, settings(), 1).layers) == 1


@pytest.mark.parametrize(("fill_mode", "edge"), [("nearest", 100.0), ("constant", 0.0)])
def test_what_comes_in_from_outside(identity, fill_mode, edge):
    model = augmentation.in_front(identity, settings(translation=0.5, fill_mode=fill_mode), seed=1)
    moved = np.asarray(model(np.full_like(PIXELS, 100.0), training=True))
    assert moved.min() == edge


def test_the_whole_chain_stands_in_order():
    every = settings(flip="horizontal", **dict.fromkeys(FRACTIONS, 0.1))
    kinds = [type(layer).__name__ for layer in augmentation.chain(every, 1)]
    assert kinds == [
        "RandomFlip",
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomShear",
        "RandomBrightness",
        "RandomContrast",
    ]


def test_a_policy_comes_after_the_keys_and_changes_none_of_them():
    alone, both = (settings(rotation=0.1, policy=policy) for policy in ("none", "strong"))
    kinds = [type(layer).__name__ for layer in augmentation.chain(both, 1)]
    assert kinds == [
        "RandomRotation",
        "RandomTranslation",
        "RandomZoom",
        "RandomBrightness",
        "RandomContrast",
        "RandomColorDegeneration",
        "RandomErasing",
    ]
    light = [type(layer).__name__ for layer in augmentation.chain(settings(policy="light"), 1)]
    assert light == kinds[1:5]
    turned = [augmentation.chain(each, 1)[0](PIXELS, training=True) for each in (alone, both)]
    assert np.array_equal(*turned)
    every = settings(flip="horizontal", policy="strong", **dict.fromkeys(FRACTIONS, 0.1))
    seeds = [layer.seed for layer in augmentation.chain(every, 1)]
    assert len(set(seeds)) == len(seeds)


def test_no_two_kinds_of_change_go_together():
    """Half white, half black: which half is white after a flip, and which way it then turns."""
    flip, turn = augmentation.chain(settings(flip="horizontal", rotation=0.2), 3)
    images = np.zeros((500, 16, 16, 3), "float32")
    images[:, :, :8] = 255
    flipped = flip(images, training=True).numpy()[:, 0, 0, 0] < 100
    turned = turn(images, training=True).numpy()
    left = turned[:, 0].mean(axis=(1, 2)) > turned[:, -1].mean(axis=(1, 2))
    assert abs(np.corrcoef(flipped, left)[0, 1]) < 0.2


@pytest.mark.parametrize("policy", ["none", "light", "strong"])
def test_by_seed_an_image_varies_alike_in_any_batch(policy):
    augment = augmentation.by_seed(
        settings(flip="horizontal", rotation=0.1, zoom=0.1, contrast=0.2, policy=policy)
    )
    pixels = np.random.default_rng(0).integers(0, 256, (6, 16, 16, 3)).astype("uint8")
    pixels[5] = pixels[4]
    seeds = augmentation.seeds(["a", "b", "c", "d", "e", "e"], 2)
    assert (seeds.shape, seeds.dtype) == ((6, 2), np.int64)
    assert seeds.min() >= 0
    assert len(np.unique(seeds[:5])) == 10
    all_six = augment(pixels, seeds[:, 0]).numpy()
    assert (all_six.shape, all_six.dtype) == ((6, 16, 16, 3), np.float32)
    assert np.array_equal(augment(pixels[::-1], seeds[::-1, 0]).numpy()[::-1], all_six)
    assert np.array_equal(all_six[4], all_six[5])
    assert not np.array_equal(augment(pixels, seeds[:, 1]).numpy(), all_six)
    with pytest.raises(UserError, match="augmented copies would be equal"):
        augmentation.augmented_copies(["a"], 1, settings())


def test_variations_of_one_image_differ_and_repeat():
    image = PIXELS[0].astype("uint8")
    augmented = augmentation.augmented_images(image, 7, settings(brightness=0.3, contrast=0.2))
    assert (augmented.shape, augmented.dtype) == ((7, 16, 16, 3), np.dtype("uint8"))
    assert len({each.tobytes() for each in augmented} | {image.tobytes()}) == 8
    again = augmentation.augmented_images(image, 7, settings(brightness=0.3, contrast=0.2))
    assert (augmented == again).all()
    assert augmentation.augmented_images(image, 7, settings()).shape == (0, 16, 16, 3)
