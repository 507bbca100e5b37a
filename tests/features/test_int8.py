import json

import keras
import numpy as np
import pytest

from tests import tiny
from thaw.features import inference, int8
from thaw.project.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (17, 32, 32, 3)).astype("uint8")


@pytest.fixture(scope="module")
def model() -> keras.Model:
    return tiny.pooled()


@pytest.fixture(scope="module")
def converted(model):
    return inference.read(inference.convert(model))


def average(model, pixels: np.ndarray) -> np.ndarray:
    [outputs] = inference.compiled(model, "int8")([pixels])
    return outputs["avg"]


def test_it_is_near_and_what_openvino_runs_is_in_8_bits(model, converted):
    ranges = int8.ranges(converted, PIXELS)
    quantized = int8.quantized(converted, ranges)
    expected = model.predict(PIXELS, verbose=0)["avg"]
    off = np.abs(average(quantized, PIXELS) - expected).max() / np.abs(expected).max()
    assert 1e-4 < off < 0.15
    assert not [op for op in converted.get_ops() if op.get_type_name() == "FakeQuantize"]
    running = inference._compiled(quantized, "int8").get_runtime_model()
    kinds = [
        op.get_rt_info()["runtimePrecision"].astype(str)
        for op in running.get_ordered_ops()
        if op.get_rt_info()["layerType"].astype(str) == "Convolution"
    ]
    assert kinds[0] in ("f32", "bf16")  # the latter where the processor has it
    assert kinds[1:] == ["u8", "u8", "u8"]


@pytest.mark.parametrize(
    ("instructions", "bits"),
    [(["avx512_vnni", ""], 8), (["avx2", "avx_vnni", ""], 8), (["avx2", ""], 7),
     (["avx512_vnni", "AVX2"], 7), (["asimd", "asimddp", ""], 8), ([""], 7)],
)  # fmt: skip
def test_weights_have_7_bits_where_sums_of_two_products_overflow(
    converted, monkeypatch, instructions, bits
):
    monkeypatch.setattr(int8.software, "instructions", lambda: instructions)
    quantized = int8.quantized(converted, [[0.0, 1.0]] * 3)
    weights = [
        op for op in quantized.get_ordered_ops()
        if op.get_type_name() == "FakeQuantize" and op.get_attributes()["levels"] == 255
    ]  # fmt: skip
    assert len(weights) == 3
    for each in weights:
        kernel, _, high = (each.input_value(place).get_node().data for place in range(3))
        largest = np.abs(kernel).max(axis=(1, 2, 3))
        assert high.ravel() == pytest.approx(largest * (1 if bits == 8 else 2))


def test_ranges_are_of_each_layer_and_the_mean_over_images(converted):
    every = [int8.ranges(converted, PIXELS[at : at + 1]) for at in range(17)]
    found = int8.ranges(converted, PIXELS)
    assert np.shape(found) == (3, 2)  # of four layers
    assert np.mean(every, axis=0) == pytest.approx(np.array(found), rel=2e-3, abs=1e-3)
    assert [low for low, _ in found] == [0.0] * 3  # after ReLU
    assert json.loads(json.dumps(found)) == found


def test_the_batch_changes_no_byte(converted):
    quantized = int8.quantized(converted, int8.ranges(converted, PIXELS))
    whole = average(quantized, PIXELS)
    parts = [average(quantized, PIXELS[at : at + 5]) for at in range(0, 17, 5)]
    assert np.array_equal(np.concatenate(parts), whole)


def test_the_same_images_are_chosen_in_any_order():
    digests = [f"{number * 7919 % 997:064x}" for number in range(503)]
    found = {digests[row] for row in int8.chosen(digests)}
    assert len(found) == 200
    assert found == set(sorted(digests)[:200])
    assert found == {digests[::-1][row] for row in int8.chosen(digests[::-1])}
    assert int8.chosen(["b", "a"]).tolist() == [1, 0]


def test_ranges_of_another_network_are_refused(converted):
    with pytest.raises(UserError, match=r"2 ranges for 3 layers.*; run `dvc repro --force extra"):
        int8.quantized(converted, [[0.0, 1.0]] * 2)


def test_dense_layers_over_places_are_rounded_and_those_of_a_head_are_not():
    """ConvNeXt has its weights in the former; the latter, and distances, should stay exact."""
    pixels = keras.Input((8, 8, 3))
    first = keras.layers.Conv2D(4, 1, activation="relu", name="first")(pixels)
    places = keras.layers.Dense(5, name="places")(first)
    heads = [
        keras.layers.Dense(2, name=f"head{number}")(pooling(name=f"pool{number}")(places))
        for number, pooling in enumerate([keras.layers.GlobalMaxPooling2D, keras.layers.Flatten])
    ]
    model = keras.Model(pixels, dict(zip(("avg", "max"), heads)))
    converted = inference.read(inference.convert(model))
    ranges = int8.ranges(converted, PIXELS[:, :8, :8])
    reached = keras.Model(pixels, first).predict(PIXELS[:, :8, :8], verbose=0).reshape(17, -1)
    assert ranges == [pytest.approx([0, reached.max(axis=1).mean()], rel=1e-3)]
    got = average(int8.quantized(converted, ranges), PIXELS[:, :8, :8])
    expected = model.predict(PIXELS[:, :8, :8], verbose=0)["avg"]
    assert 0 < np.abs(got - expected).max() < 0.02 * np.abs(expected).max()


def test_0_is_a_step_and_a_range_without_width_is_none():
    for low, high in ((-0.3, 1.0), (-7.0, 0.0), (0.0, 6.0)):
        moved = int8._with_zero(low, high)
        step = (moved[1] - moved[0]) / 255
        assert moved == pytest.approx((low, high), abs=step)
        assert moved[0] / step == pytest.approx(round(moved[0] / step))
    assert int8._with_zero(0.0, 0.0) == (0.0, 1.0)
