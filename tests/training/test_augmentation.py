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


def augmented(seed: int, pixels=PIXELS, **changes) -> np.ndarray:
    return augmentation.of_batch(settings(**changes))(pixels, np.int64(seed)).numpy()


CHANGES = [{"flip": "vertical"}, *({name: 0.3} for name in FRACTIONS)]
CHANGES += [{"policy": "light"}, {"policy": "strong"}]


@pytest.mark.parametrize("changes", CHANGES)
def test_each_varies_by_the_seed_and_stays_in_range(changes):
    first, second, again = (augmented(seed, **changes) for seed in (3, 4, 3))
    assert first.dtype == "float32"
    assert not np.allclose(first, PIXELS)
    assert not np.allclose(first, second)
    assert np.array_equal(first, again)
    black_and_white = np.where(PIXELS > 130, 255.0, 0.0).astype("float32")
    extreme = augmented(3, black_and_white, **changes)
    assert extreme.min() > -0.001
    assert extreme.max() < 255.001


@pytest.mark.parametrize(("fill_mode", "edge"), [("nearest", 100.0), ("constant", 0.0)])
def test_what_comes_in_from_outside(fill_mode, edge):
    moved = augmented(1, np.full_like(PIXELS, 100.0), translation=0.5, fill_mode=fill_mode)
    assert moved.min() == edge


def test_a_crop_is_a_part_of_the_image_as_large_and_of_a_shape_as_it_says():
    """Of a ramp in both directions the values at the corners say where the crop's corners were."""
    ramp = np.linspace(0, 255, 33)
    one = np.stack([*np.meshgrid(ramp, ramp, indexing="ij"), np.zeros((33, 33))], axis=-1)
    pixels = np.repeat(one[None], 300, axis=0).astype("float32")
    crop = augmentation.RandomResizedCrop(0.3, seed=1)
    assert np.array_equal(crop(pixels), pixels)  # but in training
    got = crop(pixels, training=True).numpy()
    top, left, bottom, right = got[:, 0, 0, 0], got[:, 0, 0, 1], got[:, -1, 0, 0], got[:, 0, -1, 1]
    assert np.allclose(got[:, :, 5, 0], np.linspace(top, bottom, 33, axis=1), atol=0.01)
    height, width = (bottom - top) / 255, (right - left) / 255
    assert max(height.max(), width.max()) <= 1.0001
    assert 0.299 < (height * width).min() < 0.33
    inner = np.maximum(height, width) < 0.999  # not cut off at the image's edge
    ratio = (height / width)[inner]
    assert 0.749 < ratio.min() < 0.8
    assert 1.25 < ratio.max() < 1.334
    assert top.min() < 13
    assert bottom.max() > 242


def test_the_whole_chain_stands_in_order():
    every = settings(flip="horizontal", **dict.fromkeys(FRACTIONS, 0.1))
    kinds = [type(layer).__name__ for layer in augmentation.chain(every)]
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
    kinds = [type(layer).__name__ for layer in augmentation.chain(both)]
    assert kinds == [
        "RandomRotation",
        "RandomResizedCrop",
        "RandomBrightness",
        "RandomContrast",
        "RandomColorDegeneration",
        "RandomErasing",
    ]
    assert augmentation.POLICIES["mixed"] == augmentation.POLICIES["strong"]
    light = [type(layer).__name__ for layer in augmentation.chain(settings(policy="light"))]
    assert light == kinds[1:4]
    turned = []
    for each in (alone, both):
        layers = augmentation.chain(each)
        augmentation.begin(layers, np.int64(1))
        turned.append(layers[0](PIXELS, training=True))
    assert np.array_equal(*turned)


def test_no_two_kinds_of_change_go_together():
    """Half white, half black: which half is white after a flip, and which way it then turns."""
    flip, turn = layers = augmentation.chain(settings(flip="horizontal", rotation=0.2))
    augmentation.begin(layers, np.int64(3))
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
