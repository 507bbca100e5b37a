"""What input.json says: the input and the outputs that all formats share, for programs."""

import keras
import tensorflow as tf

from thaw.export import keras_file
from thaw.export.formats import KNOWN
from thaw.images.settings import Decoding
from thaw.images.square import FITS


def contract(
    size: int,
    decoding: Decoding,
    unsure_below: float | None = None,
    known: dict | None = None,
    needs: str = f"keras >= {keras_file.OLDEST}",
) -> dict:
    """Return what input.json says: input and outputs, which all formats share, and versions.

    `decoding`: of the set; of files of 16 bits a value it says something where the set has any.
    unsure_below: a largest probability. known: {"unknown_below": a `known`} where that is an
    output; None in it for no threshold. needs: what `keras_file.needs` says.
    """
    sixteen_bits = {}
    if decoding.bits != "auto":
        scale = f"value * 255 // {2**decoding.bits - 1}, at most 255"
        sixteen_bits = {"sixteen_bits": {"fill": decoding.bits, "to_8_bits": scale}}
    return {
        "pixels": {
            "dtype": "float32",
            "shape": ["n", size, size, 3],
            "colours": "RGB",
            "range": [0, 255],
            "resize": f"{FITS[decoding.fit]}; bilinear, averaging where it shrinks (Pillow)",
            "fit": decoding.fit,
            "apply_exif_orientation": decoding.apply_exif_orientation,
            "background": decoding.background,
            **sixteen_bits,
        },
        "probabilities": {
            "dtype": "float32",
            "shape": ["n", "classes"],
            "order": "labels.json",
            "unsure_below": unsure_below,
        },
        **({KNOWN: {"dtype": "float32", "shape": ["n"], **known}} if known else {}),
        "versions": {
            "written_with": {"keras": keras.__version__, "tensorflow": tf.__version__},
            "model.keras": needs,
        },
    }
