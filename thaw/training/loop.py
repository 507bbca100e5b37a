"""What training the head and fine-tuning have in common."""

from pathlib import Path

import keras
import numpy as np
import tensorflow as tf
from dvclive import Live

from thaw.project import files
from thaw.training import checkpoints, optimizers
from thaw.training.batches import Batches, steps_at_once
from thaw.training.best_epoch import BestEpoch, accuracy, brier
from thaw.training.settings import Training


def compile_for_logits(
    model: keras.Model,
    optimizer: keras.optimizers.Optimizer,
    loss: keras.losses.Loss,
    steps: int = 1,
) -> None:
    """Compile for logits (n, 1) or (n, k > 2), with scores, and so many steps in one call."""
    scores = [keras.metrics.MeanMetricWrapper(each, each.__name__) for each in (accuracy, brier)]
    model.compile(optimizer, loss, metrics=scores, steps_per_execution=steps)
    optimizer.build(model.trainable_variables)  # a checkpoint restores it before the first step


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
    batches: Batches,
    settings: Training,
    log: Path,
    class_weights: dict[int, float] | None = None,
    checkpoint: Path | None = None,
) -> dict[str, float]:
    """Train a compiled model, stop early, and leave it with its best weights.

    Best is the lowest Brier score on validation; the weights at the start take part as epoch 0, so
    that training never makes a model worse there. Writes a DVCLive log into the folder `log`, and
    returns the best epoch's validation scores: epoch, loss, accuracy, brier. With a `checkpoint` a
    training that was interrupted goes on after its last epoch there, and ends with the same bytes.
    """
    trainable = sum(int(np.prod(weight.shape)) for weight in model.trainable_weights)
    print(f"{trainable:,} of {model.count_params():,} weights train", flush=True)
    with files.replacing(log) as folder:
        with Live(str(folder), dvcyaml=None, report=None, save_dvc_exp=False) as live:
            best, plateau = BestEpoch(live, settings), optimizers.callbacks(settings)
            best.set_model(model)
            saver = checkpoints.Saver(checkpoint, best, plateau, batches.generators)
            if not best.rows:
                start = model.evaluate(batches.validation, verbose=0, return_dict=True)
                best.on_epoch_end(-1, {f"val_{name}": value for name, value in start.items()})
            try:
                model.fit(
                    batches.train,
                    validation_data=batches.validation,
                    initial_epoch=best.epoch,
                    epochs=best.epoch if best.has_ended else settings.epochs,
                    callbacks=[best, *optimizers.averaging(settings), *plateau, saver],
                    class_weight=class_weights,
                    shuffle=False,  # the data set does it
                    verbose=0,
                )
            finally:
                saver.write()  # also at the end, as there may be no room for the outputs
        model.set_weights(best.weights)
    return best.scores
