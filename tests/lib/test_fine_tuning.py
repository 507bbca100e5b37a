import keras
import numpy as np
import pytest
from keras import layers
from pydantic import ValidationError

from stages.lib import augmenting, classifier, features, fine_tuning, heads, optimizing, training
from stages.lib.errors import UserError
from tests.conftest import PLAIN_ADAM, head_spec

SETTINGS = PLAIN_ADAM | {
    "unfreeze": "all", "learning_rate": 0.01, "epochs": 2, "patience": 2, "batch_size": 8,
    "seed": 1,
}  # fmt: skip
AUGMENTATION = augmenting.Augmentation(
    flip="horizontal", rotation=0.1, shift=0.1, zoom=0.1, shear=0.1, brightness=0.1, contrast=0.1,
    fill="reflect",
)  # fmt: skip
HEAD = head_spec()


def settings(**changes) -> fine_tuning.FineTune:
    return fine_tuning.FineTune(**SETTINGS | changes)


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
    assert fine_tuning.unfreeze(backbone, amount) == first
    for index, layer in enumerate(backbone.layers):
        assert layer.trainable == (index >= first and not layer.name.startswith("norm")), layer.name
    names = {weight.path.split("/")[0] for weight in backbone.trainable_weights}
    assert names == {f"conv{n}" for n in range(3) if 1 + 3 * n >= first}


@pytest.mark.parametrize("amount", [1, 2, 0.01, "norm2"])
def test_thawing_no_weights_is_refused(backbone, amount):
    with pytest.raises(UserError, match="thaws no weights of small"):
        fine_tuning.unfreeze(backbone, amount)


@pytest.mark.parametrize("amount", ["conv7", 11])
def test_unfreezing_what_is_not_there_is_refused(backbone, amount):
    with pytest.raises(UserError, match=r"params.yaml \[fine_tune.unfreeze\]: .*'all'"):
        fine_tuning.unfreeze(backbone, amount)


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
    joined = classifier.join(backbone, heads.build(HEAD, (5,), 3), HEAD)
    fine_tuning.unfreeze(backbone, "conv1")
    before = {weight.path: weight.numpy() for weight in joined.weights}
    chosen = settings()
    model = augmenting.in_front(joined, AUGMENTATION, 1)
    train = training.Batches(pixels, classes, np.arange(20), 8, seed=1)
    validation = training.Batches(pixels, classes, np.arange(20, 33), 8)
    loss = optimizing.loss(optimizing.Loss(label_smoothing=0.0, class_weights="none"), 3)
    training.compile_for_logits(model, optimizing.optimizer(chosen, 2, 3), loss)
    model.fit(train, validation_data=validation, epochs=2, verbose=0)
    after = {weight.path: weight.numpy() for weight in joined.weights}
    changed = {
        path.split("/")[-2] for path in before if not np.array_equal(before[path], after[path])
    }
    assert {"conv1", "conv2"} < changed
    assert changed.isdisjoint({"conv0", "norm0", "norm1", "norm2"})
    assert len(changed) == 3  # the head's layer besides


def test_parity(backbone):
    head = heads.build(HEAD, (5,), 3)
    joined = classifier.join(backbone, head, HEAD)
    pixels = np.random.default_rng(0).integers(0, 256, (7, 12, 12, 3)).astype("uint8")
    cached = features.pooled(backbone, maps=False).predict(pixels, verbose=0)["avg"]
    assert fine_tuning.check_parity(joined, head, pixels, cached) < 1e-5
    with pytest.raises(UserError, match=r"differ by .* \(tolerance 0.001\).*--force extract"):
        fine_tuning.check_parity(joined, head, pixels, cached[::-1])
    with pytest.raises(UserError, match="differ by nan"):
        fine_tuning.check_parity(joined, head, pixels, cached * np.nan)


def test_normalisation_of_the_head_stays_frozen_too():
    head = heads.build(head_spec(hidden=[5], batch_normalization=True), (4,), 3)
    fine_tuning.freeze_normalization(head)
    assert [layer.trainable for layer in head.layers if layer.weights] == [True, False, True]
