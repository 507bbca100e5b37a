"""What training the head and fine-tuning have in common: the loop and its log."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from dvclive import Live

from thaw.project import files
from thaw.training import optimizers
from thaw.training.batches import steps_at_once
from thaw.training.settings import Training

DIGITS = 6  # of every figure in the log


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


def compile_for_training(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss,
    train: tf.data.Dataset,
    settings: Training,
) -> None:
    """Compile a model of logits for `fit` on `train`, with as many steps in a call as are fast."""
    compile_for_logits(model, optimizer, loss, steps_at_once(train, settings.batch_size))


def fit(
    model: keras.Model,
    train: tf.data.Dataset,
    validation: tf.data.Dataset,
    settings: Training,
    log: Path,
    class_weights: dict[int, float] | None = None,
) -> dict[str, float]:
    """Train a compiled model, stop early, and leave it with its best weights.

    Best is the lowest validation loss; the weights at the start take part as epoch 0, so that
    training never makes a model worse on validation. Writes a DVCLive log into the folder `log`,
    and returns the best epoch's validation scores: epoch, loss, accuracy.
    """
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    print(f"{trainable:,} of {model.count_params():,} weights train", flush=True)
    with files.replacing(log) as folder:
        with Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False) as live:
            start = model.evaluate(validation, verbose=0, return_dict=True)
            best = Best(live, settings)
            best.set_model(model)
            best.on_epoch_end(-1, {f"val_{name}": value for name, value in start.items()})
            model.fit(
                train,
                validation_data=validation,
                epochs=settings.epochs,
                callbacks=[best, *optimizers.callbacks(settings)],
                class_weight=class_weights,
                shuffle=False,  # the data set does it
                verbose=0,
            )
        model.set_weights(best.weights)
    return best.scores


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
