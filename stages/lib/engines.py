"""What runs the frozen network: TensorFlow, or OpenVINO, which is faster on a CPU."""

import sys
from collections import deque
from collections.abc import Callable, Iterable, Iterator

import keras
import numpy as np
import tensorflow as tf

from stages.lib import weights
from stages.lib.errors import UserError

# From batches, each with anything that tells where it belongs, to outputs by name with the same.
Forward = Callable[
    [Iterable[tuple[object, np.ndarray]]], Iterator[tuple[object, dict[str, np.ndarray]]]
]


def forward(model: keras.Model, engine: str, precision: str) -> Forward:
    """Return a function from batches of pixels RGB 0..255 (k, h, w, 3) to the model's outputs.

    engine: openvino or tensorflow; precision: float32 or bfloat16, of what is in between, for the
    outputs are float32. The pixels may be uint8 or float32. What comes out for a picture does not
    depend on the others in its batch. Raises UserError when the engine is not installed.
    """
    run = {"openvino": _openvino, "tensorflow": _tensorflow}[engine](model, precision)

    def two_or_more(batches):
        # oneDNN computes a batch of one by another route, which differs by about 3e-7.
        for place, pixels in batches:
            several = pixels if len(pixels) > 1 else np.repeat(pixels, 2, axis=0)
            yield (place, len(pixels)), np.asarray(several, "float32")

    def passed(batches):
        for (place, count), outputs in run(two_or_more(batches)):
            yield place, {name: values[:count] for name, values in outputs.items()}

    return passed


def _tensorflow(model: keras.Model, precision: str) -> Forward:
    if precision != "float32":
        copied = keras.models.clone_model(model, clone_function=_at(precision))
        weights.copy(model, copied)
        model = copied
    traced = tf.function(lambda pixels: model(pixels, training=False))

    def run(batches):
        for place, pixels in batches:
            outputs = {name: values.numpy() for name, values in traced(pixels).items()}
            yield place, {name: values.astype("float32") for name, values in outputs.items()}

    return run


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
        "PERFORMANCE_HINT": "THROUGHPUT",  # several batches at once, each on few cores
    }
    compiled = openvino.compile_model(converted, "CPU", settings)
    count = compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")

    def run(batches):
        # Not by AsyncInferQueue: its callbacks want Python's lock while the end of the model, which
        # holds it, waits for their threads, so that both wait for ever (OpenVINO 2026.4.1).
        free, running = [compiled.create_infer_request() for _ in range(count)], deque()

        def oldest():
            place, request = running.popleft()
            request.wait()
            outputs = [request.get_output_tensor(index).data.copy() for index in range(len(names))]
            free.append(request)
            return place, dict(zip(names, outputs))

        for place, pixels in batches:
            if not free:
                yield oldest()
            running.append((place, free.pop()))
            running[-1][1].start_async(pixels)
        while running:
            yield oldest()

    return run
