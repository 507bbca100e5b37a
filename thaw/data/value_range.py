"""How many bits the values of files of 16 bits fill: one answer for the whole set.

The manifest has the column `largest` where any image is of 16 bits a value: its largest value, and
nothing for all other.
"""

import pandas as pd

from thaw.images import sixteen_bits
from thaw.images.settings import Decoding

COLUMN = "largest"
MOST = 0.5  # fraction of the images of 16 bits that is worth a word


def largest(manifest: pd.DataFrame) -> pd.Series:
    """Return the largest value of each image of 16 bits a value, as int, and of no other."""
    if COLUMN not in manifest:
        return pd.Series(dtype=int)
    return pd.to_numeric(manifest[COLUMN], errors="coerce").dropna().astype(int)


def of_set(decoding: Decoding, manifest: pd.DataFrame) -> Decoding:
    """Return how the images of a set are decoded: with a number for `bits`, which auto decides.

    That is what the largest value of all these files needs, and 16 where each says its own range.
    Where none has over 8 bits a value, `bits` is auto, whatever params say, as it has no effect.
    """
    values = largest(manifest)
    if len(values):
        fitting = sixteen_bits.fitting(values.max())
        bits = fitting if decoding.bits == "auto" else decoding.bits
    else:
        bits = 16 if manifest["mode"].str.startswith("I").any() else "auto"
    return decoding.model_copy(update={"bits": bits})


def decoded_otherwise(manifest: pd.DataFrame, decoding: Decoding, settled: Decoding) -> pd.Index:
    """Return the rows of the images whose own bits, where those counted, are not the set's."""
    own = largest(manifest).map(sixteen_bits.fitting)
    return own[(own != settled.bits) & (decoding.bits == "auto")].index


def summary(manifest: pd.DataFrame, decoding: Decoding) -> str:
    """Say what is done with files of 16 bits, "" where there are none."""
    values, bits = largest(manifest), of_set(decoding, manifest).bits
    if not len(values):
        return ""
    said = (
        f"{len(values)} images have 16 bits a value, with values up to {values.max()}; these are "
        f"taken as of {bits} bits (images.bits: {decoding.bits})"
    )
    larger = int((values >= 1 << bits).sum())
    if larger:
        return f"{said}; {larger} have larger values, which become white"
    fewer = sixteen_bits.fitting(values.quantile(MOST, interpolation="higher"))
    if fewer < bits:
        said += (
            f"; {int((values < 1 << fewer).sum())} fill {fewer} bits only and become dark: "
            f"images.bits: {fewer} makes them brighter and larger values white"
        )
    return said
