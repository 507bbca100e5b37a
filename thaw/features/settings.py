"""The section `extract` of params.yaml: what runs the frozen network, and what is kept."""

from typing import Annotated, Literal

from pydantic import Field, ValidationInfo, field_validator

from thaw.project.params import Section


class Extract(Section):
    """What to keep of the features."""

    engine: Literal["openvino", "tensorflow"]
    precision: Literal["float32", "bfloat16", "int8"]
    feature_maps: bool
    augmented_copies: Annotated[int, Field(ge=0, le=100)]

    @field_validator("precision")
    @classmethod
    def _int8_of_openvino(cls, precision: str, others: ValidationInfo) -> str:
        if precision == "int8" and others.data.get("engine") == "tensorflow":
            raise ValueError("only openvino, as extract.engine, computes in 8 bits")
        return precision
