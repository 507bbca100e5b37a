import keras
import numpy as np
import tensorflow as tf

from stages.lib.determinism import make_deterministic


def test_draws_repeat_and_operations_are_told_to(monkeypatch):
    told = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: told.append(1))
    draws = []
    for seed in (7, 7, 8):
        make_deterministic(seed)
        draws.append((np.random.rand(), float(keras.random.normal(()))))
    assert draws[0] == draws[1] != draws[2]
    assert told == [1, 1, 1]
