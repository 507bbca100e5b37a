"""The sections `backbone` and `head` of params.yaml."""

from difflib import get_close_matches
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field, model_validator

from thaw.models.registry import HUB, NETWORKS, facts, is_folder, is_preset
from thaw.project.params import Digest, Section

Factor = Annotated[float, Field(ge=0)]


def _check_name(name: str) -> str:
    if name not in NETWORKS and not is_preset(name):
        near = get_close_matches(name, NETWORKS, n=1)
        hint = f"did you mean {near[0]}?" if near else "`python -m tools.backbones` lists them"
        raise ValueError(f"should be the name of a network, {HUB}NAME or a folder ./NAME; {hint}")
    return name


def _file_alone(weights: object) -> object:
    """Let the name of a file stand for it with any digest."""
    if weights is not None and not isinstance(weights, str | dict):
        raise ValueError("should be imagenet, the path or address of a file, or null")
    return {"file": weights, "sha256": None} if isinstance(weights, str) else weights


class Weights(Section):
    """A file of weights and the digest that it must have, or imagenet: the pretrained ones."""

    file: Annotated[str, Field(min_length=1)]
    sha256: Digest | None


class Backbone(Section):
    """Which network, with which weights, on images of which size."""

    name: Annotated[str, AfterValidator(_check_name)]
    weights: Annotated[Weights | None, BeforeValidator(_file_alone)]
    image_size: Annotated[int, Field(ge=32, le=1024)] | None

    @model_validator(mode="after")
    def _large_enough(self) -> "Backbone":
        smallest = facts(self.name).smallest
        if not self.size:
            raise ValueError("image_size should be a number for a preset; its name or page has it")
        if self.size < smallest:
            raise ValueError(f"image_size should be at least {smallest} for {self.name}")
        return self

    @model_validator(mode="after")
    def _weights_of_their_own(self) -> "Backbone":
        own = self.weights is None or self.weights.file == "imagenet"
        if is_preset(self.name) and not own:
            raise ValueError("weights should be imagenet for a preset, for its own, or null")
        if own and self.weights and self.weights.sha256 and not is_folder(self.name):
            raise ValueError("imagenet is no file of yours; write `weights: imagenet`, no sha256")
        return self

    @property
    def size(self) -> int:
        """The side of the images in pixels: image_size, or the network's own for null."""
        return self.image_size or facts(self.name).size


class Regularization(Section):
    """Factors of what is added to the loss for large weights and large outputs of hidden layers."""

    kernel_l1: Factor
    kernel_l2: Factor
    activity_l1: Factor
    activity_l2: Factor


class Head(Section):
    """The shape of the head, and the weights that it starts from."""

    pooling: Literal["avg", "max", "cls", "flatten"]
    hidden: list[Annotated[int, Field(ge=1)]]
    dropout: Annotated[float, Field(ge=0, lt=1)]
    batch_normalization: bool
    regularization: Regularization
    start: Literal["random", "text"]

    @model_validator(mode="after")
    def _linear_to_start_from_text(self) -> "Head":
        linear = self.pooling == "cls" and not self.hidden and not self.batch_normalization
        if self.start == "text" and not linear:
            raise ValueError(
                "start: text should have pooling: cls, hidden: [] and batch_normalization: false"
            )
        return self
