"""What the stage calibrate finds, as those that come after it read it."""

import json
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.calibration import selection, sets, temperature
from thaw.calibration.unknown import Unknown
from thaw.evaluation.metrics import to_probabilities
from thaw.project.errors import UserError

FACTS = "calibration.json"
REFERENCES, SPACING = "references.npy", "spacing.npy"
LOGITS, TRUTH = "validation_logits.npy", "validation_classes.npy"
DIGITS = 4  # of fractions of images


class Calibration(NamedTuple):
    """How far to trust what the models answer.

    temperature: of "head" and "fine_tuned", for `temperature.apply`. unsure: an image whose largest
    calibrated probability is lower is unsure; None for no such threshold. unknown: what tells
    images of none of the classes. logits: of the fine-tuned network on the validation images, in
    the manifest's order, before calibration: float32 (m, 1) of two classes or (m, k) of k > 2.
    truth: their classes, int (m,).
    """

    temperature: dict[str, float]
    unsure: float | None
    unknown: Unknown
    logits: np.ndarray
    truth: np.ndarray

    @classmethod
    def read(cls, folder: Path) -> "Calibration":
        """Return what `write` left. Raises UserError where it is missing or damaged."""
        try:
            facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
            references, spacing, logits, truth = (
                np.load(folder / name, allow_pickle=False)
                for name in (REFERENCES, SPACING, LOGITS, TRUTH)
            )
            known = Unknown(references, spacing, **facts["unknown"])
            return cls(facts["temperature"], facts["unsure"], known, logits, truth)
        except (OSError, ValueError, KeyError, TypeError, EOFError):
            raise UserError(
                f"{folder} is missing or damaged", hint="run `dvc repro calibrate`"
            ) from None

    def write(self, folder: Path) -> None:
        """Write all into the new `folder`, as JSON and `.npy`."""
        folder.mkdir(parents=True)
        numbers = self.unknown._asdict()
        np.save(folder / REFERENCES, numbers.pop("references"))
        np.save(folder / SPACING, numbers.pop("spacing"))
        np.save(folder / LOGITS, self.logits)
        np.save(folder / TRUTH, self.truth)
        facts = {"temperature": self.temperature, "unsure": self.unsure, "unknown": numbers}
        text = json.dumps(facts, indent=2, sort_keys=True, allow_nan=False)
        (folder / FACTS).write_text(text + "\n", encoding="utf-8")

    def apply(self, probabilities: np.ndarray, model: str = "fine_tuned") -> np.ndarray:
        """Return the calibrated ones of a model's probabilities (n, k), float64 (n, k)."""
        return temperature.apply(probabilities, self.temperature[model])

    def is_unsure(self, calibrated: np.ndarray) -> np.ndarray:
        """Return whether each image is unsure, bool (n,), by calibrated probabilities (n, k)."""
        return calibrated.max(axis=1) < (self.unsure or 0.0)

    def is_unknown(self, features: np.ndarray, probabilities: np.ndarray) -> np.ndarray:
        """Return whether each image is unknown, bool (n,).

        features: averaged ones of the frozen network, float32 (n, d); probabilities: those of the
        fine-tuned one, (n, k), before calibration.
        """
        return self.unknown.is_unknown(self.unknown.score(features, probabilities))

    def set_limit(self, coverage: float) -> float:
        """Return what `sets.members` takes for sets of this coverage, in (0, 1)."""
        return sets.limit(self.truth, self.apply(to_probabilities(self.logits)), coverage)

    def refused(self, features: np.ndarray, probabilities: np.ndarray) -> dict[str, float]:
        """Return the fractions of images that are unknown and unsure; as in `is_unknown`."""
        return {
            "unknown": round(float(self.is_unknown(features, probabilities).mean()), DIGITS),
            "unsure": round(float(self.is_unsure(self.apply(probabilities)).mean()), DIGITS),
        }

    def summary(self) -> str:
        """Return on a line what was found."""
        said = ", ".join(f"{name} {value:.3f}" for name, value in self.temperature.items())
        unsure = f"; unsure below {self.unsure:.4f}" if self.unsure else ""
        above = self.unknown.threshold
        unknown = "nothing counts as unknown" if above is None else f"unknown above {above:.2f}"
        return f"temperature: {said}{unsure}; {unknown} (of {len(self.logits):,} validation images)"


def fit(
    truth: np.ndarray,
    before: dict[str, np.ndarray],
    logits: np.ndarray,
    known: Unknown,
    target_accuracy: float | None,
) -> Calibration:
    """Return what the validation images tell; their classes are int (m,).

    before: by model, the probabilities (m, k) before calibration; the rest as in `Calibration`.
    Raises UserError where no confidence reaches the target.
    """
    temperatures = {name: temperature.fit(truth, each) for name, each in before.items()}
    unsure = None
    if target_accuracy is not None:
        calibrated = temperature.apply(before["fine_tuned"], temperatures["fine_tuned"])
        unsure = selection.threshold(truth, calibrated, target_accuracy)
    return Calibration(temperatures, unsure, known, logits, truth)
