import keras
import numpy as np
import pandas as pd
import pytest

from thaw.models.tf_setup import make_deterministic
from tests.conftest import PLAIN_ADAM
from thaw.training import history, loop, losses, optimizers
from thaw.training.batches import train_and_validation
from thaw.training.settings import Loss, Training

SETTINGS = Training(**PLAIN_ADAM, learning_rate=0.05, epochs=7, patience=3, batch_size=8, seed=1)
LOSS = Loss(label_smoothing=0.0, class_weights="none")


def fit(model, data, log, settings=SETTINGS, loss=LOSS, weights=None):
    batches = train_and_validation(*data, settings)
    optimizer = optimizers.build(settings, len(batches.train))
    objective = losses.build(loss, model.output_shape[-1])
    loop.compile_for_training(model, optimizer, objective, batches.train, settings)
    return loop.fit(model, batches, settings, log, weights)


def blobs(count: int, classes: int, noise: float = 0.5):
    """Clouds around `classes` corners: float32 (n, 4), int32 (n,), a split."""
    random = np.random.default_rng(0)
    truth = random.integers(0, classes, count).astype("int32")
    inputs = (np.eye(4)[truth] * 3 + random.normal(0, noise, (count, 4))).astype("float32")
    split = pd.Series(random.choice(["train", "validation", "test"], count))
    return inputs, truth, split


def linear(classes: int) -> keras.Model:
    keras.utils.set_random_seed(1)
    return keras.Sequential(
        [keras.Input((4,)), keras.layers.Dense(1 if classes == 2 else classes, name="logits")]
    )


@pytest.mark.parametrize("classes", [2, 3])
def test_fit_learns_and_its_scores_are_those_of_the_best_weights(classes, tmp_path):
    inputs, truth, split = blobs(301, classes)
    model = linear(classes)
    best = fit(model, (inputs, truth, split), tmp_path / "log")
    chosen = (split == "validation").to_numpy()
    logits = model.predict(inputs[chosen], verbose=0)
    guess = (logits[:, 0] > 0) if classes == 2 else logits.argmax(axis=1)
    assert best["accuracy"] == pytest.approx((guess == truth[chosen]).mean(), abs=1e-6)
    assert best["accuracy"] > 0.95

    log = history.read(tmp_path / "log")
    names = "loss", "accuracy", "brier"
    assert set(log.columns) == {
        f"{part}/{name}" for part in ("train", "validation") for name in names
    }
    assert log.index[0] == 0
    assert np.isnan(log.loc[0, "train/loss"])  # before the first epoch nothing has trained
    assert log["validation/brier"].idxmin() == best["epoch"]
    for name in names:
        assert log[f"validation/{name}"][best["epoch"]] == best[name]
    assert not (tmp_path / "dvc.yaml").exists()


def test_a_rate_that_destroys_gives_back_the_weights_of_the_start(tmp_path):
    inputs, truth, split = blobs(301, 3, noise=3)
    model = linear(3)
    fit(model, (inputs, truth, split), tmp_path / "one")
    good = model.get_weights()
    mad = SETTINGS.model_copy(update={"learning_rate": 1e4, "patience": 2})
    best = fit(model, (inputs, truth, split), tmp_path / "two", mad)
    assert best["epoch"] == 0
    assert len(history.read(tmp_path / "two")) == 3  # the start and `patience` epochs
    for ours, theirs in zip(model.get_weights(), good, strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.slow
def test_validation_judges_the_average_and_training_goes_on_without_it(tmp_path):
    """An epoch is one step here, so two epochs of averaging halve the average in each."""
    data, kernels, logs = blobs(301, 3), {}, {}
    for averaging, epochs in [(0.0, 1), (0.0, 2), (0.0, 3), (2.0, 3)]:
        changes = {"averaging": averaging, "epochs": epochs, "batch_size": 512}
        model, name = linear(3), f"{averaging} {epochs}"
        best = fit(model, data, tmp_path / name, SETTINGS.model_copy(update=changes))
        assert best["epoch"] == epochs
        kernels[name], logs[name] = model.get_weights()[0], history.read(tmp_path / name)
    average = kernels["0.0 1"] / 4 + kernels["0.0 2"] / 4 + kernels["0.0 3"] / 2
    assert kernels["2.0 3"] == pytest.approx(average, rel=1e-5)
    plain, averaged = logs["0.0 3"], logs["2.0 3"]
    assert averaged["train/loss"].equals(plain["train/loss"])
    assert (averaged["validation/loss"] > plain["validation/loss"])[[2, 3]].all()


def test_the_same_seed_gives_the_same_weights(tmp_path):
    inputs, truth, split = blobs(101, 3)
    got = []
    for name in "ab":
        keras.utils.clear_session()
        make_deterministic(SETTINGS.seed)
        model = linear(3)
        fit(model, (inputs, truth, split), tmp_path / name)
        model.save_weights(tmp_path / f"{name}.weights.h5")
        got.append((tmp_path / f"{name}.weights.h5").read_bytes())
    assert got[0] == got[1]


@pytest.mark.parametrize(
    "changes",
    [
        {"optimizer": "adamw", "weight_decay": 0.004},
        {"optimizer": "rmsprop", "schedule": "exponential"},
        {"optimizer": "sgd", "warmup": 1.5, "global_clipnorm": 1.0},
        {"schedule": "reduce_on_plateau", "averaging": 0.5},
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_fit_learns_with_every_optimizer_and_schedule(classes, changes, tmp_path):
    loss = Loss(label_smoothing=0.1, class_weights="balanced")
    inputs, truth, split = blobs(301, classes)
    weights = losses.class_weights(loss, truth[split == "train"], list("abc")[:classes])
    settings = SETTINGS.model_copy(update=changes)
    best = fit(linear(classes), (inputs, truth, split), tmp_path / "log", settings, loss, weights)
    assert best["accuracy"] > 0.9


@pytest.mark.slow
def test_a_class_of_more_weight_is_taken_more_often(tmp_path):
    inputs, truth, split = blobs(301, 3, noise=3)
    taken = []
    for weights in (None, {0: 1.0, 1: 1.0, 2: 50.0}):
        model = linear(3)
        fit(model, (inputs, truth, split), tmp_path / str(weights), weights=weights)
        taken.append((model.predict(inputs, verbose=0).argmax(axis=1) == 2).mean())
    assert taken[1] > taken[0] + 0.2
