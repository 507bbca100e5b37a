"""The gate before fine-tuning: the joined network starts where the head left off."""

import keras
import numpy as np

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError

# Of logits, relative to the largest, by the coarsest numbers on the way. Paths in float32 differ by
# about 1e-6, float16 has 11 bits, as has what a GPU makes of float32, bfloat16 8, and in int8 each
# layer's steps are coarse.
PARITY_TOLERANCE = {"float32": 1e-3, "float16": 0.01, "bfloat16": 0.1, "int8": 0.5}


def check_parity(
    model: keras.Model, head: keras.Model, inputs: np.ndarray, features: np.ndarray, hint: str,
    *coarse: str,
) -> float:  # fmt: skip
    """Compare a network on its inputs with the head on the cached features of the same rows.

    `inputs`: pixels for the joined network, activations for its top; `hint`: the likely cause and
    what to do, for the message; `coarse`: what numbers other than float32 are on the way. Returns
    the largest difference of logits, relative to the largest logit. Raises UserError when it passes
    the tolerance: then inputs, features and network do not belong together.
    """
    inputs, features = (np.asarray(each, "float32") for each in (inputs, features))
    got, expected = (
        np.asarray(net(x, training=False)) for net, x in ((model, inputs), (head, features))
    )
    difference = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    least = "float16" if tensorflow_engine.gpus() else "float32"
    tolerance = max(PARITY_TOLERANCE[precision] for precision in (least, *coarse))
    if not difference <= tolerance:
        raise UserError(
            f"the network and the head on cached features differ by {difference:.2g} "
            f"(tolerance {tolerance:g})",
            hint=hint,
        )
    return difference
