"""Import TensorFlow and Keras in silence and fast, and make them repeatable. Imported before Keras.

They make objects by the hundred thousand that stay, which the garbage collector would look through
time and again, in the import and in all that comes after.

TensorFlow 2.21 writes remarks about this machine before it reads TF_CPP_MIN_LOG_LEVEL (tensorflow
issue 100442, open), so stderr is closed for the length of the import. What fails raises, and is
still seen.
"""

import ctypes
import gc
import os
import sys

from thaw.project.software import THREADS

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# TensorFlow takes oneDNN on its own only where the processor has AVX-512. It is faster with AVX2,
# too (benchmarks/fine_tuning_step.py), and so all processors run the same operations.
os.environ.setdefault("TF_ENABLE_ONEDNN_OPTS", "1")
os.environ["TF_NUM_INTRAOP_THREADS"] = str(THREADS)
# Keras imports these, for most of a second, for wrappers and plots that nothing here uses.
_hidden = [name for name in ("matplotlib", "sklearn") if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))
# On a GPU XLA else tries which kernels are fastest, and so takes others another time.
if "deterministic_ops" not in os.environ.get("XLA_FLAGS", ""):
    os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} --xla_gpu_deterministic_ops=true"
_stderr, _null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
gc.disable()
try:
    import keras
    import tensorflow as tf
finally:
    gc.freeze()  # what is there is never looked at again
    gc.enable()
    for _name in _hidden:
        del sys.modules[_name]
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)


def make_deterministic(seed: int = 0) -> None:
    """Fix every random draw, and choose operations (of a GPU, say) that always add in one order."""
    keras.utils.set_random_seed(seed)
    tf.config.experimental.enable_op_determinism()


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
