"""Which pretrained network, with which weights, on pictures of which size."""

from difflib import get_close_matches
from typing import Annotated

from pydantic import AfterValidator, Field, model_validator

from stages.lib.networks import NETWORKS
from stages.lib.params import Section


def _check_name(name: str) -> str:
    if name not in NETWORKS:
        near = get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`python -m tools.backbones` lists them"
        raise ValueError(f"should be the name of a network; {hint}")
    return name


class Backbone(Section):
    """Which network, with which weights, on pictures of which size."""

    name: Annotated[str, AfterValidator(_check_name)]
    weights: str | None
    image_size: Annotated[int, Field(ge=32, le=1024)] | None

    @model_validator(mode="after")
    def _large_enough(self) -> "Backbone":
        smallest = NETWORKS[self.name].smallest
        if self.size < smallest:
            raise ValueError(f"image_size should be at least {smallest} for {self.name}")
        return self

    @property
    def size(self) -> int:
        """The side of the pictures in pixels: image_size, or the network's own for null."""
        return self.image_size or NETWORKS[self.name].size


def fingerprint(spec: Backbone, decoding: Section | None = None) -> dict:
    """Return what params say of the way from a file, or from pixels, to features."""
    of_pixels = {
        "backbone": spec.name,
        "image_size": spec.size,
        "preprocess": NETWORKS[spec.name].preprocess,
    }
    return of_pixels | ({"pictures": decoding.model_dump()} if decoding else {})
