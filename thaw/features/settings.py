"""The section `extract` of params.yaml: what runs the frozen network, and what is kept."""

from typing import Annotated, Literal

from pydantic import Field

from thaw.project.params import Section


class Extract(Section):
    """What to keep of the features."""

    engine: Literal["openvino", "tensorflow"]
    precision: Literal["float32", "bfloat16"]
    feature_maps: bool
    augmented_copies: Annotated[int, Field(ge=0, le=100)]
