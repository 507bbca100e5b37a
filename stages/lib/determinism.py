"""Make a process repeat itself: the same inputs give the same bytes on the same machine."""

import keras
import tensorflow as tf


def make_deterministic(seed: int = 0) -> None:
    """Fix every random draw, and choose operations (of a GPU, say) that always add in one order."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()
