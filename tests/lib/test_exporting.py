import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from stages.lib import exporting
from stages.lib.errors import UserError
from stages.lib.formats import FORMATS
from stages.lib.pictures import Pictures

SCORES = {"fine_tuned": {"accuracy": 0.91}, "head": {"accuracy": 0.99}}
DECODING = Pictures(upright=True, background=[255, 0, 7], reducing_gap=None)


def settings(**changes) -> exporting.Export:
    values = {"formats": [], "tolerance": 1e-4, "int8_tolerance": 1.5, "min_accuracy": None}
    return exporting.Export(**values | changes)


def constant(rows: list[list[float]]) -> keras.Model:
    """A model that gives the same probabilities for every picture of 4 x 4."""
    pixels = keras.Input((4, 4, 3), name="pixels")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.0)(pixels))
    dense = keras.layers.Dense(len(rows), activation="softmax")
    model = keras.Model(pixels, dense(x))
    dense.set_weights([np.zeros((3, len(rows))), np.log(rows)])
    return model


def test_the_gate_looks_at_the_fine_tuned_model():
    for gate in (None, 0.0, 0.91):
        exporting.check_gate(SCORES, settings(min_accuracy=gate))
    with pytest.raises(UserError, match=r"0.91 is under params.yaml \[export.min_accuracy\]: 0.92"):
        exporting.check_gate(SCORES, settings(min_accuracy=0.92))


def test_keras_is_always_written_and_the_order_is_ours():
    assert settings().names == ["keras"]
    assert settings(formats=["openvino", "onnx"]).names == ["keras", "onnx", "openvino"]
    with pytest.raises(ValidationError, match="each format once"):
        settings(formats=["onnx", "onnx"])
    with pytest.raises(ValidationError, match="'keras', 'saved_model', 'onnx'"):
        settings(formats=["coreml"])


@pytest.mark.parametrize(
    ("name", "module", "package"),
    [
        ("onnx", "onnx", "onnx"),
        ("onnx", "tf2onnx", "tf2onnx"),
        ("onnx", "onnxruntime", "onnxruntime"),
        ("litert", "ai_edge_litert", "ai-edge-litert"),
        ("litert_int8", "ai_edge_litert", "ai-edge-litert"),
    ],
)
def test_a_missing_package_is_named(monkeypatch, name, module, package):
    exporting.check_installed(settings(formats=[name]))
    monkeypatch.setitem(sys.modules, module, None)
    exporting.check_installed(settings(formats=["saved_model", "openvino"]))
    line = rf"\[export.formats\]: {name} needs the package {package}, .* run `make extras`"
    with pytest.raises(UserError, match=line):
        exporting.check_installed(settings(formats=["openvino", name]))


def test_write(tmp_path):
    model = constant([0.3, 0.7])
    folder = tmp_path / "export"
    exporting.write(model, ["é", "b"], DECODING, ["keras"], lambda: pytest.fail("asked"), folder)
    assert sorted(each.name for each in folder.iterdir()) == [
        "input.json", "labels.json", "model.keras",
    ]  # fmt: skip
    assert json.loads((folder / "labels.json").read_text()) == ["é", "b"]
    pixels = json.loads((folder / "input.json").read_text())["pixels"]
    assert pixels["shape"] == ["n", 4, 4, 3]
    assert pixels["range"] == [0, 255]
    assert pixels["upright"] is True
    assert pixels["background"] == [255, 0, 7]
    assert keras.saving.load_model(folder / "model.keras").output_shape == (None, 2)


@pytest.mark.parametrize("broken", ["write", "open", "run"])
def test_what_a_converter_or_runtime_cannot_do_is_said_in_one_line(tmp_path, monkeypatch, broken):
    def fail(*_):
        raise RuntimeError("no such operation: Erf")

    fails = {"open": lambda _: fail} if broken == "run" else {broken: fail}
    monkeypatch.setitem(exporting.FORMATS, "keras", FORMATS["keras"]._replace(**fails))
    model, folder = constant([0.3, 0.7]), tmp_path / "export"

    def export():
        exporting.write(model, ["a", "b"], DECODING, ["keras"], lambda: None, folder)
        exporting.compare(
            model, np.zeros(2, int), np.zeros((2, 4, 4, 3), "uint8"), folder, settings()
        )

    with pytest.raises(UserError, match=r"keras cannot do .* Erf; take keras out of"):
        export()


def test_compare_measures_each_format_against_the_model(tmp_path):
    model, other = constant([0.3, 0.7]), constant([0.55, 0.45])
    exporting.write(other, ["a", "b"], DECODING, ["keras"], lambda: None, tmp_path / "export")
    pixels, truth = np.zeros((37, 4, 4, 3), "uint8"), np.array([1] * 30 + [0] * 7)
    with pytest.raises(UserError, match=r"probabilities of keras differ from Keras' by 0.25, more"):
        exporting.compare(model, truth, pixels, tmp_path / "export", settings())
    table = exporting.compare(model, truth, pixels, tmp_path / "export", settings(tolerance=0.26))
    assert not tf.config.experimental.tensor_float_32_execution_enabled()
    row = table.pop("keras")
    assert table == {}
    assert row.pop("milliseconds") > 0
    size = (tmp_path / "export/model.keras").stat().st_size
    assert row == {
        "megabytes": round(size / 1e6, 2),
        "accuracy": round(7 / 37, 4),
        "agreement": 0.0,
        "largest_difference": 0.25,
    }


def chances(guess: np.ndarray, sure: float = 0.9) -> np.ndarray:
    return np.where(np.eye(3)[guess] == 1, sure, (1 - sure) / 2)


def test_int8_may_cost_so_much_accuracy_and_no_more():
    truth = np.arange(201) % 3
    for lost, passes in ((0, True), (3, True), (4, False)):
        guess = truth.copy()
        guess[:lost] = (guess[:lost] + 1) % 3
        given = "litert_int8", truth, chances(truth), chances(guess, 0.5), settings()
        if passes:
            exporting.check(*given)
        else:
            with pytest.raises(UserError, match=r"int8 costs 2.0 points of accuracy on 201 test"):
                exporting.check(*given)
    guess = chances((truth + 1) % 3)
    exporting.check("litert_int8", truth, guess, chances(truth), settings())  # it may gain


def test_a_single_picture_is_always_allowed():
    truth, exact = np.zeros(5, int), settings(int8_tolerance=0.0)
    exporting.check("litert_int8", truth, chances(truth), chances([0, 0, 0, 0, 1]), exact)
    with pytest.raises(UserError, match=r"costs 40\.0 points"):
        exporting.check("litert_int8", truth, chances(truth), chances([0, 0, 0, 2, 1]), exact)


def test_what_is_not_a_number_does_not_pass():
    truth = np.zeros(5, int)
    with pytest.raises(UserError, match="differ from Keras' by nan"):
        exporting.check("onnx", truth, chances(truth), chances(truth) * np.nan, settings())


def test_sizes_and_digits(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/one").write_bytes(bytes(1001))
    (tmp_path / "folder/inner/two").write_bytes(bytes(30))
    assert exporting.size(tmp_path / "folder") == 1031
    assert exporting.size(tmp_path / "folder/one") == 1001
    assert [exporting.significant(each) for each in (0.0, 1.2345e-7, 123.4)] == [0.0, 1.2e-7, 120.0]
