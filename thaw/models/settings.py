"""The sections `backbone` and `head` of params.yaml."""

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from thaw.models.registry import NETWORKS
from thaw.project.params import Digest, Section

Factor = Annotated[float, Field(ge=0)]


def _check_name(name: str) -> str:
    if name not in NETWORKS:
        near = get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`python -m tools.backbones` lists them"
        raise ValueError(f"should be the name of a network; {hint}")
    return name


def _file_alone(weights: object) -> object:
    """Let the name of a file stand for it with any digest."""
    if weights is not None and not isinstance(weights, str | dict):
        raise ValueError("should be imagenet, the path or address of a file, or null")
    return {"file": weights, "sha256": None} if isinstance(weights, str) else weights


class Weights(Section):
    """A file of weights and the digest that it must have, or imagenet."""

    file: Annotated[str, Field(min_length=1)]
    sha256: Digest | None

    @model_validator(mode="after")
    def _digest_of_a_file(self) -> "Weights":
        if self.file == "imagenet" and self.sha256:
            raise ValueError("imagenet is no file of yours; write `weights: imagenet`, no sha256")
        return self


class Backbone(Section):
    """Which network, with which weights, on images of which size."""

    name: Annotated[str, AfterValidator(_check_name)]
    weights: Annotated[Weights | None, BeforeValidator(_file_alone)]
    image_size: Annotated[int, Field(ge=32, le=1024)] | None

    @model_validator(mode="after")
    def _large_enough(self) -> "Backbone":
        smallest = NETWORKS[self.name].smallest
        if self.size < smallest:
            raise ValueError(f"image_size should be at least {smallest} for {self.name}")
        return self

    @property
    def size(self) -> int:
        """The side of the images in pixels: image_size, or the network's own for null."""
        return self.image_size or NETWORKS[self.name].size


class Regularization(Section):
    """Factors of what is added to the loss for large weights and large outputs of hidden layers."""

    kernel_l1: Factor
    kernel_l2: Factor
    activity_l1: Factor
    activity_l2: Factor


class Head(Section):
    """The shape of the head."""

    pooling: Literal["avg", "max", "flatten"]
    hidden: list[Annotated[int, Field(ge=1)]]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    batch_normalization: bool
    regularization: Regularization
