"""The section `evaluate` of params.yaml: how test results are reported."""

from typing import Annotated

from pydantic import Field

from thaw.project.params import Section


class Evaluate(Section):
    """How test results are reported."""

    confidence: Annotated[float, Field(gt=0, lt=1)]
