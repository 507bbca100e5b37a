from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from keras import layers, ops

from tests.conftest import decoding, draw_images, runtime
from tests.training.test_unfreezing import settings
from thaw.features import extract, frozen_backbone, inference
from thaw.features.image_source import ImageSource
from thaw.features.store import FeatureStore, open_store
from thaw.images.loader import ImageLoader
from thaw.models import backbones, pretrained
from thaw.models.settings import Backbone
from thaw.project import files
from thaw.project.errors import UserError
from thaw.training import augmentation, frozen_activations, unfreezing
from thaw.training.frozen_activations import OUTPUT, FineTuningImages
from thaw.training.settings import Augmentation

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 64, 64, 3)).astype("float32")
PROVENANCE = {"engine": "openvino", "precision": "float32"}
FLIP = Augmentation(
    policy="none",
    flip="horizontal", rotation=0.0, translation=0.0, zoom=0.0, shear=0.0, brightness=0.0,
    contrast=0.0,
    fill_mode="nearest",
)  # fmt: skip
SPLIT = pd.Series(["train", "validation", "train", "train", "validation"])


def drawn(folder: Path, count: int, store: str | None = None) -> ImageSource:
    draw_images(folder / "images", {"red": count})
    images = sorted((folder / "images/red").iterdir())
    alone = runtime(workers=1, batch_size=2, store=store)
    return ImageSource(images, [*map(files.sha256, images)], decoding(), alone)


def lite() -> keras.Model:
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    return backbones.network("EfficientNetLite0", 64)


@pytest.mark.parametrize(
    ("unfreeze", "cut"),
    [(0.35, "block5b_add"), ("2 blocks", "block6c_add"), ("top_conv", "block7a_project_bn")],
)
def test_frozen_layers_and_top_are_the_network(unfreeze, cut):
    network = lite()
    expected = np.asarray(network([PIXELS]))
    parts = frozen_activations.cut_below(network, unfreezing.unfreeze(network, unfreeze))
    assert parts.layer == cut
    got = np.asarray(parts.top(parts.frozen(PIXELS)[OUTPUT]))
    assert np.array_equal(got, expected)
    assert not parts.frozen.trainable_weights
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
    assert frozen_activations.cut_below(branching(closed=True), 4).layer == "add"
    assert frozen_activations.cut_below(branching(closed=True), 3).layer == "first"
    assert frozen_activations.cut_below(branching(closed=False), 3).layer == "first"


def test_no_cut_is_between_the_parts_of_a_split():
    pixels = keras.Input((8, 8, 3), name="pixels")
    left, right = ops.split(layers.Conv2D(4, 3, name="first")(pixels), 2, axis=-1)
    left = layers.Conv2D(2, 3, padding="same", name="left")(left)
    joined = layers.Concatenate(name="joined")([left, right])
    network = keras.Model(pixels, layers.Conv2D(4, 3, name="last")(joined))
    names = [layer.name for layer in network.layers]
    for highest, cut in (("left", "first"), ("last", "joined")):
        assert frozen_activations.cut_below(network, names.index(highest)).layer == cut


@pytest.mark.parametrize("first", [0, 1])
def test_nothing_below_is_no_cut(first):
    assert frozen_activations.cut_below(branching(closed=True), first) is None


@pytest.mark.parametrize(
    ("changes", "augmented", "said"),
    [
        (
            {},
            False,
            "up to block5b_add pass once: 7 kB for each of 5 images and copies, 0.00 GB",
        ),
        ({}, True, "up to block5b_add pass once: 7 kB for each of 17 images"),
        ({"activations_dtype": "float16"}, False, "pass once: 4 kB for each of 5"),
        (
            {"cache_activations": "never"},
            False,
            "pass in every epoch: fine_tune.cache_activations is never",
        ),
        (
            {"epochs": 3},
            True,
            "in every epoch: 3 epochs are not more than the passes of 4 copies",
        ),
        ({"activations_gigabytes": 1e-6}, False, "are more than fine_tune.activations_gigabytes"),
        ({"unfreeze": "all"}, False, "there is no place to cut efficientnetlite0 at"),
    ],
)
def test_the_plan_and_what_is_said_of_it(changes, augmented, said, capsys):
    chosen = settings(**{"unfreeze": 0.35, "epochs": 9} | changes)
    network = lite()
    first = unfreezing.unfreeze(network, chosen.unfreeze)
    plan = frozen_activations.plan(network, first, chosen, augmented, SPLIT)
    assert said in capsys.readouterr().out
    assert (plan is not None) == ("once" in said)
    if plan:
        assert plan.copies == (4 if augmented else 0)


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_activations_of_images_and_copies(dtype, tmp_path):
    source = drawn(tmp_path, 5)
    chosen = settings(unfreeze=0.35, epochs=9, augmented_copies=3, activations_dtype=dtype)
    spec = Backbone(name="EfficientNetLite0", weights="imagenet", image_size=64)
    network = pretrained.load(spec, tmp_path)
    first = unfreezing.unfreeze(network, chosen.unfreeze)
    plan = frozen_activations.plan(network, first, chosen, True, SPLIT)
    plain, augmented = frozen_activations.activations(
        plan, PROVENANCE, FineTuningImages(source, SPLIT, FLIP), chosen, tmp_path
    )
    pixels = ImageLoader(64, source.decoding).stack(source.images)
    expected, flipped = (
        np.asarray(plan.cut.frozen(each.astype("float32"))[OUTPUT])
        for each in (pixels, pixels[:, :, ::-1])
    )
    tolerance = {
        "rtol": 0,
        "atol": float(np.abs(expected).max()) * (1e-5, 1e-3)[dtype == "float16"],
    }
    assert (plain.shape, plain.dtype) == (expected.shape, dtype)
    assert np.allclose(plain, expected, **tolerance)
    assert augmented.copies.shape == (3, 3, *expected.shape[1:])
    as_they_are = [
        [np.allclose(copy, expected[row], **tolerance) for copy in copies]
        for row, copies in zip([0, 2, 3], augmented.copies, strict=True)
    ]
    turned = [
        [np.allclose(copy, flipped[row], **tolerance) for copy in copies]
        for row, copies in zip([0, 2, 3], augmented.copies, strict=True)
    ]
    assert np.array_equal(as_they_are, ~np.array(turned))
    assert 0 < np.sum(turned) < 9


def test_too_large_for_float16_is_said(tmp_path):
    source = drawn(tmp_path, 2)
    pixels = keras.Input((8, 8, 3))
    network = frozen_backbone.of_model(keras.Model(pixels, {OUTPUT: pixels * 1000}), PROVENANCE)
    nowhere = FeatureStore(None, 1.0)
    extract.run_network(network, source, tmp_path / "float32", nowhere)
    with pytest.raises(UserError, match=r"\[fine_tune.activations_dtype\]: .* set it to float32"):
        extract.run_network(network, source, tmp_path / "float16", nowhere, None, "float16")


@pytest.mark.slow
def test_the_store_tells_cuts_dtypes_and_copies_apart(tmp_path, monkeypatch):
    """block6b_add and block6c_add are of one shape."""
    source = drawn(tmp_path, 3, store=str(tmp_path))
    lite_layers = [layer.name for layer in lite().layers]
    copies = augmentation.augmented_copies(source.digests, 2, FLIP)

    def computed(layer: str, dtype: str = "float32", copies=None) -> int:
        parts = frozen_activations.cut_below(lite(), lite_layers.index(layer) + 1)
        provenance = PROVENANCE | {"layer": parts.layer}
        folder = tmp_path / f"out{len(list(tmp_path.iterdir()))}"
        network = frozen_backbone.of_model(parts.frozen, provenance)
        with open_store(source.runtime) as kept:
            return extract.run_network(network, source, folder, kept, copies, dtype)

    assert computed("block6b_add") == 3
    assert computed("block6b_add") == 0
    assert computed("block6c_add") == 3
    assert computed("block6b_add", "float16") == 3
    assert computed("block6b_add", copies=copies) == 3
    monkeypatch.delattr(inference, "forward")  # which nothing needs that is in the store
    assert computed("block6b_add", copies=copies) == 0


def test_frozen_layers_drop_nothing():
    keras.utils.clear_session()
    network = backbones.network("EfficientNetB0", 32)
    rates = {each.name: each.rate for each in network.layers if isinstance(each, layers.Dropout)}
    first = unfreezing.unfreeze(network, "2 blocks")
    names = [layer.name for layer in network.layers]
    assert any(rates[name] and names.index(name) < first for name in rates)
    for name, rate in rates.items():
        expected = rate if names.index(name) >= first else 0.0
        assert network.get_layer(name).rate == expected
    parts = frozen_activations.cut_below(network, first)
    training, not_training = (
        np.asarray(parts.frozen(PIXELS[:, :32, :32], training=each)[OUTPUT])
        for each in (True, False)
    )
    assert np.array_equal(training, not_training)


def test_the_ranges_of_int8_are_in_no_key_of_activations(monkeypatch, tmp_path):
    """They are computed in float32, and would all be computed again after other training images."""
    found = []
    of_lower = lambda *given: found.append(given[-1]) or 1 / 0  # noqa: E731
    monkeypatch.setattr(frozen_activations.frozen_backbone, "of_lower", of_lower)
    chosen = SimpleNamespace(gigabytes=0.1, cut=SimpleNamespace(layer="x", frozen=None))
    source = SimpleNamespace(runtime=SimpleNamespace(store_gigabytes=5.0))
    of_int8 = {"engine": "openvino", "precision": "int8", "ranges": [[0.0, 1.0]]}
    with pytest.raises(ZeroDivisionError):
        frozen_activations.activations(
            chosen, of_int8, SimpleNamespace(source=source), None, tmp_path
        )
    assert found == [{"engine": "openvino", "precision": "float32", "layer": "x"}]
