"""Import TensorFlow without its remarks about this machine. Stages import this before Keras.

TensorFlow 2.21 writes them before it reads TF_CPP_MIN_LOG_LEVEL (tensorflow issue 100442, open), so
stderr is closed for the length of the import. What fails raises, and is still seen.
"""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_stderr, _null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
try:
    import tensorflow  # noqa: F401
finally:
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)
