"""The pretrained backbone: which network, of which weights, on pictures of which size."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated
from urllib.parse import urlsplit

import keras
from keras import applications, layers
from pydantic import AfterValidator, Field, model_validator

from stages.lib import efficientnet_lite, networks, transfer, weights
from stages.lib.determinism import make_deterministic
from stages.lib.errors import UserError
from stages.lib.params import Section

RANDOM_SEED = 0  # of `weights: null`
POOLINGS = {"avg": layers.GlobalAveragePooling2D, "max": layers.GlobalMaxPooling2D}
LITE = ("EfficientNetLite0", "EfficientNetLite1", "EfficientNetLite2")


def _check_name(name: str) -> str:
    if name not in networks.NETWORKS:
        near = get_close_matches(name, networks.NETWORKS, n=1)
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
        smallest = networks.NETWORKS[self.name].smallest
        if self.size < smallest:
            raise ValueError(f"image_size should be at least {smallest} for {self.name}")
        return self

    @property
    def size(self) -> int:
        """The side of the pictures in pixels: image_size, or the network's own for null."""
        return self.image_size or networks.NETWORKS[self.name].size


def fingerprint(spec: Backbone, decoding: Section | None = None) -> dict:
    """Return what params say of the way from a file, or from pixels, to features."""
    of_pixels = {
        "backbone": spec.name,
        "image_size": spec.size,
        "preprocess": networks.NETWORKS[spec.name].preprocess,
    }
    return of_pixels | ({"pictures": decoding.model_dump()} if decoding else {})


def build(spec: Backbone) -> keras.Model:
    """Build the network with random weights.

    Input: float32 (n, size, size, 3), RGB 0..255. Output: float32 feature map (n, height, width,
    channels).
    """
    return networks.build(spec.name, spec.size)


def load(spec: Backbone, file: Path) -> keras.Model:
    """Build the network with the weights that the backbone stage saved."""
    model = build(spec)
    weights.load(model, file)
    return model


def pretrained(spec: Backbone, scratch: Path) -> keras.Model:
    """Build the network with the weights that the params ask for.

    A weights file with an address is fetched into the folder `scratch`. Raises UserError when the
    weights cannot be had, or are not this network's.
    """
    make_deterministic(RANDOM_SEED)
    model = build(spec)
    if spec.weights == "imagenet":
        _load_imagenet(model, spec)
    elif spec.weights is not None:
        weights.load_pretrained(model, _file(spec.weights, scratch))
    return model


def _file(place: str, scratch: Path) -> Path:
    if place.startswith(("http://", "https://")):
        file = scratch / Path(urlsplit(place).path).name  # its ending says of which kind it is
        transfer.download(place, file)
        return file
    if not Path(place).is_file():
        raise UserError(
            f"params.yaml [backbone.weights]: no such file: {place!r}; give the path or address of "
            "a weights file, imagenet or null"
        )
    return Path(place)


def _load_imagenet(model: keras.Model, spec: Backbone) -> None:
    if spec.name in LITE:
        number = LITE.index(spec.name)
        file = efficientnet_lite.package_file(number)
        efficientnet_lite.load_package_weights(number, model, file)
        return
    build_application = getattr(applications, spec.name)
    shape = (spec.size, spec.size, 3)  # MobileNets have weights of their own for some sizes
    try:
        source = build_application(include_top=False, weights="imagenet", input_shape=shape)
    except Exception as error:  # keras.utils.get_file raises bare Exception when a download fails
        raise UserError(
            f"params.yaml [backbone.weights]: Keras cannot download {spec.name}'s ImageNet weights "
            f"({error}); set it to the path of a weights file, or backbone.name to "
            "EfficientNetLite0, which needs no download"
        ) from None
    weights.copy(source, model)
