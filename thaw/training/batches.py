"""Batches of rows for training, read from arrays that may be larger than the memory."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
import tensorflow as tf

from thaw.features import arrays
from thaw.features.arrays import AugmentedRows
from thaw.images.loader import slices
from thaw.training.settings import Training

CHUNK = 2**21  # bytes; some copies of it are on the way at once
STEPS = 32  # that a compiled function makes in one call, at most; Ctrl-C waits for them


class Batches(NamedTuple):
    """What to train on and to validate on, and the generators that draw the training batches."""

    train: tf.data.Dataset
    validation: tf.data.Dataset
    generators: list[np.random.Generator]


def dataset(
    inputs,
    classes: np.ndarray,
    rows: np.ndarray,
    batch_size: int,
    random: np.random.Generator | None = None,
) -> tf.data.Dataset:
    """Return batches of (inputs[rows], classes[rows]), none of the rows left out.

    With `random` the order is new every time that the data set is gone through, else it is that of
    `rows` (int). `inputs` may be memory-mapped: no more than about CHUNK bytes are read at a time.
    """
    parts = slices(len(rows), batch_size)
    one = inputs[rows[:1]]
    chunk = max(1, CHUNK // (one.nbytes * batch_size))

    def chunks():
        """Yield the rows of many batches at once, as each turn of Python costs as much as a step.

        The last batch comes alone, for it is of another size.
        """
        order = rows if random is None else random.permutation(rows)
        most = range(0, len(parts) - 1, chunk)
        for group in [*(parts[:-1][start : start + chunk] for start in most), parts[-1:]]:
            chosen = np.concatenate([np.sort(order[part]) for part in group])
            yield arrays.take(inputs, chosen), classes[chosen], group[-1].stop - group[-1].start

    signature = (
        tf.TensorSpec((None, *one.shape[1:]), one.dtype),
        tf.TensorSpec((None,), classes.dtype),
        tf.TensorSpec((), "int64"),
    )
    found = tf.data.Dataset.from_generator(chunks, output_signature=signature)
    found = found.flat_map(
        lambda x, y, size: tf.data.Dataset.from_tensor_slices((x, y)).batch(size)
    )
    options = tf.data.Options()
    # There is nothing to tune, and the end of an iterator waits for the tuner's next turn, whose
    # turns come 10, 20, 40, ... ms apart: up to as long as the training took.
    options.autotune.enabled = False
    found = found.apply(tf.data.experimental.assert_cardinality(len(parts))).prefetch(2)
    return found.with_options(options)


def train_and_validation(
    inputs: np.ndarray,
    classes: np.ndarray,
    split: pd.Series,
    settings: Training,
    augmented: AugmentedRows | None = None,
) -> Batches:
    """Return the training rows, shuffled every epoch, and the validation rows, in order.

    With `augmented`, training rows are read from that.
    """
    train, validation = (np.flatnonzero(split == part) for part in ("train", "validation"))
    size, random = settings.batch_size, np.random.default_rng(settings.seed)
    return Batches(
        dataset(inputs if augmented is None else augmented, classes, train, size, random),
        dataset(inputs, classes, validation, size),
        [random] if augmented is None else [random, augmented.random],
    )


def varied(
    batches: Batches,
    seed: int,
    augment: Callable[[tf.Tensor, tf.Tensor], tf.Tensor] | None,
    mix: Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple] | None,
) -> Batches:
    """Return batches whose training part is augmented and then mixed, each batch by its own seed.

    `augment` and `mix` are as `augmentation` and `mixing` give them by `of_batch`; None for not.
    The batches' seeds, int64 from 0 to 2**31, are drawn when an epoch begins, by a generator that
    starts at `seed`; so a training that was interrupted goes on with the same ones.
    """
    if augment is None and mix is None:
        return batches
    random, count = np.random.default_rng([seed, 1]), len(batches.train)  # apart from the order's
    signature = tf.TensorSpec((), "int64")
    seeds = tf.data.Dataset.from_generator(
        lambda: iter(random.integers(2**31, size=count)), output_signature=signature
    )

    def change(batch, seed):
        x, truth = batch
        x = x if augment is None else augment(x, seed)
        return (x, truth) if mix is None else mix(x, truth, seed)

    train = tf.data.Dataset.zip(batches.train, seeds).map(change)
    train = train.apply(tf.data.experimental.assert_cardinality(count)).prefetch(2)
    return Batches(train, batches.validation, [*batches.generators, random])


def steps_at_once(batches: tf.data.Dataset, batch_size: int) -> int:
    """Return how many steps to make in one call: those of a CHUNK, and STEPS at most."""
    inputs = batches.element_spec[0]
    size = batch_size * int(np.prod(inputs.shape[1:])) * inputs.dtype.size
    return min(STEPS, max(1, CHUNK // size))
