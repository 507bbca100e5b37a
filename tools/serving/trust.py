"""When an answer is "unsure", and when an image is "unknown": of none of the classes."""

from typing import NamedTuple

import numpy as np

from thaw.calibration.saved import Calibration


class Trust(NamedTuple):
    """How far to trust what a classifier answers; None for what it cannot tell.

    unsure: an image whose largest probability is lower is unsure. known: an image that looks less
    known is unknown. calibration: of the run in this folder.
    """

    unsure: float | None = None
    known: float | None = None
    calibration: Calibration | None = None

    @classmethod
    def of(cls, contract: dict) -> "Trust":
        """Return what an export's input.json says. Raises what it raises where that is damaged."""
        found = (("probabilities", "unsure_below"), ("known", "unknown_below"))
        values = (contract.get(name, {}).get(key) for name, key in found)
        return cls(*(None if each is None else float(each) for each in values))

    @property
    def tells(self) -> list[str]:
        """The names of what `marks` gives."""
        both = {"unsure": self.unsure, "unknown": self.known}
        return [name for name, threshold in both.items() if threshold is not None]

    def marks(self, probabilities: np.ndarray, known: float | None) -> dict[str, bool]:
        """Return whether an image is unsure, and unknown, as far as can be told.

        probabilities: float (k,); known: how known it looks, None where `known` is.
        """
        values = {"unsure": (probabilities.max(), self.unsure), "unknown": (known, self.known)}
        return {name: bool(values[name][0] < values[name][1]) for name in self.tells}
