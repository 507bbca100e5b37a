"""What runs the frozen network: TensorFlow, or OpenVINO, which is faster on a CPU.

OpenVINO runs a network that was converted once without TensorFlow, whose import takes seconds; so
this module imports neither before it is needed.
"""

import math
import os
import sys
import tempfile
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

import numpy as np

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras
    import openvino

NUMBERS_AT_ONCE = 3 * 2**16  # of the input, in one call of OpenVINO
SMALL = 2**16  # numbers in a variable
# To OpenVINO. A model in 8 bits says which layers compute in these; this is of the others.
HINTS = {"float32": "f32", "bfloat16": "bf16", "int8": "bf16"}

# From batches of pixels to the outputs of each by name, in the same order. Several batches may be
# asked for before the first answer comes.
Forward = Callable[[Iterable[np.ndarray]], Iterator[dict[str, np.ndarray]]]


def forward(model: "keras.Model", engine: str, precision: str) -> Forward:
    """Return a function from batches of pixels RGB 0..255 (k, h, w, 3) to the model's outputs.

    engine: openvino or tensorflow; precision: float32 or bfloat16, of what is in between, for the
    outputs are float32. The pixels may be uint8 or float32. On a CPU the outputs for an image do
    not depend on the others in its batch, nor on the number of threads. (With oneDNN switched off
    TensorFlow's may, by 1e-6 of the largest output.) Raises UserError when the engine is not
    installed.
    """
    if engine == "openvino":
        return compiled(read(convert(model)), precision)
    return tensorflow_engine.forward(model, precision)


def with_places(
    forward: Forward, batches: Iterable[tuple[object, np.ndarray]]
) -> Iterator[tuple[object, dict[str, np.ndarray]]]:
    """Yield the outputs of each batch together with what came with it, such as its rows."""
    places = deque()

    def pixels() -> Iterator[np.ndarray]:
        for place, batch in batches:
            places.append(place)
            yield batch

    for outputs in forward(pixels()):
        yield places.popleft(), outputs


def tensorflow_device() -> str:
    """Return what TensorFlow computes on, as results differ by it: its GPU's name, or CPU."""
    return (
        tensorflow_engine.gpu_name() or f"CPU, oneDNN {os.environ.get('TF_ENABLE_ONEDNN_OPTS', '')}"
    )


def imported() -> ModuleType:
    """Return the package openvino. Raises UserError when it is not installed."""
    # Without this package convert_model reports to nobody that it was called.
    sys.modules.setdefault("openvino_telemetry", None)
    try:
        import openvino  # here, for who has another engine need not have this one
    except ModuleNotFoundError:
        raise UserError(
            "OpenVINO is not installed",
            "extract.engine",
            "install requirements.txt, or set it to tensorflow",
        ) from None
    return openvino


def convert(model: "keras.Model") -> bytes:
    """Return a model in OpenVINO's form, as `packed` gives it.

    Raises UserError when OpenVINO is not installed.
    """
    openvino = imported()
    import keras
    import tensorflow as tf

    # OpenVINO 2026.4.1 looks each variable up among all of them, by name, ten times; as constants
    # they cost nothing but a copy.
    small = [(each, each.numpy()) for each in model.variables if np.prod(each.shape) <= SMALL]

    @tf.function(autograph=False)
    def traced(pixels):
        with keras.StatelessScope([(each, tf.constant(value)) for each, value in small]):
            return model(pixels, training=False)

    signature = tf.TensorSpec((None, *model.input_shape[1:]), "float32")
    converted = openvino.convert_model(traced.get_concrete_function(signature))
    for output, name in zip(converted.outputs, sorted(model.output)):  # as TensorFlow flattens
        output.set_names({name})
    return packed(converted)


def packed(model: "openvino.Model") -> bytes:
    """Return a model as OpenVINO's two files, a description and the weights, in one piece."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.xml")
        imported().save_model(model, file, compress_to_fp16=False)
        description, numbers = file.read_bytes(), file.with_suffix(".bin").read_bytes()
    return len(description).to_bytes(8) + description + numbers


def read(network: bytes) -> "openvino.Model":
    """Return the model that `packed` put into one piece."""
    end = 8 + int.from_bytes(network[:8])
    return imported().Core().read_model(network[8:end], network[end:])


def shapes(model: "openvino.Model") -> dict[str, tuple[int, ...]]:
    """Return the shapes of a model's outputs by name, but for the batch."""
    return {
        output.get_any_name(): tuple(size.get_length() for size in list(output.partial_shape)[1:])
        for output in model.outputs
    }


def compiled(model: "openvino.Model", precision: str) -> Forward:
    """Return what `forward` does, for a model that was converted; of int8 also made by `int8`."""
    ready, of_one = _compiled(model, precision), shapes(model)
    count = ready.inputs[0].shape[0]
    requests = ready.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")

    def run(batches):
        # Not by AsyncInferQueue: its callbacks want Python's lock while the end of the model, which
        # holds it, waits for their threads, so that both wait for ever (OpenVINO 2026.4.1).
        free, running = [ready.create_infer_request() for _ in range(requests)], deque()

        def oldest():
            request, part, outputs = running.popleft()
            request.wait()
            for index, values in enumerate(outputs.values()):
                values[part] = request.get_output_tensor(index).data[: part.stop - part.start]
            free.append(request)
            if part.stop == len(values):
                yield outputs

        for pixels in batches:
            total = len(pixels)
            outputs = {name: np.empty((total, *shape), "float32") for name, shape in of_one.items()}
            for start in range(0, total, count):
                if not free:
                    yield from oldest()
                request, part = free.pop(), slice(start, min(start + count, total))
                # Where there are fewer than `count`, what was there before is computed again.
                request.get_input_tensor().data[: part.stop - start] = pixels[part]
                request.start_async()
                running.append((request, part, outputs))
        while running:
            yield from oldest()

    return run


def _compiled(model: "openvino.Model", precision: str) -> "openvino.CompiledModel":
    """Make a model ready for the CPU, to take `at_once` images in every call."""
    fixed = model.clone()
    shape = [size.get_length() for size in list(fixed.inputs[0].partial_shape)[1:]]
    fixed.reshape([at_once(math.prod(shape)), *shape])
    settings = {
        "INFERENCE_PRECISION_HINT": HINTS[precision],
        "PERFORMANCE_HINT": "THROUGHPUT",  # several calls at once, each on few cores
    }
    return imported().compile_model(fixed, "CPU", settings)


def at_once(numbers: int) -> int:
    """Return how many inputs of so many numbers each OpenVINO computes in one call.

    So few that what lies between two layers stays in the processor's caches: 2 images of 160 px and
    above, 16 of 64 px.
    """
    return max(2, NUMBERS_AT_ONCE // numbers)
