"""The section `split` of params.yaml: what is tested on."""

from typing import Annotated, Literal

from pydantic import Field, model_validator

from thaw.project.params import Section

Fraction = Annotated[float, Field(gt=0, le=0.5)]


class Split(Section):
    """How much goes where, if the source does not say, and what belongs together."""

    validation: Fraction
    test: Fraction
    test_of_validation: Fraction
    min_per_class: Annotated[int, Field(ge=1)]
    near_duplicates: Annotated[int, Field(ge=0, le=40)] | None
    on_leak: Literal["repair", "refuse"]
    seed: int

    @model_validator(mode="after")
    def _leave_some_to_train(self) -> "Split":
        if self.validation + self.test >= 1:
            raise ValueError("validation and test should leave images to train on")
        return self
