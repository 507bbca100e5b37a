import json
import subprocess
import sys

import keras
import numpy as np
import pandas as pd
import pytest

from stages.lib import optimizing, training
from stages.lib.determinism import make_deterministic
from tests.conftest import PLAIN_ADAM
from tests.imports import ROOT

SETTINGS = training.Training(
    **PLAIN_ADAM, learning_rate=0.05, epochs=7, patience=3, batch_size=8, seed=1
)
LOSS = optimizing.Loss(label_smoothing=0.0, class_weights="none")


def fit(model, data, log, settings=SETTINGS, loss=LOSS, weights=None):
    parts = training.batches(*data, settings)
    return training.fit(model, *parts, settings, loss, weights, log)


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


def test_batches_give_each_row_once_in_a_new_order():
    inputs, classes = np.arange(40) * 10, np.arange(40)
    batches = training.dataset(inputs, classes, np.arange(3, 20), 8, seed=1)
    assert len(batches) == 2  # 17 rows: 8 and 9, none of one
    orders = []
    for _ in range(2):
        parts = list(batches.as_numpy_iterator())
        assert [len(y) for _, y in parts] == [8, 9]
        assert all((x == y * 10).all() for x, y in parts)
        orders.append([y for _, part in parts for y in part])
        assert sorted(orders[-1]) == list(range(3, 20))
    assert orders[0] != orders[1]
    again = training.dataset(inputs, classes, np.arange(3, 20), 8, seed=1)
    assert [y for _, part in again.as_numpy_iterator() for y in part] == orders[0]


@pytest.mark.parametrize("chunk", [1, 100, 2**24])
def test_batches_are_the_same_however_many_are_read_at_once(chunk, monkeypatch):
    monkeypatch.setattr(training, "CHUNK", chunk)
    inputs = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    batches = training.dataset(inputs, np.arange(50), np.arange(0, 50, 2), 4, seed=1)
    parts = list(batches.as_numpy_iterator())
    assert [len(y) for _, y in parts] == [4, 4, 4, 4, 4, 5]
    assert all(np.array_equal(x, inputs[y]) and (np.diff(y) > 0).all() for x, y in parts)


def test_batches_without_seed_keep_their_order():
    batches = training.dataset(np.arange(40), np.arange(40), np.arange(11), 4)
    assert [y for _, part in batches.as_numpy_iterator() for y in part] == list(range(11))


def test_only_train_trains_and_only_validation_selects():
    inputs, classes, split = blobs(101, 3)
    parts = training.batches(inputs, classes, split, SETTINGS)
    for batches, name in zip(parts, ("train", "validation")):
        got = np.concatenate([x for x, _ in batches.as_numpy_iterator()])
        expected = inputs[split == name]
        assert np.array_equal(np.sort(got, axis=0), np.sort(expected, axis=0))


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

    log = training.read_log(tmp_path / "log")
    columns = {"train/loss", "train/accuracy", "validation/loss", "validation/accuracy"}
    assert set(log.columns) == columns
    assert log.index[0] == 0
    assert np.isnan(log.loc[0, "train/loss"])  # before the first epoch nothing has trained
    assert log["validation/loss"].idxmin() == best["epoch"]
    assert log["validation/loss"].min() == best["loss"]
    assert json.loads((tmp_path / "log/metrics.json").read_text()) == {
        "log": {
            "val_accuracy": best["accuracy"],
            "val_loss": best["loss"],
            "epoch": best["epoch"],
            "trainable_parameters": 5 if classes == 2 else 15,
        }
    }
    assert not (tmp_path / "dvc.yaml").exists()


def test_a_rate_that_destroys_gives_back_the_weights_of_the_start(tmp_path):
    inputs, truth, split = blobs(301, 3, noise=3)
    model = linear(3)
    fit(model, (inputs, truth, split), tmp_path / "one")
    good = model.get_weights()
    mad = SETTINGS.model_copy(update={"learning_rate": 1e4, "patience": 2})
    best = fit(model, (inputs, truth, split), tmp_path / "two", mad)
    assert best["epoch"] == 0
    assert len(training.read_log(tmp_path / "two")) == 3  # the start and `patience` epochs
    for ours, theirs in zip(model.get_weights(), good, strict=True):
        assert np.array_equal(ours, theirs)


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
        {"optimizer": "sgd", "warmup": 1.5, "clip_norm": 1.0},
        {"schedule": "reduce_on_plateau"},
    ],
)
@pytest.mark.parametrize("classes", [2, 3])
def test_fit_learns_with_every_optimizer_and_schedule(classes, changes, tmp_path):
    loss = optimizing.Loss(label_smoothing=0.1, class_weights="balanced")
    inputs, truth, split = blobs(301, classes)
    weights = optimizing.class_weights(loss, truth[split == "train"], list("abc")[:classes])
    settings = SETTINGS.model_copy(update=changes)
    best = fit(linear(classes), (inputs, truth, split), tmp_path / "log", settings, loss, weights)
    assert best["accuracy"] > 0.9


def test_a_class_of_more_weight_is_taken_more_often(tmp_path):
    inputs, truth, split = blobs(301, 3, noise=3)
    taken = []
    for weights in (None, {0: 1.0, 1: 1.0, 2: 50.0}):
        model = linear(3)
        fit(model, (inputs, truth, split), tmp_path / str(weights), weights=weights)
        taken.append((model.predict(inputs, verbose=0).argmax(axis=1) == 2).mean())
    assert taken[1] > taken[0] + 0.2


def test_nothing_tunes_the_data_set():
    """The end of an iterator would wait for the tuner's next turn, up to as long as training."""
    found = training.dataset(np.zeros((9, 4), "float32"), np.zeros(9, "int32"), np.arange(9), 4)
    assert found.options().autotune.enabled is False


@pytest.mark.parametrize(("shape", "steps"), [((4,), 32), ((1280,), 12), ((224, 224, 3), 1)])
def test_large_inputs_take_fewer_steps_at_once(shape, steps):
    """So that Ctrl-C is heard soon."""
    inputs = np.zeros((64, *shape), "float32")
    found = training.dataset(inputs, np.zeros(64, "int32"), np.arange(64), 32)
    assert training.steps_at_once(found, 32) == steps


@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library is Linux's")
def test_freed_memory_is_kept():
    """Blocks taken again and again cost page faults only once."""
    code = """
import ctypes, resource, sys
from stages.lib import training
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]
if sys.argv[1] == "keep":
    training.keep_freed_memory()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(20):
    block = libc.malloc(2**26)
    ctypes.memset(block, 1, 2**26)
    libc.free(block)
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""
    kept, given_back = (
        int(subprocess.check_output([sys.executable, "-c", code, how], cwd=ROOT))
        for how in ("keep", "give back")
    )
    assert kept < given_back / 5
