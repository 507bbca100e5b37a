"""The section `images` of params.yaml: how a file becomes pixels."""

from typing import Annotated, Literal

from pydantic import Field

from thaw.project.params import Section

Level = Annotated[int, Field(ge=0, le=255)]


class Decoding(Section):
    """How a file becomes pixels."""

    apply_exif_orientation: bool
    background: Annotated[list[Level], Field(min_length=3, max_length=3)]
    bits: Literal["auto", 8, 9, 10, 11, 12, 13, 14, 15, 16]
    fit: Literal["stretch", "pad", "crop"]
    reducing_gap: Annotated[float, Field(ge=1)] | None
