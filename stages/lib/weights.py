"""Load weights files, all of them or none."""

import warnings
import zipfile
from pathlib import Path

import keras

from stages.lib.errors import UserError


def load(model: keras.Model, path: Path) -> None:
    """Set every weight of `model` from a `.weights.h5` file, or from Keras' classic `.h5`.

    Raises UserError when the file is damaged or not of this model. Keras 3.15 only warns of some
    layers that it skips; here that is an error too.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", UserWarning)
            model.load_weights(path)
    except (ValueError, KeyError, OSError, UserWarning, zipfile.BadZipFile) as error:
        cause = " ".join(str(error).split())[:200]
        raise UserError(
            f"{path}: not the weights of this {model.name} ({cause}); use a file saved from the "
            "same network, or let `dvc repro` make it again"
        ) from None
