"""The parity gate: two ways to the same logits give the same, or they do not belong together."""

import numpy as np

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError

# Of logits, relative to the largest, by the coarsest numbers on the way. Paths in float32 differ by
# about 1e-6, float16 has 11 bits, as has what a GPU makes of float32, bfloat16 8, and in int8 each
# layer's steps are coarse: over 1,000 photos EfficientNetLite0 was off by 0.12, with 7 bits by 0.2.
PARITY_TOLERANCE = {"float32": 1e-3, "float16": 0.01, "bfloat16": 0.1, "int8": 0.5}


def check_parity(
    got: np.ndarray, expected: np.ndarray, what: str, hint: str, *coarse: str
) -> float:
    """Compare logits of the same images, float (n, ...), that were computed in two ways.

    `what`: the two ways, and `hint`: the likely cause and what to do, for the message; `coarse`:
    what numbers other than float32 are on the way. Returns the largest difference, relative to the
    largest logit. Raises UserError when it passes the tolerance.
    """
    got, expected = (np.asarray(each, "float32") for each in (got, expected))
    difference = float(np.abs(got - expected).max() / max(1.0, np.abs(expected).max()))
    least = "float16" if tensorflow_engine.gpus() else "float32"
    tolerance = max(PARITY_TOLERANCE[precision] for precision in (least, *coarse))
    if not difference <= tolerance:
        raise UserError(f"{what} differ by {difference:.2g} (tolerance {tolerance:g})", hint=hint)
    return difference
