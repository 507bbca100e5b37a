"""What thaw knows of KerasHub's image networks: their tokens, sizes and parts.

KerasHub builds many of them of few layers that hold all others. Opened, each block is a layer of
its own, as in keras.applications, so that fine-tuning can begin at any of them.
"""

import inspect
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import keras

OF_ALL_LAYERS = {"name", "trainable", "dtype"}  # arguments


def _output(backbone: "keras.Model") -> list:
    return [backbone.output]


class Family(NamedTuple):
    """How the networks of a class of KerasHub take images, and what they give.

    name: for people. prefix: how many tokens come before those of the patches, by the network's
    configuration; None where it gives feature maps. any_size: False for images of the side in
    `image_shape` alone, else True; "patch_size" for multiples of that. outputs: the tokens or
    feature maps, and what the network itself pools of them, if it does.
    """

    name: str
    prefix: Callable[[dict], int] | None = None
    any_size: bool | str = True
    class_token: bool = False
    outputs: Callable[["keras.Model"], list] = _output


def _registers(config: dict) -> int:
    return 1 + config["num_register_tokens"]


FAMILIES = {
    "ViTBackbone": Family("ViT", lambda config: int(config["use_class_token"]), False, True),
    "DeiTBackbone": Family("DeiT", lambda _: 2, False, True),  # class and distillation
    "DINOV2Backbone": Family("DINOv2", _registers, "patch_size", True),
    "DINOV3Backbone": Family("DINOv3", _registers, "patch_size", True),
    "CLIPVisionEncoder": Family("CLIP", lambda _: 1, False, True),
    "MetaCLIP2VisionEncoder": Family("MetaCLIP 2", lambda _: 1, False, True),
    "SigLIPVisionEncoder": Family(
        "SigLIP", lambda _: 0, False, False, lambda net: [net.post_layer_norm.output, net.output]
    ),
    "SwinTransformerBackbone": Family("Swin", lambda _: 0, False),
    "ResNetBackbone": Family("ResNet and ResNet-D"),
    "EfficientNetBackbone": Family("EfficientNet"),
    "MobileNetBackbone": Family("MobileNetV3"),
    "MobileNetV5Backbone": Family("MobileNetV5"),
    "HGNetV2Backbone": Family("HGNetV2", outputs=lambda net: net.encoder_layer.output[-1:]),
    "CSPNetBackbone": Family("CSPNet"),
}


def last_block(backbone: "keras.Model") -> "keras.layers.Layer | None":
    """Return the last block of a transformer all of whose blocks take the same tokens, or None."""
    for each in [backbone, *backbone.layers]:
        kind = type(each).__name__
        if kind in ("DINOV2Encoder", "DINOV3Encoder"):
            return each.layers[-1]
        if hasattr(each, "encoder_layers"):
            return each.encoder_layers[-1]
    return None


def opened(layer: "keras.layers.Layer", call: Callable, *inputs, **options):
    """Call a layer, or where it holds blocks, the layers in it one after the other.

    `call`: from a layer, its inputs and options to what it returns.
    """
    kind = type(layer).__name__
    if kind == "HGNetV2Encoder":
        states = [inputs[0]]
        for stage in layer.stages_list:
            parts = [stage.downsample_layer, *stage.blocks_list]
            parts = [part for part in parts if type(part).__name__ != "Identity"]  # cannot be saved
            states.append(_in_turn(call, states[-1], parts, options))
        return states
    if kind == "DeiTEncoder":  # without the scores its blocks return a None, which no layer may
        options = {"return_attention_scores": True}
        return call(layer.layer_norm, _in_turn(call, inputs[0], layer.encoder_layers, options))
    if kind == "PatchEmbedding":  # Swin's, which cannot be saved as it is
        return _patches(call, inputs[0], layer)
    if kind not in PARTS:
        return call(layer, *inputs, **options)
    for part in PARTS[kind](layer):
        if kind == "SwinTransformerStage":  # each has blocks of the same names
            part.name = f"{layer.name}_{part.name}"
    x = _in_turn(call, inputs[0], PARTS[kind](layer), options)
    if kind == "SwinTransformerStage" and layer.downsample is not None:
        height, width = layer.input_resolution
        layer.downsample.name = f"{layer.name}_downsample"
        x = call(layer.downsample, x, H=height, W=width)
    return x


def _patches(call: Callable, pixels, layer: "keras.layers.Layer"):
    """Return the embeddings of patches (n, patches, channels), normalised where Swin does that."""
    from keras import layers

    x = call(layer.proj, pixels)
    x = layers.Reshape((x.shape[1] * x.shape[2], x.shape[3]), name=f"{layer.name}_tokens")(x)
    if layer.norm is None:
        return x
    layer.norm.name = f"{layer.name}_norm"
    return call(layer.norm, x)


def _in_turn(call: Callable, x, parts: list, options: dict):
    for part in parts:
        x = call(part, x, **options)
        x = x[0] if isinstance(x, list | tuple) else x  # DeiT's scores of attention come after it
    return x


PARTS: dict[str, Callable[["keras.layers.Layer"], list]] = {
    "ViTEncoder": lambda encoder: [encoder.dropout, *encoder.encoder_layers, encoder.layer_norm],
    "DINOV2Encoder": lambda encoder: encoder.layers,
    "DINOV3Encoder": lambda encoder: encoder.layers,
    "SwinTransformerStage": lambda stage: stage.blocks,
}


def let_be_saved(layer: "keras.layers.Layer") -> None:
    """Have a layer of KerasHub write the arguments that it takes, so that a .keras file loads.

    Some write others besides, and leave some out: KerasHub itself saves whole networks only.
    """
    if not type(layer).__module__.startswith("keras_hub"):
        return
    written, plain = layer.get_config(), (int, float, str, tuple, list)
    names = inspect.signature(type(layer).__init__).parameters.keys() | OF_ALL_LAYERS
    added = {name: getattr(layer, name, None) for name in names - written.keys()}
    config = {name: value for name, value in added.items() if isinstance(value, plain)}
    config |= {name: value for name, value in written.items() if name in names}
    layer.get_config = lambda: config
    if hasattr(layer, "interpolated_position_embeddings"):
        layer.save_own_variables = lambda store: _save_positions(layer, store)


def _save_positions(layer: "keras.layers.Layer", store: dict) -> None:
    """Save DINOv2's embeddings as they are: of those that were trained KerasHub saves only some.

    It looks whether the sum of all changes is above 0.
    """
    layer.position_embeddings.assign(layer.interpolated_position_embeddings)
    super(type(layer), layer).save_own_variables(store)
