"""Import TensorFlow and Keras, in silence and fast. Stages import this before Keras.

They make objects by the hundred thousand that stay, which the garbage collector would look through
time and again, in the import and in all that comes after.

TensorFlow 2.21 writes remarks about this machine before it reads TF_CPP_MIN_LOG_LEVEL (tensorflow
issue 100442, open), so stderr is closed for the length of the import. What fails raises, and is
still seen.
"""

import gc
import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
_stderr, _null = os.dup(2), os.open(os.devnull, os.O_WRONLY)
os.dup2(_null, 2)
gc.disable()
try:
    import keras  # noqa: F401
    import tensorflow  # noqa: F401
finally:
    gc.freeze()  # what is there is never looked at again
    gc.enable()
    os.dup2(_stderr, 2)
    os.close(_stderr)
    os.close(_null)
