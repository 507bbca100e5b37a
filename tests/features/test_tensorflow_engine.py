"""What is done on a GPU, on a processor that is said to be one; XLA compiles for it, too."""

import keras
import numpy as np
import pynvml
import pytest
import tensorflow as tf

from tests import tiny
from thaw.features import frozen_backbone, inference, tensorflow_engine
from thaw.project.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (71, 32, 32, 3)).astype("uint8")
GIB = 2**30


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny.pooled()


@pytest.fixture
def gpu(monkeypatch):
    """Say that TensorFlow sees a GPU; return a function that says how much memory that has."""
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0"])
    monkeypatch.setattr(tensorflow_engine, "gpu_name", lambda: "A card")

    def has(memory: int | None) -> None:
        monkeypatch.setattr(tensorflow_engine, "_memory", {"A card": memory}.get)

    has(None)
    return has


@pytest.mark.parametrize("precision", ["float32", "bfloat16"])
@pytest.mark.parametrize("sizes", [(71,), (13, 31, 1, 26)])
def test_calls_of_a_gpu_are_filled_across_batches(model, gpu, precision, sizes):
    run = inference.forward(model, "tensorflow", precision)
    ends = np.cumsum(sizes)
    batches = [(end, PIXELS[end - size : end]) for end, size in zip(ends, sizes)]
    places, outputs = zip(*inference.with_places(run, batches))
    expected = model.predict(PIXELS, verbose=0)
    assert places == tuple(ends)
    assert [len(each["avg"]) for each in outputs] == list(sizes)
    for name, values in expected.items():
        got = np.concatenate([each[name] for each in outputs])
        assert (got.shape, got.dtype) == (values.shape, np.float32)
        allowed = 1e-5 if precision == "float32" else 0.1
        assert np.abs(got - values).max() < allowed * np.abs(values).max()
        if sizes == (71,) and precision == "float32":
            again = next(run([PIXELS[:5]]))[name]  # in a call with 27 black images
            assert np.array_equal(again, got[:5])


def test_a_card_that_others_use_is_one_line(model, gpu, monkeypatch):
    def full(*_):
        raise tf.errors.ResourceExhaustedError(None, None, "OOM when allocating tensor")

    monkeypatch.setattr(tensorflow_engine, "_calls", full)
    with pytest.raises(UserError, match=r"no memory for 32 images at once on A card; end what els"):
        next(inference.forward(model, "tensorflow", "float32")([PIXELS]))


def test_a_call_is_as_large_as_the_card_allows(model, gpu):
    assert tensorflow_engine.images_at_once(model) == 32  # of unknown memory
    of_image = 32 * 32 * 8 * 4 * tensorflow_engine.ALIVE  # the first convolution gives most
    for images, expected in ((1, 2), (63, 32), (64, 64), (70, 64), (1000, 256)):
        gpu(int(of_image * images / tensorflow_engine.SHARE))
        assert tensorflow_engine.images_at_once(model) == expected
    pixels = keras.Input((32, 32, 3))
    nested = keras.Model(pixels, model(pixels))
    gpu(int(of_image * 64 / tensorflow_engine.SHARE))
    assert tensorflow_engine.images_at_once(nested) == 64


def test_a_processor_gets_as_many_as_ever(model):
    assert tensorflow_engine.images_at_once(model) == 16
    assert tensorflow_engine.gpu_name() is None


def test_the_memory_is_that_of_the_smallest_card_of_the_name(monkeypatch):
    cards = [("A card", 40 * GIB), ("Another", 8 * GIB), ("A card", 24 * GIB)]

    class Memory:
        def __init__(self, card):
            self.total = card[1]

    for name, stand_in in {
        "nvmlInit": lambda: None,
        "nvmlDeviceGetCount": lambda: len(cards),
        "nvmlDeviceGetHandleByIndex": cards.__getitem__,
        "nvmlDeviceGetName": lambda card: card[0],
        "nvmlDeviceGetMemoryInfo": Memory,
    }.items():
        monkeypatch.setattr(pynvml, name, stand_in)
    assert tensorflow_engine._memory("A card") == 24 * GIB
    assert tensorflow_engine._memory("A card MIG 1g.5gb") is None

    def absent():
        raise pynvml.NVMLError(pynvml.NVML_ERROR_LIBRARY_NOT_FOUND)

    monkeypatch.setattr(pynvml, "nvmlInit", absent)
    assert tensorflow_engine._memory("A card") is None


def test_another_size_of_calls_has_other_keys(model, gpu):
    how = {"engine": "tensorflow", "precision": "float32"}
    found = frozen_backbone.of_model(model, how).provenance
    assert found == how | {"device": "A card", "at_once": 32}
    gpu(GIB)
    assert frozen_backbone.of_model(model, how).provenance["at_once"] == 256
