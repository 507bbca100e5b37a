"""The section `export` of params.yaml: the formats that are written, and how exact they are."""

import importlib.util
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from thaw.export.formats import EXPORT_FORMATS
from thaw.project.errors import UserError
from thaw.project.params import Section


def _each_once(names: list[str]) -> list[str]:
    if len(set(names)) < len(names):
        raise ValueError("should name each format once")
    return names


class Export(Section):
    """Which formats are written, how exact they must be, and how good the classifier."""

    formats: Annotated[list[Literal[*EXPORT_FORMATS]], AfterValidator(_each_once)]
    tolerance: Annotated[float, Field(gt=0)]
    int8_tolerance: Annotated[float, Field(ge=0, le=100)]
    unknown: bool
    min_accuracy: Annotated[float, Field(ge=0, le=1)] | None

    @property
    def names(self) -> list[str]:
        """The formats to write: keras, which the others are made from, and those of `formats`."""
        return [name for name in EXPORT_FORMATS if name == "keras" or name in self.formats]


def check_installed(settings: Export) -> None:
    """Raise UserError when a package that one of the formats needs is missing."""
    for name in settings.names:
        for module in EXPORT_FORMATS[name].modules:
            if importlib.util.find_spec(module) is None:
                package = module.replace("_", "-")
                raise UserError(
                    f"{name} needs the package {package}, which is not installed",
                    key="export.formats",
                    hint=f"run `make extras`, or take {name} out of the list",
                )
