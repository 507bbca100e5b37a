import keras
import numpy as np
import pytest
from pydantic import ValidationError
from ruamel.yaml import YAML

from tests.conftest import PLAIN_ADAM
from thaw.project.errors import UserError
from thaw.training import losses, optimizers
from thaw.training.settings import Loss, Training

SETTINGS = Training(**PLAIN_ADAM, learning_rate=0.05, epochs=7, patience=6, batch_size=8, seed=1)


def changed(**changes) -> Training:
    return Training(**SETTINGS.model_dump() | changes)


def rates(*steps: float, **changes) -> list[float]:
    """The learning rate after so many of 7 epochs of 5 steps."""
    schedule = optimizers.learning_rate(changed(**changes), 5)
    return [float(schedule(step)) for step in steps]


def test_schedules():
    assert optimizers.learning_rate(SETTINGS, 5) == 0.05
    assert rates(0, 17.5, 35, schedule="cosine") == pytest.approx([0.05, 0.025, 0], abs=1e-8)
    assert rates(0, 17.5, 35, schedule="exponential") == pytest.approx([0.05, 0.005, 0.0005])
    assert optimizers.learning_rate(changed(schedule="reduce_on_plateau"), 5) == 0.05


def test_warm_up():
    expected = [0.005, 0.045, 0.05, 0.05, 0.05]
    assert rates(0, 8, 9, 10, 34, warmup=2.0) == pytest.approx(expected)
    cosine = rates(0, 9, 10, 22.5, 35, warmup=2.0, schedule="cosine")
    assert cosine == pytest.approx([0.005, 0.05, 0.05, 0.025, 0], abs=1e-8)
    again = optimizers.WarmUp(keras.optimizers.schedules.CosineDecay(0.1, 9), 3)
    config = keras.optimizers.schedules.serialize(again)
    copy = keras.optimizers.schedules.deserialize(config)
    assert float(copy(7)) == pytest.approx(float(again(7)))
    with pytest.raises(ValidationError, match="warmup should be 0 with schedule reduce_on_plateau"):
        changed(warmup=1.0, schedule="reduce_on_plateau")


def test_averaging_is_over_epochs():
    momentum = [
        optimizers.build(changed(averaging=epochs), 40).ema_momentum for epochs in (0.5, 2.0, 0.01)
    ]
    assert momentum == pytest.approx([0.95, 0.9875, 0.0])
    assert not optimizers.build(SETTINGS, 40).use_ema
    assert optimizers.averaging(SETTINGS) == []


def test_plateau_callback():
    assert optimizers.callbacks(SETTINGS) == []
    (callback,) = optimizers.callbacks(changed(schedule="reduce_on_plateau"))
    assert (callback.monitor, callback.patience, callback.factor) == ("val_brier", 3, 0.1)


@pytest.mark.parametrize(
    ("changes", "kind", "decay"),
    [
        ({}, keras.optimizers.Adam, None),
        ({"weight_decay": 0.1}, keras.optimizers.Adam, 0.1),
        ({"optimizer": "adamw"}, keras.optimizers.AdamW, 0.0),
        ({"optimizer": "rmsprop"}, keras.optimizers.RMSprop, None),
        ({"optimizer": "sgd", "global_clipnorm": 2.0}, keras.optimizers.SGD, None),
    ],
)
def test_optimizers(changes, kind, decay):
    optimizer = optimizers.build(changed(**changes), 5)
    assert type(optimizer) is kind
    assert optimizer.weight_decay == decay
    assert optimizer.global_clipnorm == changes.get("global_clipnorm")
    if kind is keras.optimizers.SGD:
        assert optimizer.momentum == 0.9


def loss(smoothing: float, logits: int) -> keras.losses.Loss:
    settings = Loss(label_smoothing=smoothing, class_weights="none")
    return losses.build(settings, logits)


def test_smoothing():
    logits = np.array([[2.0, -1.0, 0.5], [0.1, 0.2, 3.0]], "float32")
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    for smoothing in (0.0, 0.3):
        truth = np.eye(3)[[0, 1]] * (1 - smoothing) + smoothing / 3
        expected = -(truth * np.log(probabilities)).sum(axis=1).mean()
        for shape in ((2,), (2, 1)):
            got = float(loss(smoothing, 3)(np.array([0, 1]).reshape(shape), logits))
            assert got == pytest.approx(expected, rel=1e-5)
    two = loss(0.2, 1)
    chance = 1 / (1 + np.exp(-2.0))
    expected = -(0.9 * np.log(chance) + 0.1 * np.log(1 - chance))
    assert float(two(np.array([[1]]), np.array([[2.0]]))) == pytest.approx(expected, rel=1e-5)


def weights(given) -> dict[int, float] | None:
    settings = Loss(label_smoothing=0.0, class_weights=given)
    return losses.class_weights(settings, np.array([0, 0, 0, 2, 1, 2]), ["a", "b", "c"])


def test_class_weights():
    assert weights("none") is None
    assert weights("balanced") == pytest.approx({0: 6 / 9, 1: 2.0, 2: 1.0})
    assert weights({"c": 3.0, "a": 1.0, "b": 0.5}) == {0: 1.0, 1: 0.5, 2: 3.0}
    for given in ({"a": 1.0, "b": 1.0}, {"a": 1.0, "b": 1.0, "c": 1.0, "d": 1.0}):
        with pytest.raises(
            UserError, match=r"\[loss.class_weights\]: '[cd]' is (missing|no class); "
        ):
            weights(given)


@pytest.mark.parametrize("name", ["adam", "adamw", "rmsprop", "sgd"])
def test_multipliers_scale_the_rate_and_begin_when_they_should(name):
    """Three weights of one gradient: at the full rate, at half, and from the third step on."""
    multipliers = [
        optimizers.LearningRateMultiplier(1.0, 0),
        optimizers.LearningRateMultiplier(0.5, 0),
        optimizers.LearningRateMultiplier(1.0, 2),
    ]
    settings = changed(optimizer=name, weight_decay=0.1)
    scaled = optimizers.build(settings, 5, multipliers)
    plain = optimizers.build(settings, 5)
    weights, alone = ([keras.Variable([2.0, -1.0]) for _ in multipliers] for _ in range(2))
    gradient = keras.ops.array([0.5, -0.5])
    for step in range(3):
        before = [weight.numpy() for weight in weights]
        scaled.apply([gradient] * 3, weights)
        plain.apply([gradient] * 3, alone)
        moved = [weight.numpy() - old for weight, old in zip(weights, before)]
        assert weights[0].numpy() == pytest.approx(alone[0].numpy(), rel=1e-6)
        assert (moved[2] != 0).all() == (step == 2)
        assert (moved[0] != 0).all()
        if step == 0:
            assert moved[1] == pytest.approx(moved[0] / 2, rel=1e-3)


def test_class_weights_of_digits_and_words_that_yaml_takes_for_others():
    read = YAML(typ="safe", pure=True).load("{0: 1.0, 2: 2.5, true: 3.0, '007': 4.0}")
    settings = Loss(label_smoothing=0.0, class_weights=read)
    names = ["0", "007", "2", "true"]
    assert losses.class_weights(settings, np.arange(4), names) == {0: 1.0, 1: 4.0, 2: 2.5, 3: 3.0}
    settings = Loss(label_smoothing=0.0, class_weights={7: 1.0, "1": 1.0})
    with pytest.raises(UserError) as error:
        losses.class_weights(settings, np.arange(2), ["007", "1"])
    assert str(error.value) == (
        "params.yaml [loss.class_weights]: '007' is missing; give each of 007, 1 a weight ('007' "
        "in quotes stays what it is)"
    )
