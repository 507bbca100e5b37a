import os
import subprocess
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf

from thaw.models.tf_setup import make_deterministic
from tests.imports import ROOT
from thaw.project import software


def test_the_import_prints_nothing_and_is_not_looked_through_by_the_garbage_collector():
    code = (
        "import thaw.models.tf_setup, gc, sys, tensorflow as tf\n"
        "assert gc.isenabled(); assert 'keras' in sys.modules\n"
        "assert not {'matplotlib', 'sklearn'} & set(sys.modules)\n"
        "assert gc.get_freeze_count() > 100_000 > len(gc.get_objects())\n"
        "tf.ones(3); sys.stderr.write('seen'); import sklearn, matplotlib.pyplot"
    )
    got = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert (got.stdout, got.stderr, got.returncode) == ("", "seen", 0)


def test_draws_repeat_and_operations_are_told_to(monkeypatch):
    told = []
    monkeypatch.setattr(tf.config.experimental, "enable_op_determinism", lambda: told.append(1))
    draws = []
    for seed in (7, 7, 8):
        make_deterministic(seed)
        draws.append((np.random.rand(), float(keras.random.normal(()))))
    assert draws[0] == draws[1] != draws[2]
    assert told == [1, 1, 1]


def test_all_processors_run_the_same_operations():
    """TensorFlow itself switches oneDNN on only where there is AVX-512; a user may choose."""
    assert os.environ["TF_ENABLE_ONEDNN_OPTS"] in ("0", "1")


def test_the_number_of_threads_is_fixed():
    assert os.environ["TF_NUM_INTRAOP_THREADS"] == str(software.THREADS)


def test_xla_is_told_to_take_the_same_kernels_every_time_and_knows_the_flag():
    """It ends the process where it does not."""
    assert "--xla_gpu_deterministic_ops=true" in os.environ["XLA_FLAGS"].split()
    doubled = tf.function(lambda x: 2 * x, jit_compile=True)
    assert doubled(tf.constant(3.5)).numpy() == 7


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="the GNU C library is Linux's")
def test_freed_memory_is_kept():
    """Blocks taken again and again cost page faults only once."""
    code = """
import ctypes, resource
from thaw.models import tf_setup
libc = ctypes.CDLL(None)
libc.malloc.restype, libc.free.argtypes = ctypes.c_void_p, [ctypes.c_void_p]

def faults():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        block = libc.malloc(2**26)
        ctypes.memset(block, 1, 2**26)
        libc.free(block)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

given_back = faults()
tf_setup.keep_freed_memory()
print(given_back, faults())
"""
    counted = subprocess.check_output([sys.executable, "-c", code], cwd=ROOT, text=True)
    given_back, kept = map(int, counted.split())
    assert kept < given_back / 5
