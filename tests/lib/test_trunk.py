from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers

from stages.lib import (
    augmenting,
    backbones,
    building,
    engines,
    extraction,
    fine_tuning,
    frozen,
    pictures,
    trunk,
)
from stages.lib.errors import UserError
from stages.lib.runtime import Runtime
from tests.conftest import draw_pictures
from tests.lib.test_fine_tuning import settings

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
MADE_WITH = {"engine": "openvino", "precision": "float32"}
FLIP = augmenting.Augmentation(
    flip="horizontal", rotation=0.0, shift=0.0, zoom=0.0, shear=0.0, brightness=0.0, contrast=0.0,
    fill="nearest",
)  # fmt: skip
SPLIT = pd.Series(["train", "validation", "train", "train", "validation"])


def drawn(folder: Path, count: int, store: str | None = None) -> extraction.Source:
    draw_pictures(folder / "pictures", {"red": count})
    images = sorted((folder / "pictures/red").iterdir())
    decoding = pictures.Pictures(upright=True, background=[255, 255, 255], reducing_gap=None)
    runtime = Runtime(workers=1, batch_size=2, store=store, store_gigabytes=1.0)
    return extraction.Source(images, [image.name for image in images], decoding, runtime)


def lite() -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    return building.network("EfficientNetLite0", 64)


@pytest.mark.parametrize(
    ("unfreeze", "cut"),
    [(0.35, "block5b_add"), ("2 blocks", "block6c_add"), ("top_conv", "block7a_project_bn")],
)
def test_trunk_and_top_are_the_network(unfreeze, cut):
    network = lite()
    expected = np.asarray(network([PIXELS]))
    parts = trunk.split(network, fine_tuning.unfreeze(network, unfreeze))
    assert parts.layer == cut
    got = np.asarray(parts.top(parts.trunk(PIXELS)["trunk"]))
    assert np.array_equal(got, expected)
    assert not parts.trunk.trainable_weights
    trained, all_trained = (
        [weight.path for weight in each.trainable_weights] for each in (parts.top, network)
    )
    assert trained == all_trained


def branching(closed: bool) -> keras.Model:
    """Two branches from the first convolution on, joined before the last one, or only after it."""
    pixels = keras.Input((8, 8, 3))
    x = layers.Conv2D(4, 3, padding="same", name="first")(pixels)
    y = layers.Conv2D(4, 3, padding="same", name="branch")(x)
    if closed:
        x = layers.Add(name="add")([x, y])
        return keras.Model(pixels, layers.Conv2D(4, 3, padding="same", name="last")(x))
    z = layers.Conv2D(4, 3, padding="same", name="last")(y)
    return keras.Model(pixels, layers.Add(name="add")([x, z]))


def test_the_cut_is_where_one_tensor_alone_goes_up():
    assert trunk.split(branching(closed=True), 4).layer == "add"
    assert trunk.split(branching(closed=True), 3).layer == "first"
    assert trunk.split(branching(closed=False), 3).layer == "first"


@pytest.mark.parametrize("first", [0, 1])
def test_nothing_below_is_no_trunk(first):
    assert trunk.split(branching(closed=True), first) is None


@pytest.mark.parametrize(
    ("changes", "varies", "said"),
    [
        ({}, False, "up to block5b_add pass once: 7 kB for each of 5 pictures and views, 0.00 GB"),
        ({}, True, "up to block5b_add pass once: 7 kB for each of 17 pictures"),
        ({"trunk_dtype": "float16"}, False, "pass once: 4 kB for each of 5"),
        ({"cache_trunk": "never"}, False, "pass in every epoch: fine_tune.cache_trunk is never"),
        ({"epochs": 3}, True, "in every epoch: 3 epochs are not more than the passes of 4 views"),
        ({"trunk_gigabytes": 1e-6}, False, "are more than fine_tune.trunk_gigabytes"),
        ({"unfreeze": "all"}, False, "there is no place to part efficientnetlite0 at"),
    ],
)
def test_the_plan_and_what_is_said_of_it(changes, varies, said, capsys):
    chosen = settings(**{"unfreeze": 0.35, "epochs": 9} | changes)
    network = lite()
    first = fine_tuning.unfreeze(network, chosen.unfreeze)
    plan = trunk.plan(network, first, chosen, varies, SPLIT)
    assert said in capsys.readouterr().out
    assert (plan is not None) == ("once" in said)
    if plan:
        assert plan.views == (4 if varies else 0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_activations_of_pictures_and_views(dtype, tmp_path):
    source = drawn(tmp_path, 5)
    chosen = settings(unfreeze=0.35, epochs=9, trunk_views=3, trunk_dtype=dtype)
    spec = backbones.Backbone(name="EfficientNetLite0", weights="imagenet", image_size=64)
    network = building.pretrained(spec, tmp_path)
    first = fine_tuning.unfreeze(network, chosen.unfreeze)
    plan = trunk.plan(network, first, chosen, True, SPLIT)
    plain, varied = trunk.activations(plan, MADE_WITH, source, SPLIT, chosen, FLIP, tmp_path)
    pixels = np.stack([pictures.load(image, 64, source.decoding) for image in source.images])
    expected, flipped = (
        np.asarray(plan.parts.trunk(each.astype("float32"))["trunk"])
        for each in (pixels, pixels[:, :, ::-1])
    )
    tolerance = {
        "rtol": 0,
        "atol": float(np.abs(expected).max()) * (1e-5, 1e-3)[dtype == "float16"],
    }
    assert (plain.shape, plain.dtype) == (expected.shape, dtype)
    assert np.allclose(plain, expected, **tolerance)
    assert varied.views.shape == (3, 3, *expected.shape[1:])
    as_they_are = [
        [np.allclose(view, expected[row], **tolerance) for view in views]
        for row, views in zip([0, 2, 3], varied.views, strict=True)
    ]
    turned = [
        [np.allclose(view, flipped[row], **tolerance) for view in views]
        for row, views in zip([0, 2, 3], varied.views, strict=True)
    ]
    assert np.array_equal(as_they_are, ~np.array(turned))
    assert 0 < np.sum(turned) < 9


def test_too_large_for_float16_is_said(tmp_path):
    source = drawn(tmp_path, 2)
    pixels = keras.Input((8, 8, 3))
    network = frozen.of_model(keras.Model(pixels, {"trunk": pixels * 1000}), MADE_WITH)
    extraction.write(network, source, tmp_path / "float32")
    with pytest.raises(UserError, match=r"\[fine_tune.trunk_dtype\]: .* set it to float32"):
        extraction.write(network, source, tmp_path / "float16", None, "float16")


def test_the_store_tells_cuts_dtypes_and_views_apart(tmp_path, monkeypatch):
    """block6b_add and block6c_add are of one shape."""
    source = drawn(tmp_path, 3, store=str(tmp_path))
    lite_layers = [layer.name for layer in lite().layers]
    views = augmenting.views_of(source.digests, 2, FLIP)

    def computed(layer: str, dtype: str = "float32", views=None) -> int:
        parts = trunk.split(lite(), lite_layers.index(layer) + 1)
        made_with = MADE_WITH | {"layer": parts.layer}
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        return extraction.write(
            frozen.of_model(parts.trunk, made_with), source, folder, views, dtype
        )

    assert computed("block6b_add") == 3
    assert computed("block6b_add") == 0
    assert computed("block6c_add") == 3
    assert computed("block6b_add", "float16") == 3
    assert computed("block6b_add", views=views) == 3
    monkeypatch.delattr(engines, "forward")  # which nothing needs that is in the store
    assert computed("block6b_add", views=views) == 0


def test_frozen_layers_drop_nothing():
    keras.utils.clear_session()
    network = building.network("EfficientNetB0", 32)
    rates = {each.name: each.rate for each in network.layers if isinstance(each, layers.Dropout)}
    first = fine_tuning.unfreeze(network, "2 blocks")
    names = [layer.name for layer in network.layers]
    assert any(rates[name] and names.index(name) < first for name in rates)
    for name, rate in rates.items():
        expected = rate if names.index(name) >= first else 0.0
        assert network.get_layer(name).rate == expected
    parts = trunk.split(network, first)
    training, not_training = (
        np.asarray(parts.trunk(PIXELS[:, :32, :32], training=each)["trunk"])
        for each in (True, False)
    )
    assert np.array_equal(training, not_training)
