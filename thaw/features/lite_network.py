"""EfficientNet Lite as OpenVINO runs it frozen, built by its own API, so without TensorFlow."""

from typing import TYPE_CHECKING

import numpy as np

from thaw.features import inference
from thaw.models import lite_layers
from thaw.models.lite_layers import EPSILON, Layer
from thaw.models.registry import OFFSET, SCALE

if TYPE_CHECKING:
    import openvino

PLACES = (2, 3)  # axes
PLACES_BEFORE_CHANNELS = (0, 2, 3, 1)


def build(
    number: int, size: int, values: dict[str, list[np.ndarray]], feature_maps: bool
) -> "openvino.Model":
    """Return pixels RGB 0..255 (n, size, size, 3) -> avg and max, (n, 1280), and where asked map.

    It is what `backbones.pooled` gives of the same weights, `values` by layer in Keras' axes; map
    is (n, h, w, 1280). All are float32.
    """
    ops = inference.imported().opset13
    pixels, outputs = _body(number, size, values)
    *_, x = outputs.values()
    results = {"avg": ops.reduce_mean(x, PLACES), "max": ops.reduce_max(x, PLACES)}
    if feature_maps:
        results["map"] = ops.transpose(x, np.array(PLACES_BEFORE_CHANNELS))
    return _model(pixels, results)


def lower(
    number: int, size: int, values: dict[str, list[np.ndarray]], last: str, output: str
) -> "openvino.Model":
    """Return pixels -> the output of the layer `last`, float32 (n, h, w, c), under that name."""
    pixels, outputs = _body(number, size, values, last)
    turned = np.array(PLACES_BEFORE_CHANNELS)
    return _model(pixels, {output: inference.imported().opset13.transpose(outputs[last], turned)})


def _model(pixels: "openvino.Node", results: dict[str, "openvino.Node"]) -> "openvino.Model":
    model = inference.imported().Model([*results.values()], [pixels], "efficientnetlite")
    for output, name in zip(model.outputs, results):
        output.set_names({name})
    return model


def _body(
    number: int, size: int, values: dict[str, list[np.ndarray]], last: str = ""
) -> tuple["openvino.Node", dict[str, "openvino.Node"]]:
    """Return the input, and the outputs of all layers up to `last` by name, (n, c, h, w)."""
    ops = inference.imported().opset13
    pixels = ops.parameter([-1, size, size, 3], np.float32, name="pixels")
    scale, offset = np.array(SCALE, "float32"), np.array(OFFSET, "float32")
    x = ops.transpose(ops.add(ops.multiply(pixels, scale), offset), np.array([0, 3, 1, 2]))
    outputs = {}
    for each in lite_layers.layers(number):
        x = ops.add(x, outputs[each.adds]) if each.adds else _layer(ops, each, x, values)
        outputs[each.name] = x
        if each.name == last:
            break
    return pixels, outputs


def _layer(ops, of: Layer, x: "openvino.Node", values: dict) -> "openvino.Node":
    if of.kind == "relu6":
        return ops.clamp(x, 0.0, 6.0)
    if of.kind == "norm":
        gamma, beta, mean, variance = map(ops.constant, values[of.name])
        return ops.batch_norm_inference(x, gamma, beta, mean, variance, EPSILON)
    [kernel] = values[of.name]
    window = [of.stride] * 2, [0, 0], [0, 0], [1, 1], "same_upper"
    if of.kind == "depthwise":
        turned = np.ascontiguousarray(kernel.transpose(2, 3, 0, 1)[:, :, None])
        return ops.group_convolution(x, ops.constant(turned), *window)
    turned = np.ascontiguousarray(kernel.transpose(3, 2, 0, 1))
    return ops.convolution(x, ops.constant(turned), *window)
