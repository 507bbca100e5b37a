"""The frozen network as TensorFlow runs it: on a GPU where it sees one, else on the processor.

On a GPU XLA compiles the network, and a call takes as many images as fit the card. Calls are filled
across batches, so `runtime.batch_size` changes no call and no shape.
"""

import tempfile
from collections import deque
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from thaw.project.errors import UserError

if TYPE_CHECKING:
    import keras
    import tensorflow as tf

# Images in one call, always, as TensorFlow's kernels compute another shape by another route.
ON_CPU, ON_UNKNOWN_GPU, MOST_ON_GPU = 16, 32, 256
SHARE = 0.25  # of a card's memory, as weights, workspaces and other processes want some
ALIVE = 4  # outputs of the largest layer that an image needs at once, at most
AHEAD = 1  # calls that a GPU has before the answer of an earlier one is asked for


def forward(model: "keras.Model", precision: str):
    """Return an `inference.Forward` of a model with named outputs; `precision` as there.

    It raises UserError where the GPU has no room for a call.
    """
    import tensorflow as tf

    if precision != "float32":
        model = _copied_at(model, f"mixed_{precision}")
    count = images_at_once(model)

    @tf.function(jit_compile=bool(gpus()))
    def traced(pixels):
        return model(tf.cast(pixels, "float32"), training=False)

    def run(batches):
        sizes = deque()  # of the batches that are not answered yet

        def noted():
            for pixels in batches:
                sizes.append(len(pixels))
                yield pixels

        try:
            calls = ((used, traced(pixels)) for used, pixels in _calls(noted(), count))
            yield from _by_batch(_ahead(calls), sizes)
        except tf.errors.ResourceExhaustedError:
            raise UserError(
                f"there is no memory for {count} images at once on {gpu_name() or 'this machine'}",
                "extract.engine",
                "end what else uses it, or set this to openvino",
            ) from None

    return run


def _copied_at(model: "keras.Model", policy: str) -> "keras.Model":
    """Return a copy that computes at a mixed precision, with weights in float32."""
    import keras

    from thaw.models import weights

    def at(layer: keras.layers.Layer) -> keras.layers.Layer:
        return type(layer).from_config({**layer.get_config(), "dtype": policy})

    copied = keras.models.clone_model(model, clone_function=at)
    weights.copy(model, copied)
    return copied


def _calls(batches: Iterator[np.ndarray], count: int) -> Iterator[tuple[int, np.ndarray]]:
    """Yield pixels (count, h, w, 3) of batches side by side, with how many of them are of these.

    After the last one come black images.
    """
    used = 0
    for pixels in batches:
        start = 0
        while start < len(pixels):
            if used == 0:
                filled = np.zeros((count, *pixels.shape[1:]), pixels.dtype)
            taken = min(count - used, len(pixels) - start)
            filled[used : used + taken] = pixels[start : start + taken]
            used, start = used + taken, start + taken
            if used == count:
                yield used, filled
                used = 0
    if used:
        yield used, filled


def _ahead(calls: Iterator[tuple]) -> Iterator[tuple]:
    """Yield what `calls` yields, later: a GPU computes a call while the next one is prepared."""
    running = deque()
    for call in calls:
        running.append(call)
        if len(running) > AHEAD:
            yield running.popleft()
    yield from running


def _by_batch(answers: Iterator[tuple[int, dict]], sizes: deque) -> Iterator[dict]:
    """Yield the outputs of batches of these sizes, which calls were filled with side by side."""
    left = {}
    for used, answer in answers:
        for name, values in answer.items():
            new = values.numpy()[:used].astype("float32")
            left[name] = np.concatenate([left[name], new]) if name in left else new
        while sizes and len(next(iter(left.values()))) >= sizes[0]:
            size = sizes.popleft()
            yield {name: values[:size] for name, values in left.items()}
            left = {name: values[size:] for name, values in left.items()}


def packed(model: "keras.Model") -> bytes:
    """Return a model as the bytes of Keras' own file."""
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.keras")
        model.save(file)
        return file.read_bytes()


def unpacked(data: bytes) -> "keras.Model":
    """Return the model that `packed` gave."""
    from thaw.models.tf_setup import make_deterministic  # isort: skip  first, before Keras
    import keras

    make_deterministic()
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "network.keras")
        file.write_bytes(data)
        return keras.saving.load_model(file, compile=False)


def gpus() -> "list[tf.config.PhysicalDevice]":
    """Return the GPUs that TensorFlow sees; it computes on the first."""
    import tensorflow as tf

    return tf.config.list_physical_devices("GPU")


def images_at_once(model: "keras.Model") -> int:
    """Return how many images a call takes: a power of two on a GPU, by its memory, up to 256.

    It depends on the network and the kind of card alone, and not on what else uses that now.
    """
    if not gpus():
        return ON_CPU
    memory = _memory(gpu_name())
    if memory is None:
        return ON_UNKNOWN_GPU
    fit = int(memory * SHARE / (ALIVE * 4 * _largest_output(model)))
    return min(MOST_ON_GPU, max(2, 1 << (fit.bit_length() - 1)))


def _largest_output(model: "keras.Model") -> int:
    """Return how many numbers the largest output of a layer has for an image."""
    import keras

    sizes = [
        _largest_output(each)
        if isinstance(each, keras.Model)
        else max(int(np.prod(tensor.shape[1:])) for tensor in keras.tree.flatten(each.output))
        for each in model.operations
    ]
    return max(sizes)


def gpu_name() -> str | None:
    """Return the name of the GPU that TensorFlow computes on, or None where it sees none."""
    import tensorflow as tf

    found = gpus()
    if not found:
        return None
    return tf.config.experimental.get_device_details(found[0]).get("device_name", "GPU")


def _memory(name: str) -> int | None:
    """Return the bytes of the smallest card of that name, None where the driver does not tell."""
    import pynvml

    try:
        pynvml.nvmlInit()
        cards = [*map(pynvml.nvmlDeviceGetHandleByIndex, range(pynvml.nvmlDeviceGetCount()))]
        found = [
            pynvml.nvmlDeviceGetMemoryInfo(card).total
            for card in cards
            if pynvml.nvmlDeviceGetName(card) == name
        ]
    except pynvml.NVMLError:
        return None
    return min(found, default=None)
