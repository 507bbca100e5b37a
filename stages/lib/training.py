"""What training the head and fine-tuning have in common: the settings, the loop and its log."""

import ctypes
import sys
from pathlib import Path
from typing import Annotated

import keras
import numpy as np
import tensorflow as tf
from dvclive import Live
from pydantic import Field

from stages.lib import feeding, files, optimizing
from stages.lib.optimizing import Loss, Optimizing

DIGITS = 6  # of every figure in the log


class Training(Optimizing):
    """How to train: the keys that train_head and fine_tune share."""

    epochs: Annotated[int, Field(ge=1)]
    patience: Annotated[int, Field(ge=1)]
    batch_size: Annotated[int, Field(ge=2)]
    seed: Annotated[int, Field(ge=0, lt=2**32)]


def keep_freed_memory() -> None:
    """Let the GNU C library keep what is freed, for the next step.

    By default it gives large blocks back, so each step takes its tensors from the system anew: a
    page fault for every 4 kB, a fifth of the time of fine-tuning. The price is up to a tenth more
    memory. Elsewhere than on Linux nothing happens.
    """
    mmap_max, trim_threshold = -4, -1  # of malloc.h
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt:
        mallopt(mmap_max, 0)
        mallopt(trim_threshold, 2**31 - 1)


def compile_for_logits(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss,
    steps: int = 1,
) -> None:
    """Compile for logits (n, 1) or (n, k > 2), with accuracy, and so many steps in one call."""
    if model.output_shape[-1] == 1:
        accuracy = keras.metrics.BinaryAccuracy("accuracy", threshold=0.0)
    else:
        accuracy = keras.metrics.SparseCategoricalAccuracy("accuracy")
    model.compile(optimizer, loss, metrics=[accuracy], steps_per_execution=steps)


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    settings: Training,
    loss: Loss,
    class_weights: dict[int, float] | None,
    log: Path,
    paces: list[optimizing.Pace] | None = None,
) -> dict[str, float]:
    """Train, stop early, and leave the model with its best weights.

    Best is the lowest validation loss; the weights at the start take part as epoch 0, so that
    training never makes a model worse on validation. Writes a DVCLive log into the folder `log`,
    and returns the best epoch's validation scores: epoch, loss, accuracy. The log's metrics.json
    has these below the folder's name, so that `dvc exp show` has short names for them. `paces` are
    those of the trainable weights, in their order.
    """
    prepare(model, train, settings, loss, paces)
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    print(f"{trainable:,} of {model.count_params():,} weights train", flush=True)
    with files.replacing(log) as folder:
        with _live(folder) as live:
            start = model.evaluate(validation, verbose=0, return_dict=True)
            best = Best(live, settings)
            best.set_model(model)
            best.on_epoch_end(-1, {f"val_{name}": value for name, value in start.items()})
            model.fit(
                train,
                validation_data=validation,
                epochs=settings.epochs,
                callbacks=[best, *optimizing.callbacks(settings, settings.patience)],
                class_weight=class_weights,
                shuffle=False,  # the data set does it
                verbose=0,
            )
        model.set_weights(best.weights)
        files.write_json(folder / "metrics.json", {log.name: summary(best.scores, trainable)})
    return best.scores


def summary(best: dict[str, float], trainable: int) -> dict[str, float]:
    """Return what is kept in Git of a training: the best epoch's scores on validation."""
    return {
        "val_accuracy": best["accuracy"],
        "val_loss": best["loss"],
        "epoch": best["epoch"],
        "trainable_parameters": trainable,
    }


def prepare(
    model: keras.Model,
    train: tf.data.Dataset,
    settings: Training,
    loss: Loss,
    paces: list[optimizing.Pace] | None = None,
) -> None:
    """Compile a model of logits to be trained on `train` as the settings say."""
    optimizer = optimizing.optimizer(settings, settings.epochs, len(train), paces)
    objective = optimizing.loss(loss, model.output_shape[-1])
    steps = feeding.steps_at_once(train, settings.batch_size)
    compile_for_logits(model, optimizer, objective, steps)


def _live(folder: Path) -> Live:
    return Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False)


class Best(keras.callbacks.Callback):
    """Log each epoch, keep the weights of the lowest validation loss, and stop after `patience`.

    `scores`: epoch (0 is before the first), loss and accuracy on validation, rounded. It stands in
    for Keras' EarlyStopping, which cannot count the start as an epoch: with its `baseline` it may
    go on past its patience, and restores weights that are worse than those of the start.
    """

    def __init__(self, live: Live, settings: Training):
        super().__init__()
        self.live, self.epochs, self.patience = live, settings.epochs, settings.patience
        self.scores: dict[str, float] = {}
        self.weights: list[np.ndarray] = []

    def on_epoch_end(self, epoch: int, logs: dict[str, float] | None = None) -> None:
        logs = {name: round(float(value), DIGITS) for name, value in logs.items()}
        self.live.step = epoch + 1
        for name, value in sorted(logs.items()):
            part = "validation" if name.startswith("val_") else "train"
            self.live.log_metric(f"{part}/{name.removeprefix('val_')}", value)
        line = "  ".join(f"{name} {value:.4f}" for name, value in logs.items())
        print(f"epoch {epoch + 1}/{self.epochs}  {line}", flush=True)
        if not self.scores or logs["val_loss"] < self.scores["loss"]:
            self.weights = self.model.get_weights()
            self.scores = {"epoch": epoch + 1, "accuracy": logs["val_accuracy"]}
            self.scores["loss"] = logs["val_loss"]
        elif epoch + 1 - self.scores["epoch"] >= self.patience:
            self.model.stop_training = True
