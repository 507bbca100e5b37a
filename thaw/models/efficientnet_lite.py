"""EfficientNet Lite 0, 1 and 2 as Keras builds them; `lite_layers` has what they are made of."""

from pathlib import Path

import keras
from keras import layers

from thaw.models import lite_layers
from thaw.models.lite_layers import EPSILON, Layer


def build(number: int, inputs: keras.KerasTensor, classes: int | None = None) -> keras.Model:
    """Build Lite0, 1 or 2 on images normalised with ImageNet's mean and deviation: (n, h, w, 3).

    Without `classes` it ends with the feature map float32 (n, h/32, w/32, 1280); with it, with that
    many logits (n, classes).
    """
    x, outputs = inputs, {}
    for each in lite_layers.layers(number):
        x = _layer(each)([x, outputs[each.adds]] if each.adds else x)
        outputs[each.name] = x
    if classes is not None:
        x = layers.GlobalAveragePooling2D(name="avg_pool")(x)
        x = layers.Dense(classes, name="predictions")(x)
    return keras.Model(keras.utils.get_source_inputs(x), x, name=f"efficientnetlite{number}")


def _layer(of: Layer) -> layers.Layer:
    plain = {"padding": "same", "use_bias": False, "name": of.name}
    if of.kind == "conv":
        return layers.Conv2D(of.channels, of.kernel, of.stride, **plain)
    if of.kind == "depthwise":
        return layers.DepthwiseConv2D(of.kernel, of.stride, **plain)
    if of.kind == "norm":
        return layers.BatchNormalization(epsilon=EPSILON, name=of.name)
    return layers.Add(name=of.name) if of.adds else layers.ReLU(6.0, name=of.name)


def load_package_weights(number: int, model: keras.Model, path: Path) -> None:
    """Set every weight of Lite0, 1 or 2, with or without top, from the package's `.pth` file.

    Raises UserError when the file is no state dict or has not the tensors that the model needs.
    """
    values = lite_layers.package_values(number, path)
    for layer in model.layers:
        if layer.weights:
            layer.set_weights(values[layer.name])
