import sys

import keras
import numpy as np
import pytest

from tests import tiny
from thaw.features import inference
from thaw.project.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (17, 96, 96, 3)).astype("uint8")


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    return tiny.pooled("EfficientNetLite0", 64)


def passed(forward: inference.Forward, pixels: np.ndarray) -> dict[str, np.ndarray]:
    [outputs] = forward([pixels])
    return outputs


def relative(got: np.ndarray, expected: np.ndarray) -> float:
    """The largest difference, measured by the largest value."""
    return float(np.abs(got - expected).max() / np.abs(expected).max())


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_each_engine_gives_what_keras_gives(lite0, engine):
    pixels = PIXELS[:, :64, :64]
    got = passed(inference.forward(lite0, engine, "float32"), pixels)
    expected = lite0.predict(pixels, verbose=0)
    assert got.keys() == {"avg", "max", "map"}
    for name, values in got.items():
        assert values.dtype == np.float32
        assert values.shape == expected[name].shape
        assert relative(values, expected[name]) < 1e-5


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_the_batch_changes_no_byte(lite0, engine):
    run, pixels = inference.forward(lite0, engine, "float32"), PIXELS[:, :64, :64]
    whole = passed(run, pixels)["avg"]
    for size in (1, 2, 5, 8, 16):
        batches = [(slice(i, i + size), pixels[i : i + size]) for i in range(0, 17, size)]
        got = np.zeros_like(whole)
        for part, outputs in inference.with_places(run, batches):
            got[part] = outputs["avg"]
        assert np.array_equal(got, whole), size


@pytest.mark.parametrize(("size", "count"), [(32, 64), (64, 16), (150, 2), (160, 2), (1024, 2)])
def test_openvino_gets_as_few_images_at_once_as_fit_the_caches(size, count):
    assert inference.at_once(size * size * 3) == count


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_bfloat16_is_near(lite0, engine):
    pixels = PIXELS[:, :64, :64]
    got = passed(inference.forward(lite0, engine, "bfloat16"), pixels)["avg"]
    expected = lite0.predict(pixels, verbose=0)["avg"]
    assert got.dtype == np.float32
    assert relative(got, expected) < 0.1


def test_a_missing_engine_is_one_line(lite0, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match=r"\[extract.engine\]: OpenVINO is not installed; .* tens"):
        inference.forward(lite0, "openvino", "float32")


def test_nothing_is_reported_to_anybody(lite0):
    inference.forward(lite0, "openvino", "float32")
    from openvino.tools.ovc import convert_impl

    assert convert_impl.tm.__name__.endswith("telemetry_stub")


def test_a_copy_at_bfloat16_normalises_as_the_original():
    """EfficientNet's first layer computes with copies of its weights."""
    pixels = keras.Input((8, 8, 3))
    norm = keras.layers.Normalization(name="norm")
    norm.adapt(PIXELS[:, :8, :8].astype("float32"))
    model = keras.Model(pixels, {"out": norm(pixels)})
    got = passed(inference.forward(model, "tensorflow", "bfloat16"), PIXELS[:, :8, :8])["out"]
    assert np.abs(got).max() < 3
    assert relative(got, model.predict(PIXELS[:, :8, :8], verbose=0)["out"]) < 0.1
