import os
import threading
import time

import keras
import numpy as np
import pandas as pd
import pytest

from thaw.models.tf_setup import make_deterministic
from tests.conftest import PLAIN_ADAM
from thaw.features.arrays import AugmentedRows
from thaw.training import augmentation, checkpoints, loop, losses, mixing, optimizers
from thaw.training.batches import train_and_validation, varied
from thaw.training.optimizers import LearningRateMultiplier
from thaw.training.settings import Augmentation, Loss, Training

SETTINGS = Training(**PLAIN_ADAM, learning_rate=0.02, epochs=5, patience=5, batch_size=8, seed=1)
LOSS = Loss(label_smoothing=0.1, class_weights="balanced")
TURNED = Augmentation(
    policy="none",
    flip="horizontal", rotation=0.1, translation=0.0, zoom=0.2, shear=0.0, brightness=0.0,
    contrast=0.1, fill_mode="nearest",
)  # fmt: skip


def network(shape) -> keras.Model:
    """A network with all that has a state: normalization, dropout, weights of several layers."""
    x = inputs = keras.Input(shape)
    for layer in (
        keras.layers.Flatten(),
        keras.layers.Dense(7, "relu"),
        keras.layers.BatchNormalization(),
        keras.layers.Dropout(0.3),
        keras.layers.Dense(3),
    ):
        x = layer(x)
    return keras.Model(inputs, x)


VARIANTS = {
    "normalization and dropout": {},
    "augmented and mixed batches": {"augments": True},
    "cached copies": {"copies": True},
    "plateau": {"schedule": "reduce_on_plateau", "patience": 4, "learning_rate": 0.5},
    "schedule, clipping, decay": {
        "schedule": "cosine", "warmup": 1.5, "global_clipnorm": 1.0, "optimizer": "adamw",
        "weight_decay": 0.01,
    },
    "multipliers": {"multipliers": True},
    "averaged weights": {"averaging": 0.7, "warmup": 1.0, "schedule": "cosine"},
}  # fmt: skip

FAST = ("averaged weights",)


def interrupted(epoch: int, inside: bool) -> type[checkpoints.Saver]:
    """Return what raises KeyboardInterrupt before an epoch (from 0), or after its first batches."""

    class Interrupted(checkpoints.Saver):
        now = -1

        def on_epoch_begin(self, number, logs=None):
            super().on_epoch_begin(number, logs)
            self.now = number
            if number == epoch and not inside:
                raise KeyboardInterrupt

        def on_train_batch_end(self, batch, logs=None):
            if self.now == epoch:
                raise KeyboardInterrupt

    return Interrupted


def train(variant: dict, log, checkpoint=None):
    """Train anew, as a new process would; return weights, the optimizer's too, and the log."""
    changes = {name: value for name, value in variant.items() if name in Training.model_fields}
    settings = SETTINGS.model_copy(update=changes)
    keras.utils.clear_session()
    make_deterministic(settings.seed)
    random = np.random.default_rng(0)
    truth = random.integers(0, 3, 71).astype("int32")
    inputs = random.normal(truth[:, None, None, None], 2, (71, 6, 6, 3)).astype("float32")
    split = pd.Series(["train", "train", "validation"] * 23 + ["train"] * 2)
    rows, augmented = np.flatnonzero(split == "train"), None
    if variant.get("copies"):
        copies = random.normal(size=(len(rows), 2, 6, 6, 3)).astype("float32")
        augmented = AugmentedRows(inputs, copies, rows, settings.seed)
    model = network(inputs.shape[1:])
    batches = train_and_validation(inputs, truth, split, settings, augmented)
    weights = losses.class_weights(LOSS, truth[rows], list("abc"))
    if variant.get("augments"):
        mix, weights = mixing.of_batch(3, weights), None
        batches = varied(batches, settings.seed, augmentation.of_batch(TURNED), mix)
    rates = None
    if variant.get("multipliers"):
        count, steps = len(model.trainable_weights), len(batches.train)
        rates = [LearningRateMultiplier(0.5**depth, depth * steps) for depth in range(count)]
    optimizer = optimizers.build(settings, len(batches.train), rates)
    loop.compile_for_training(model, optimizer, losses.build(LOSS, 3), batches.train, settings)
    loop.fit(model, batches, settings, log, weights, checkpoint)
    logged = {path.name: path.read_bytes() for path in log.rglob("*") if path.is_file()}
    return [*model.get_weights(), *(each.numpy() for each in model.optimizer.variables)], logged


@pytest.mark.parametrize(
    "variant",
    [
        pytest.param(variant, id=name, marks=() if name in FAST else pytest.mark.slow)
        for name, variant in VARIANTS.items()
    ],
)
def test_an_interrupted_training_goes_on_and_ends_the_same(variant, tmp_path, monkeypatch, capsys):
    weights, logged = train(variant, tmp_path / "whole")
    file = tmp_path / "cache/x.npz"
    for epoch, inside in [(1, True), (3, False)]:  # twice, with one file
        monkeypatch.setattr(checkpoints, "Saver", interrupted(epoch, inside))
        with pytest.raises(KeyboardInterrupt):
            train(variant, tmp_path / "log", file)
        assert not (tmp_path / "log").exists()
    monkeypatch.undo()
    capsys.readouterr()
    again, logged_again = train(variant, tmp_path / "log", file)
    assert "an interrupted training goes on after its epoch 3\n" in capsys.readouterr().out
    for ours, theirs in zip(again, weights, strict=True):
        assert np.array_equal(ours, theirs)
    assert logged_again == logged


@pytest.mark.slow
def test_what_comes_after_the_epoch_is_not_in_its_checkpoint(tmp_path, monkeypatch):
    """A signal may come when the next epoch is logged already, and not yet compared."""
    weights, logged = train({}, tmp_path / "whole")
    plain, file = loop.BestEpoch._log, tmp_path / "x.npz"

    def log(best, row):
        plain(best, row)
        if best.epoch == 4:
            raise KeyboardInterrupt

    monkeypatch.setattr(checkpoints.Future, "done", lambda _: False)  # only `write` writes
    monkeypatch.setattr(loop.BestEpoch, "_log", log)
    with pytest.raises(KeyboardInterrupt):
        train({}, tmp_path / "log", file)
    monkeypatch.undo()
    assert len(checkpoints.read(file).rest["best"]["rows"]) == 4
    again, logged_again = train({}, tmp_path / "log", file)
    assert all(map(np.array_equal, again, weights))
    assert logged_again == logged


@pytest.mark.parametrize("averaging", [0.0, 0.5])
def test_one_that_had_ended_trains_no_more(averaging, tmp_path, monkeypatch):
    variant = {"patience": 1, "learning_rate": 3.0, "averaging": averaging}
    weights, logged = train(variant, tmp_path / "log", tmp_path / "x.npz")
    assert len((tmp_path / "log/plots/metrics/train/loss.tsv").read_text().splitlines()) < 6
    monkeypatch.setattr(keras.Model, "train_step", None)
    again, logged_again = train(variant, tmp_path / "again", tmp_path / "x.npz")
    assert len(weights) == len(again)
    assert all(map(np.array_equal, weights, again))
    assert logged_again == logged


@pytest.mark.parametrize("damage", [b"", b"no zip", pytest.param(None, marks=pytest.mark.slow)])
def test_a_damaged_checkpoint_is_none(tmp_path, damage):
    file = tmp_path / "x.npz"
    if damage is None:
        weights, _ = train({}, tmp_path / "log", file)
        assert checkpoints.read(file).rest["best"]["rows"]
        damage = file.read_bytes()[: file.stat().st_size // 2]
    file.write_bytes(damage)
    assert checkpoints.read(file) is None
    if len(damage) > 100:
        again, _ = train({}, tmp_path / "again", file)
        assert all(map(np.array_equal, weights, again))


def test_where_nothing_can_be_written_it_is_said_once_and_training_goes_on(tmp_path, capsys):
    (tmp_path / "cache").write_text("a file")
    train({}, tmp_path / "log", tmp_path / "cache/x.npz")
    assert capsys.readouterr().err.count("no checkpoint: ") == 1


def test_after_a_failed_write_the_next_epoch_is_written(tmp_path, monkeypatch, capsys):
    """A disk may have room again, and so may memory."""
    failures, plain = [OSError("no room"), MemoryError()], checkpoints.write

    def write(checkpoint, file):
        if failures:
            raise failures.pop(0)
        plain(checkpoint, file)

    monkeypatch.setattr(checkpoints, "write", write)
    monkeypatch.setattr(checkpoints.Future, "done", lambda self: not self.result())
    train({}, tmp_path / "log", tmp_path / "x.npz")
    assert capsys.readouterr().err.count("no checkpoint: ") == 1
    assert len(checkpoints.read(tmp_path / "x.npz").rest["best"]["rows"]) > 3


def test_writing_holds_up_no_epoch_and_ends_with_the_last(tmp_path, monkeypatch):
    """The first write ends when training has ended; then only the last epoch is written."""
    ended, written = threading.Event(), []

    def write(checkpoint, file):
        assert written or ended.wait(60)
        written.append(len(checkpoint.rest["best"]["rows"]))

    whole = checkpoints.Saver.on_train_end

    def on_train_end(saver, logs=None):
        whole(saver, logs)
        ended.set()

    monkeypatch.setattr(checkpoints, "write", write)
    monkeypatch.setattr(checkpoints.Saver, "on_train_end", on_train_end)
    train({}, tmp_path / "log", tmp_path / "x.npz")
    assert len(written) == 2
    assert written[0] == 2  # after the start and one epoch
    assert written[1] > 4


def test_each_training_has_a_file_of_its_own(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "user_cache_path", lambda name: tmp_path / name)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder/a.npy").write_bytes(b"a")
    (tmp_path / "file").write_bytes(b"b")
    inputs = tmp_path / "folder", tmp_path / "file"
    first = checkpoints.place("train_head", inputs, [SETTINGS])
    assert first.parent == tmp_path / "thaw/checkpoints"
    assert checkpoints.place("train_head", inputs, [SETTINGS]) == first
    others = [
        checkpoints.place("fine_tune", inputs, [SETTINGS]),
        checkpoints.place("train_head", inputs, [SETTINGS.model_copy(update={"seed": 2})]),
        checkpoints.place("train_head", inputs, [SETTINGS, LOSS]),
        checkpoints.place("train_head", inputs, [SETTINGS], devices=2),
    ]
    (tmp_path / "folder/deep").mkdir()
    (tmp_path / "folder/deep/a.txt").write_bytes(b"d")
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    (tmp_path / "folder/a.npy").write_bytes(b"c")
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    monkeypatch.setenv("ONEDNN_MAX_CPU_ISA", "SSE41")
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    monkeypatch.setattr(checkpoints.inference, "tensorflow_device", lambda: "a GPU")
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    monkeypatch.setattr(checkpoints.software, "versions", lambda names: dict.fromkeys(names, "1"))
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    monkeypatch.setattr(checkpoints.software, "identity", lambda places: {"code": places})
    others.append(checkpoints.place("train_head", inputs, [SETTINGS]))
    assert len({first, *others}) == 11


def test_old_files_go(tmp_path, monkeypatch):
    monkeypatch.setattr(checkpoints, "user_cache_path", lambda name: tmp_path)
    (tmp_path / "checkpoints").mkdir()
    for name, days in (("old", 15), ("new", 13)):
        file = tmp_path / f"checkpoints/{name}.npz"
        file.touch()
        os.utime(file, (time.time() - days * 86400,) * 2)
    (tmp_path / "checkpoints/partial-x").mkdir()
    os.utime(tmp_path / "checkpoints/partial-x", (0, 0))
    own = checkpoints.place("train_head", [], [])
    own.touch()
    os.utime(own, (0, 0))  # as by a clock that has jumped since
    assert checkpoints.place("train_head", [], []) == own
    assert own.exists()
    own.unlink()
    assert [path.name for path in (tmp_path / "checkpoints").iterdir()] == ["new.npz"]
