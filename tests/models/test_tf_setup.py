import subprocess
import sys

import keras
import numpy as np
import tensorflow as tf

from thaw.models.tf_setup import make_deterministic
from tests.imports import ROOT


def test_importing_tensorflow_prints_nothing_and_later_errors_are_seen():
    code = (
        "import thaw.models.tf_setup, sys, tensorflow as tf; tf.ones(3); sys.stderr.write('seen')"
    )
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (got.stdout, got.stderr, got.returncode) == ("", "seen", 0)


def test_the_garbage_collector_goes_on_but_not_through_what_was_imported():
    code = (
        "import thaw.models.tf_setup, gc, sys\n"
        "assert gc.isenabled(); assert 'keras' in sys.modules\n"
        "assert gc.get_freeze_count() > 100_000 > len(gc.get_objects())"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_draws_repeat_and_operations_are_told_to(monkeypatch):
    told = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: told.append(1))
    draws = []
    for seed in (7, 7, 8):
        make_deterministic(seed)
        draws.append((np.random.rand(), float(keras.random.normal(()))))
    assert draws[0] == draws[1] != draws[2]
    assert told == [1, 1, 1]
