"""What runs the frozen network: TensorFlow, or OpenVINO, which is faster on a CPU."""

import sys
from collections.abc import Callable

import keras
import numpy as np
import tensorflow as tf

from stages.lib.errors import UserError

Forward = Callable[[np.ndarray], dict[str, np.ndarray]]


def forward(model: keras.Model, engine: str, precision: str) -> Forward:
    """Return a function from pixels RGB 0..255 (n, h, w, 3) to the model's outputs by name.

    engine: openvino or tensorflow; precision: float32 or bfloat16, of what is in between, for the
    outputs are float32. The pixels may be uint8 or float32. What comes out for a picture does not
    depend on the others in its batch. Raises UserError when the engine is not installed.
    """
    run = {"openvino": _openvino, "tensorflow": _tensorflow}[engine](model, precision)

    def one_or_more(pixels: np.ndarray) -> dict[str, np.ndarray]:
        if len(pixels) > 1:
            return run(pixels)
        # oneDNN computes a batch of one by another route, which differs by about 3e-7.
        return {name: values[:1] for name, values in run(np.repeat(pixels, 2, axis=0)).items()}

    return one_or_more


def _tensorflow(model: keras.Model, precision: str) -> Forward:
    if precision != "float32":
        copied = keras.models.clone_model(model, clone_function=_at(precision))
        for weight, source in zip(copied.weights, model.weights, strict=True):
            weight.assign(source)
        model = copied
    run = tf.function(lambda pixels: model(tf.cast(pixels, "float32"), training=False))
    return lambda pixels: {
        name: values.numpy().astype("float32", copy=False) for name, values in run(pixels).items()
    }


def _at(precision: str) -> Callable[[keras.layers.Layer], keras.layers.Layer]:
    """Return a function that copies a layer to compute at `precision`, with weights in float32."""

    def copy(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": f"mixed_{precision}"})

    return copy


def _openvino(model: keras.Model, precision: str) -> Forward:
    # Without this package convert_model reports to nobody that it was called.
    sys.modules.setdefault("openvino_telemetry", None)
    try:
        import openvino  # here, for who has another engine need not have this one
    except ModuleNotFoundError:
        raise UserError(
            "params.yaml [extract.engine]: OpenVINO is not installed; install requirements.txt, or "
            "set it to tensorflow"
        ) from None
    names = sorted(model.output)  # as TensorFlow flattens a dict
    signature = tf.TensorSpec((None, *model.input_shape[1:]), "float32")
    traced = tf.function(lambda pixels: model(pixels, training=False))
    converted = openvino.convert_model(traced.get_concrete_function(signature))
    settings = {
        "INFERENCE_PRECISION_HINT": {"float32": "f32", "bfloat16": "bf16"}[precision],
        "PERFORMANCE_HINT": "LATENCY",  # all cores on one batch; decoding is on threads of its own
    }
    compiled = openvino.compile_model(converted, "CPU", settings)

    def run(pixels: np.ndarray) -> dict[str, np.ndarray]:
        outputs = compiled(np.asarray(pixels, "float32"))
        return {name: outputs[index] for index, name in enumerate(names)}

    return run
