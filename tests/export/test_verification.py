import json
import sys

import keras
import numpy as np
import pytest
import tensorflow as tf
from pydantic import ValidationError

from tests.conftest import decoding
from thaw.export import input_json, verification
from thaw.export.formats import EXPORT_FORMATS
from thaw.export.settings import Export, check_installed
from thaw.project.errors import UserError

SCORES = {"fine_tuned": {"accuracy": 0.91}, "head": {"accuracy": 0.99}}
DECODING = decoding(background=[255, 0, 7])


def settings(**changes) -> Export:
    values = {"formats": [], "tolerance": 1e-4, "int8_tolerance": 1.5, "unknown": False}
    values |= {"min_accuracy": None}
    return Export(**values | changes)


def constant(rows: list[list[float]]) -> keras.Model:
    """A model that gives the same probabilities for every image of 4 x 4."""
    pixels = keras.Input((4, 4, 3), name="pixels")
    x = keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(0.0)(pixels))
    dense = keras.layers.Dense(len(rows), activation="softmax")
    model = keras.Model(pixels, dense(x))
    dense.set_weights([np.zeros((3, len(rows))), np.log(rows)])
    return model


def test_the_gate_looks_at_the_fine_tuned_model():
    for gate in (None, 0.0, 0.91):
        verification.check_gate(SCORES, settings(min_accuracy=gate))
    with pytest.raises(UserError, match=r"test accuracy 0\.91 is under 0\.92") as error:
        verification.check_gate(SCORES, settings(min_accuracy=0.92))
    assert error.value.key == "export.min_accuracy"


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
    check_installed(settings(formats=[name]))
    monkeypatch.setitem(sys.modules, module, None)
    check_installed(settings(formats=["saved_model", "openvino"]))
    with pytest.raises(UserError, match=f"{name} needs the package {package}, which") as error:
        check_installed(settings(formats=["openvino", name]))
    assert error.value.key == "export.formats"
    assert "`make extras`" in error.value.hint


def test_write(tmp_path):
    model = constant([0.3, 0.7])
    folder = tmp_path / "export"
    contract = input_json.contract(4, DECODING, unsure_below=0.625)
    verification.write(model, ["é", "b"], contract, ["keras"], lambda: pytest.fail("asked"), folder)
    assert sorted(each.name for each in folder.iterdir()) == [
        "input.json", "labels.json", "model.keras",
    ]  # fmt: skip
    assert json.loads((folder / "labels.json").read_text()) == ["é", "b"]
    pixels = json.loads((folder / "input.json").read_text())["pixels"]
    assert pixels["shape"] == ["n", 4, 4, 3]
    assert pixels["range"] == [0, 255]
    assert pixels["apply_exif_orientation"] is True
    assert pixels["background"] == [255, 0, 7]
    assert (pixels["fit"], pixels["resize"][:26]) == ("stretch", "the whole image, squeezed;")
    says = json.loads((folder / "input.json").read_text())
    assert says["probabilities"]["unsure_below"] == 0.625
    assert "known" not in says
    versions = json.loads((folder / "input.json").read_text())["versions"]
    assert versions["written_with"] == {"keras": keras.__version__, "tensorflow": tf.__version__}
    assert versions["model.keras"] == "keras >= 3.4"
    assert keras.saving.load_model(folder / "model.keras").output_shape == (None, 2)


@pytest.mark.parametrize("failing", ["write", "open", "predict"])
def test_the_failure_of_a_converter_or_runtime_is_one_line(tmp_path, monkeypatch, failing):
    def fail(*_):
        raise RuntimeError("no such operation: Erf")

    fails = {"open": lambda _: fail} if failing == "predict" else {failing: fail}
    monkeypatch.setitem(
        verification.EXPORT_FORMATS, "keras", EXPORT_FORMATS["keras"]._replace(**fails)
    )
    model, folder = constant([0.3, 0.7]), tmp_path / "export"

    def export():
        verification.write(model, ["a", "b"], {}, ["keras"], lambda: None, folder)
        verification.compare(
            model, np.zeros(2, int), np.zeros((2, 4, 4, 3), "uint8"), folder, settings()
        )

    with pytest.raises(
        UserError, match=r"keras fails on this network: no such operation: Erf"
    ) as error:
        export()
    assert error.value.key == "export.formats"


def test_compare_measures_each_format_against_the_model(tmp_path):
    model, other = constant([0.3, 0.7]), constant([0.55, 0.45])
    verification.write(other, ["a", "b"], {}, ["keras"], lambda: None, tmp_path / "export")
    pixels, truth = np.zeros((37, 4, 4, 3), "uint8"), np.array([1] * 30 + [0] * 7)
    with pytest.raises(UserError, match=r"differ from Keras' by 0\.25, more than 0\.0001") as error:
        verification.compare(model, truth, pixels, tmp_path / "export", settings())
    assert error.value.key == "export.tolerance"
    table = verification.compare(
        model, truth, pixels, tmp_path / "export", settings(tolerance=0.26)
    )
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


def test_known_is_compared_too_and_keras_computes_its_own_once(tmp_path, monkeypatch):
    def joined(known: float) -> keras.Model:
        model = constant([0.3, 0.7])
        brightness = keras.layers.GlobalAveragePooling2D()(model.input)
        known = keras.layers.Rescaling(0.0, known)(brightness)[:, 0]
        return keras.Model(model.input, {"probabilities": model.output, "known": known})

    monkeypatch.setitem(EXPORT_FORMATS, "openvino", EXPORT_FORMATS["keras"])
    traced, asked = verification.formats.traced, []
    monkeypatch.setattr(
        verification.formats,
        "traced",
        lambda model, output: asked.append(output) or traced(model, output),
    )
    given = np.ones(17, int), np.zeros((17, 4, 4, 3), "uint8"), tmp_path / "export"
    chosen = settings(formats=["openvino"], unknown=True)
    verification.write(joined(-2.0), ["a", "b"], {}, ["keras"], lambda: None, given[-1])
    table = verification.compare(joined(-1.995), *given, chosen)
    assert [row["largest_difference_of_known"] for row in table.values()] == [0.005] * 2
    assert sorted(asked) == ["known", "probabilities"]
    with pytest.raises(UserError, match=r"known of keras differs from Keras' by 0\.02, mo") as no:
        verification.compare(joined(-1.98), *given, chosen)
    assert no.value.key == "export.unknown"


def probabilities(predicted: np.ndarray, highest: float = 0.9) -> np.ndarray:
    return np.where(np.eye(3)[predicted] == 1, highest, (1 - highest) / 2)


def test_int8_may_cost_so_much_accuracy_and_no_more():
    truth = np.arange(201) % 3
    for lost, passes in ((0, True), (3, True), (4, False)):
        got = truth.copy()
        got[:lost] = (got[:lost] + 1) % 3
        given = "litert_int8", truth, probabilities(truth), probabilities(got, 0.5), settings()
        if passes:
            verification.check(*given)
        else:
            with pytest.raises(UserError, match=r"int8 costs 2\.0 points .* 201 test") as error:
                verification.check(*given)
            assert error.value.key == "export.int8_tolerance"
    wrong = probabilities((truth + 1) % 3)
    verification.check("litert_int8", truth, wrong, probabilities(truth), settings())  # it may gain


def test_a_single_image_is_always_allowed():
    truth, exact = np.zeros(5, int), settings(int8_tolerance=0.0)
    verification.check(
        "litert_int8", truth, probabilities(truth), probabilities([0, 0, 0, 0, 1]), exact
    )
    with pytest.raises(UserError, match=r"costs 40\.0 points"):
        verification.check(
            "litert_int8", truth, probabilities(truth), probabilities([0, 0, 0, 2, 1]), exact
        )


def test_what_is_not_a_number_does_not_pass():
    truth = np.zeros(5, int)
    with pytest.raises(UserError, match="differ from Keras' by nan"):
        verification.check(
            "onnx", truth, probabilities(truth), probabilities(truth) * np.nan, settings()
        )


def test_sizes_and_digits(tmp_path):
    (tmp_path / "folder/inner").mkdir(parents=True)
    (tmp_path / "folder/one").write_bytes(bytes(1001))
    (tmp_path / "folder/inner/two").write_bytes(bytes(30))
    assert verification.size(tmp_path / "folder") == 1031
    assert verification.size(tmp_path / "folder/one") == 1001
    assert [verification.significant(each) for each in (0.0, 1.2345e-7, 123.4)] == [
        0.0,
        1.2e-7,
        120.0,
    ]
