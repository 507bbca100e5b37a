"""A network in 8 bits, as OpenVINO runs it where it finds its FakeQuantize around a layer.

The inputs of convolutions (and of matrix products over places) are rounded to 256 steps between
what some training images reach there, their weights to 255 steps for each channel (Jacob and others
2018). OpenVINO's tool for that, NNCF, came no nearer to float32 (EfficientNetLite0's features were
off by 16 % with it and by 9 % with this), and it wants an older NumPy than the pinned one.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from thaw.project import software
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import openvino

IMAGES = 200  # training images that tell the ranges
STEPS, WEIGHT_STEPS = 256, 255  # of inputs, and of weights, which are as many below 0 as above
DIGITS = 4  # of a range, so that no other processor has another one
# Instructions for sums of products of 8 bits. Without them OpenVINO adds two products in 16 bits,
# which overflow, so weights then have 7 bits.
INSTRUCTIONS = {"amx_int8", "asimddp", "avx512_vnni", "avx_vnni", "i8mm"}
PLACES = {"Convolution": 1, "GroupConvolution": 2}  # the first axis of a kernel that is summed over

Ranges = list[list[float]]  # the lowest and the highest input of each layer, in the model's order


def chosen(digests: Sequence[str]) -> np.ndarray:
    """Return which of the training images tell the ranges: those with the smallest digests.

    int (at most IMAGES,). So they are the same on every machine, and in whatever order images are.
    """
    return np.argsort(np.asarray(digests), kind="stable")[:IMAGES]


def ranges(model: "openvino.Model", pixels: np.ndarray) -> Ranges:
    """Return the mean over images of the lowest and of the highest input of each layer.

    pixels: uint8 (n, h, w, 3), n > 0. The mean, as a single image's extreme would make all steps
    coarse. 0 is always among them.
    """
    import openvino
    from openvino import opset13 as ops

    model = model.clone()
    ends = []
    for layer in _layers(model):
        inputs = layer.input_value(0)
        axes = ops.constant(np.arange(len(inputs.partial_shape)))
        ends += [reduce(inputs, axes) for reduce in (ops.reduce_min, ops.reduce_max)]
    found = openvino.Model([ops.result(end) for end in ends], model.get_parameters())
    ready = openvino.compile_model(found, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    means = np.zeros(len(ends))
    for image in pixels:
        answers = ready(image[None].astype("float32"))
        means += [float(answers[place]) / len(pixels) for place in range(len(ends))]
    return [
        [float(f"{min(low, 0.0):.{DIGITS}g}"), float(f"{max(high, 0.0):.{DIGITS}g}")]
        for low, high in means.reshape(-1, 2)
    ]


def quantized(model: "openvino.Model", ranges: Ranges) -> "openvino.Model":
    """Return a model whose layers round their inputs and their weights, and so run in 8 bits.

    `ranges`: of this model, as the function of this name gives them. Raises UserError when there
    are not as many as layers.
    """
    model = model.clone()
    if len(_layers(model)) != len(ranges):
        raise UserError(
            f"8 bits: {len(ranges)} ranges for {len(_layers(model))} layers, so another version "
            "converted this network",
            hint="run `dvc repro --force extract`",
        )
    rounded = {}  # by what gives it, as several layers may take one input
    for layer, (low, high) in zip(_layers(model), ranges):
        inputs, kernel = layer.input_value(0), layer.input_value(1)
        key = inputs.get_node().get_friendly_name(), inputs.get_index()
        if key not in rounded:
            ends = [np.full((1,) * len(inputs.partial_shape), end) for end in _with_zero(low, high)]
            rounded[key] = _round(inputs, *ends, STEPS)
        layer.input(0).replace_source_output(rounded[key])
        largest = np.abs(kernel.get_node().data).max(axis=_summed(layer), keepdims=True)
        largest = np.maximum(largest, np.finfo("float32").tiny) * (1 if _has_products() else 2)
        layer.input(1).replace_source_output(_round(kernel, -largest, largest, WEIGHT_STEPS))
    return model


def _layers(model: "openvino.Model") -> list:
    """Return the layers with weights that are worth it: those over many places, but the first.

    That one is a small part of the work, and makes a third of the error (EfficientNetLite0).
    """
    found = [
        each
        for each in model.get_ordered_ops()
        if each.get_type_name() in (*PLACES, "MatMul")
        and each.input_value(1).get_node().get_type_name() == "Constant"
        and _over_places(each)
    ]
    return found[1:]


def _over_places(layer) -> bool:
    """Return whether a layer takes places, not images: a dense one may have them side by side."""
    inputs = layer.input_value(0)
    made_by, shape = inputs.get_node(), inputs.partial_shape
    if len(shape) > 2 or made_by.get_type_name() != "Reshape":
        return len(shape) > 2
    before = made_by.input_value(0).partial_shape
    return len(before) > 2 and before[-1] == shape[-1]


def _summed(layer) -> tuple[int, ...]:
    """Return the axes of a layer's weights that it sums over."""
    kind, rank = layer.get_type_name(), len(layer.input_value(1).partial_shape)
    if kind == "MatMul":
        return (rank - 1 if layer.get_attributes()["transpose_b"] else rank - 2,)
    return tuple(range(PLACES[kind], rank))


def _has_products() -> bool:
    *found, limit = software.instructions()  # a limit of oneDNN's, which is for less than there is
    return not limit and bool(INSTRUCTIONS & set(found))


def _with_zero(low: float, high: float) -> tuple[float, float]:
    """Move a range so that 0, which pads images and is much of what ReLU gives, is a step of it."""
    if high == low:
        return 0.0, 1.0
    step = (high - low) / (STEPS - 1)
    below = round(-low / step)
    return -below * step, (STEPS - 1 - below) * step


def _round(values, low: np.ndarray, high: np.ndarray, steps: int):
    from openvino import opset13 as ops

    ends = [ops.constant(end.astype("float32")) for end in (low, high, low, high)]
    return ops.fake_quantize(values, *ends, steps).output(0)
