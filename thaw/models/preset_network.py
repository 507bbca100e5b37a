"""A preset of KerasHub as a network like all others: pixels RGB 0..255 in, feature maps out.

Its description is a dict of plain values: all that has to be known besides the weights to build it
again. It stays with the network, and the stage backbone writes it into the file of the weights.
"""

import json
import math
from typing import TYPE_CHECKING

import keras
import numpy as np
from keras import layers, ops

from thaw.models import preset_families
from thaw.models.preset_families import FAMILIES
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras_hub

DESCRIPTION = "preset"  # its name in a provenance


def describe(backbone: "keras_hub.models.Backbone", scale, offset) -> dict:
    """Return the description of a network whose pixels are multiplied by scale, then offset.

    Raises UserError for a network of no family that is known.
    """
    kind = type(backbone).__name__
    if kind not in FAMILIES:
        names = ", ".join(family.name for family in FAMILIES.values())
        raise UserError(f"{kind} is of no family that is known", "backbone.name", f"take {names}")
    config = json.loads(json.dumps(backbone.get_config()))  # tuples as JSON has them
    return {"kind": kind, "config": config, "scale": scale, "offset": offset}


def create(description: dict | None) -> "keras_hub.models.Backbone":
    """Return KerasHub's network that a description is of, with random weights.

    Raises UserError without KerasHub, or for a description that it cannot build.
    """
    hub = imported()
    try:
        kind = description["kind"]
        if kind not in FAMILIES:
            raise ValueError(f"a {kind}")
        return getattr(hub.models, kind).from_config(description["config"])
    except Exception as error:  # KerasHub raises all kinds
        cause = " ".join(str(error).split())[:200]
        problem = f"KerasHub cannot build the preset ({cause})"
        raise UserError(problem, "backbone.name", "run `dvc repro backbone`") from None


def imported() -> "keras_hub":
    """Return the module keras_hub, or raise UserError that says what to install."""
    try:
        import keras_hub
    except ModuleNotFoundError as error:
        raise UserError(
            f"presets need {error.name}, which is not installed",
            "backbone.name",
            "install requirements-hub.txt (`make .venv/hub`)",
        ) from None
    return keras_hub


def build(description: dict | None, size: int) -> keras.Model:
    """Build the network of a description, with random weights; see `of_backbone`."""
    return of_backbone(create(description), description, size)


def of_backbone(backbone: "keras_hub.models.Backbone", description: dict, size: int) -> keras.Model:
    """Return the network for images of size x size, on the layers of KerasHub's, which it takes.

    Input: float32 (n, size, size, 3), RGB 0..255. Output: float32 feature map (n, height, width,
    channels), of a transformer that of its patches, without class and register tokens. Where it has
    a class token, or pools by itself, a list of the map and that, float32 (n, channels).
    """
    family, config = FAMILIES[description["kind"]], description["config"]
    pixels = keras.Input((size, size, 3), name="pixels")
    scaled = _scaled(pixels, description)
    last, prefix = preset_families.last_block(backbone), family.prefix and family.prefix(config)

    def call(layer, *inputs, **options):
        if layer is last:
            inputs = (_by_way_of_a_map(inputs[0], prefix), *inputs[1:])
        preset_families.let_be_saved(layer)
        return layer(*inputs, **options)

    def open_or_call(layer, *inputs, **options):
        if type(layer).__name__ == "DINOV3RopePositionEmbedding":
            # depends on the size alone; as an input of all blocks it would leave no place to cut at
            return [*map(np.asarray, layer(np.zeros((1, *scaled.shape[1:]), "float32")))]
        inputs = keras.tree.map_structure(lambda x: scaled if x is pixels else x, inputs)
        return preset_families.opened(layer, call, *inputs, **options)

    inner = keras.Model(backbone.inputs[0], family.outputs(backbone))
    for operation in inner.operations:
        operation._inbound_nodes.clear()  # Keras takes a layer's first call for its place
    again = keras.models.clone_model(
        inner, pixels, clone_function=lambda layer: layer, call_function=open_or_call
    )
    network = keras.Model(pixels, _outputs(again.outputs, family, prefix), name=backbone.name)
    network.description = json.dumps(description)  # as text, for Keras keeps its own kind of dict
    return network


def provenance(network: keras.Model) -> dict | None:
    """Return the provenance of a network that is a preset's, or None."""
    text = getattr(network, "description", None)
    return text and {DESCRIPTION: json.loads(text)}


def _scaled(pixels: keras.KerasTensor, description: dict) -> keras.KerasTensor:
    """Return the pixels as the network takes them: scaled, and of its own side if it has one."""
    scale, offset = description["scale"], description["offset"]
    x = pixels
    if scale is not None or offset is not None:
        x = layers.Rescaling(1.0 if scale is None else scale, offset or 0.0, name="preprocess")(x)
    side = (description["config"].get("image_shape") or [None])[0]
    if side not in (None, x.shape[1]):
        x = layers.Resizing(side, side, name="resize")(x)
    return x


def _outputs(tensors: list, family: preset_families.Family, prefix: int | None):
    """Return the feature map, or a list of that and the class token."""
    features, *pooled = tensors
    if prefix is None:
        return features
    if family.class_token and prefix:
        pooled = [features[:, 0]]
    feature_map = _map(features, prefix, "feature_map")
    return [feature_map, *pooled] if pooled else feature_map


def _map(tokens: keras.KerasTensor, prefix: int, name: str) -> keras.KerasTensor:
    """Return the tokens of the patches (n, prefix + side * side, c) as (n, side, side, c).

    SigLIP's embedding in KerasHub 0.32 says that there is one token more than there is.
    """
    side = math.isqrt(tokens.shape[1] - prefix)
    patches = tokens[:, prefix : prefix + side**2]
    return layers.Reshape((side, side, tokens.shape[2]), name=name)(patches)


def _by_way_of_a_map(tokens: keras.KerasTensor, prefix: int) -> keras.KerasTensor:
    """Return the same tokens, that of the patches once as a feature map on the way.

    Grad-CAM looks for the last one that the output depends on, and behind the last block a class
    token does not depend on the others.
    """
    patches = layers.Reshape((-1, tokens.shape[2]))(_map(tokens, prefix, "last_block_map"))
    return ops.concatenate([tokens[:, :prefix], patches], axis=1) if prefix else patches
