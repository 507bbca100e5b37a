"""The section `figures` of params.yaml: what the figures of a run show."""

from typing import Annotated, Literal

from pydantic import Field

from thaw.project.params import Section


class Figures(Section):
    """What the figures of a run show."""

    images: Annotated[int, Field(ge=1, le=200)]
    layers: Literal["auto"] | Annotated[list[str], Field(min_length=1, max_length=12)]
    points: Annotated[int, Field(ge=2, le=10_000)]
