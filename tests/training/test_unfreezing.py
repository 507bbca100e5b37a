import keras
import numpy as np
import pytest
from keras import layers
from pydantic import ValidationError

from tests.conftest import PLAIN_ADAM, head_spec
from thaw.models import backbones, classifier, heads
from thaw.models.settings import Backbone
from thaw.project.errors import UserError
from thaw.training import batches, loop, losses, optimizers, unfreezing
from thaw.training.settings import FineTune, Loss

SETTINGS = PLAIN_ADAM | {
    "unfreeze": "all", "layer_decay": 1.0, "epochs_per_block": 0, "learning_rate": 0.01,
    "epochs": 2, "patience": 2, "batch_size": 8, "seed": 1,
    "cache_activations": "auto", "augmented_copies": 4, "activations_dtype": "float32",
    "activations_gigabytes": 4.0,
}  # fmt: skip
HEAD = head_spec()


def settings(**changes) -> FineTune:
    return FineTune(**SETTINGS | changes)


@pytest.fixture
def backbone() -> keras.Model:
    """Ten layers: pixels, then three times convolution, normalisation, activation."""
    keras.utils.set_random_seed(1)
    pixels = x = keras.Input((12, 12, 3), name="pixels")
    for number in range(3):
        x = layers.Conv2D(5, 3, padding="same", name=f"conv{number}")(x)
        x = layers.BatchNormalization(name=f"norm{number}")(x)
        x = layers.ReLU(name=f"relu{number}")(x)
    return keras.Model(pixels, x, name="small")


@pytest.mark.parametrize(
    ("amount", "first"),
    [("all", 0), (1.0, 0), (10, 0), (0.35, 6), (0.3, 7), (3, 7), ("conv1", 4), ("relu1", 6)],
)
def test_unfreeze(backbone, amount, first):
    assert unfreezing.unfreeze(backbone, amount) == first
    for index, layer in enumerate(backbone.layers):
        assert layer.trainable == (index >= first and not layer.name.startswith("norm")), layer.name
    names = {weight.path.split("/")[0] for weight in backbone.trainable_weights}
    assert names == {f"conv{n}" for n in range(3) if 1 + 3 * n >= first}


@pytest.mark.parametrize("amount", [1, 2, 0.01, "norm2"])
def test_unfreezing_no_weights_is_refused(backbone, amount):
    with pytest.raises(UserError, match="unfreezes no weights of small"):
        unfreezing.unfreeze(backbone, amount)


@pytest.mark.parametrize("amount", ["conv7", 11])
def test_unfreezing_what_is_not_there_is_refused(backbone, amount):
    with pytest.raises(UserError, match=r"params.yaml \[fine_tune.unfreeze\]: .*'all'"):
        unfreezing.unfreeze(backbone, amount)


@pytest.fixture(scope="module")
def lite() -> keras.Model:
    spec = Backbone(name="EfficientNetLite0", weights=None, image_size=32)
    return backbones.build(spec)


@pytest.mark.parametrize(
    ("amount", "name"),
    [
        ("1 block", "block7a_expand_conv"),
        ("3 blocks", "block6c_expand_conv"),
        ("16 blocks", "pixels"),
        ("from 1", "stem_conv"),
        ("from 29", "block3a_dwconv"),
    ],
)
def test_unfreeze_by_blocks_and_by_index(lite, amount, name):
    assert lite.layers[unfreezing.unfreeze(lite, amount)].name == name


def test_an_index_counts_as_in_keras_applications():
    theirs = keras.applications.MobileNetV2((96, 96, 3), include_top=False, weights=None)
    spec = Backbone(name="MobileNetV2", weights=None, image_size=96)
    ours = backbones.build(spec)
    first = ours.layers[unfreezing.unfreeze(ours, "from 100")]
    assert first.name == theirs.layers[100].name


@pytest.mark.parametrize("amount", ["0 blocks", "17 blocks", "from 0", "from 999", "2 block s"])
def test_blocks_that_are_not_there_are_refused(lite, amount):
    with pytest.raises(UserError, match=r"params.yaml \[fine_tune.unfreeze\]: .*'all'"):
        unfreezing.unfreeze(lite, amount)


def test_multipliers(lite):
    """The head at once, then block7a, block6d and block6c, each half as fast, 2 epochs apart."""
    joined = classifier.join(lite, heads.build(HEAD, (1280,), 3), "avg")
    unfreezing.unfreeze(lite, "3 blocks")
    chosen = settings(layer_decay=0.5, epochs_per_block=2, epochs=5)
    multipliers = unfreezing.multipliers(joined, lite, chosen, steps=10)
    by_block = {
        weight.path.split("/")[-2].split("_")[0]: multiplier
        for weight, multiplier in zip(joined.trainable_weights, multipliers, strict=True)
    }
    assert by_block == {
        "block6c": (0.125, 40),
        "block6d": (0.25, 20),
        "block7a": (0.5, 0),
        "top": (0.5, 0),
        "logits": (1.0, 0),
    }
    assert unfreezing.multipliers(joined, lite, settings(), steps=10) is None
    with pytest.raises(UserError, match=r"the last of 3 blocks begins after 4 epochs, and .* 4;"):
        unfreezing.multipliers(joined, lite, settings(epochs_per_block=2, epochs=4), steps=10)


@pytest.mark.parametrize("amount", [0, -1, 0.0, 1.01, True, None, [3]])
def test_unfreeze_is_checked_before_any_work(amount):
    with pytest.raises(ValidationError):
        settings(unfreeze=amount)


@pytest.mark.parametrize("amount", ["all", 1, 0.5, "conv1"])
def test_unfreeze_keeps_its_type(amount):
    got = settings(unfreeze=amount).unfreeze
    assert (got, type(got)) == (amount, type(amount))


def test_training_leaves_normalisation_and_frozen_layers_as_they_were(backbone, tmp_path):
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (33, 12, 12, 3)).astype("uint8")
    classes = (np.arange(33) % 3).astype("int32")
    joined = classifier.join(backbone, heads.build(HEAD, (5,), 3), "avg")
    unfreezing.unfreeze(backbone, "conv1")
    before = {weight.path: weight.numpy() for weight in joined.weights}
    chosen = settings()
    train = batches.dataset(pixels, classes, np.arange(20), 8, np.random.default_rng(1))
    validation = batches.dataset(pixels, classes, np.arange(20, 33), 8)
    loss = losses.build(Loss(label_smoothing=0.0, class_weights="none"), 3)
    loop.compile_for_logits(joined, optimizers.build(chosen, 3), loss)
    joined.fit(train, validation_data=validation, epochs=2, verbose=0)
    after = {weight.path: weight.numpy() for weight in joined.weights}
    changed = {
        path.split("/")[-2] for path in before if not np.array_equal(before[path], after[path])
    }
    assert {"conv1", "conv2"} < changed
    assert changed.isdisjoint({"conv0", "norm0", "norm1", "norm2"})
    assert len(changed) == 3  # the head's layer besides


def test_normalisation_of_the_head_stays_frozen_too():
    head = heads.build(head_spec(hidden=[5], batch_normalization=True), (4,), 3)
    unfreezing.freeze_normalization(head)
    assert [layer.trainable for layer in head.layers if layer.weights] == [True, False, True]
