import keras
import numpy as np
import pytest
from keras import layers

from thaw.export.formats import EXPORT_FORMATS, QUANTIZED
from thaw.models import classifier

SIZE = 17


def network(classes: int) -> keras.Model:
    """A small classifier of the layers that large ones have, with probabilities of all sizes."""
    keras.utils.set_random_seed(3)
    pixels = keras.Input((SIZE, SIZE, 3), name="pixels")
    x = layers.Rescaling([0.017, 0.018, 0.017], [-2.1, -2.0, -1.8])(pixels)
    x = layers.Conv2D(12, 3, 2, padding="same", use_bias=False)(x)
    x = layers.ReLU(6)(layers.BatchNormalization()(x))
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu6")(x)
    x = layers.GlobalAveragePooling2D()(x)
    logits = layers.Dense(1 if classes == 2 else classes)(layers.Dropout(0.5)(x))
    model = keras.Model(pixels, logits)
    kernel, bias = model.layers[-1].get_weights()
    model.layers[-1].set_weights([9 * kernel, bias])
    return classifier.with_probabilities(model)


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    random = np.random.default_rng(5)
    colours = random.integers(0, 256, (29, 1, 1, 3))
    return (colours + random.normal(0, 40, (29, SIZE, SIZE, 3))).clip(0, 255).astype("uint8")


@pytest.mark.parametrize("name", EXPORT_FORMATS)
def test_each_format_gives_what_keras_gives_for_any_number_of_images(tmp_path, images, name):
    """Of two classes, hence one logit; tests/stages/test_export.py has three. At any path."""
    model, form = network(2), EXPORT_FORMATS[name]
    folder = tmp_path / "Äpfel und 苹果 (1)"
    folder.mkdir()
    file = folder / form.file
    form.write(model, file, lambda: images[9:])
    predict = form.open(file)
    pixels = images[:9].astype("float32")
    expected = model.predict_on_batch(pixels)
    assert np.ptp(expected[:, 0]) > 0.2
    for count in (9, 1, 4):  # larger and smaller than before, and a single one
        got = predict(pixels[:count])
        assert got.shape == (count, 2)
        assert got.dtype == "float32"
        assert np.abs(got - expected[:count]).max() < (0.12 if name in QUANTIZED else 1e-5)


def test_onnx_has_what_gelu_computes(tmp_path):
    keras.utils.set_random_seed(3)
    pixels = keras.Input((3, 3, 3), name="pixels")
    model = keras.Model(pixels, layers.Dense(7, "gelu")(layers.Flatten()(pixels)))
    given = np.random.default_rng(2).normal(0, 5, (5, 3, 3, 3)).astype("float32")
    form = EXPORT_FORMATS["onnx"]
    form.write(model, tmp_path / form.file, lambda: None)
    got = form.open(tmp_path / form.file)(given)
    assert np.abs(got - model.predict_on_batch(given)).max() < 1e-5


def test_int8_computes_in_8_bits_from_the_images_that_it_was_given(tmp_path, images):
    from ai_edge_litert.interpreter import Interpreter

    file = tmp_path / "model.tflite"
    model, asked = network(3), []
    EXPORT_FORMATS["litert_int8"].write(model, file, lambda: asked.append(1) or images)
    assert asked == [1]
    reader = Interpreter(str(file))
    kinds = {str(np.dtype(each["dtype"])) for each in reader.get_tensor_details()}
    assert "int8" in kinds
    outside = reader.get_input_details() + reader.get_output_details()
    inside = [each for each in reader.get_tensor_details() if each["shape"].size > 1]
    floats = {each["name"] for each in inside if each["dtype"] == np.float32}
    assert floats <= {each["name"] for each in outside}
    dark = tmp_path / "dark.tflite"
    EXPORT_FORMATS["litert_int8"].write(model, dark, lambda: images // 20)
    assert file.read_bytes() != dark.read_bytes()


def test_int8_takes_a_third_of_the_space(tmp_path, images):
    model, sizes = network(3), {}
    big = keras.Sequential([model.input, layers.Flatten(), layers.Dense(300), layers.Dense(3)])
    for name in ("litert", "litert_int8"):
        EXPORT_FORMATS[name].write(big, tmp_path / f"{name}.tflite", lambda: images)
        sizes[name] = (tmp_path / f"{name}.tflite").stat().st_size
    assert sizes["litert_int8"] < sizes["litert"] / 3
