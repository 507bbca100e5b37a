"""The section `calibrate` of params.yaml: when an answer is "unsure" or "unknown"."""

from typing import Annotated

from pydantic import Field

from thaw.project.params import Section

Fraction = Annotated[float, Field(gt=0, lt=1)]


class Calibrate(Section):
    """What counts as unsure, and what as none of the classes."""

    target_accuracy: Fraction | None
    known: Fraction | None
