import keras
import numpy as np
import pytest
from keras import layers

from stages.lib import classifier
from stages.lib.formats import FORMATS

SIZE = 17


def network(classes: int) -> keras.Model:
    """A small classifier with what large ones are made of, and probabilities of all sizes."""
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
def pictures() -> np.ndarray:
    random = np.random.default_rng(5)
    colours = random.integers(0, 256, (29, 1, 1, 3))
    return (colours + random.normal(0, 40, (29, SIZE, SIZE, 3))).clip(0, 255).astype("uint8")


@pytest.mark.parametrize("name", FORMATS)
def test_each_format_gives_what_keras_gives_for_any_number_of_pictures(tmp_path, pictures, name):
    """Of two classes, hence one logit; tests/test_export.py has three."""
    model, form = network(2), FORMATS[name]
    file = tmp_path / form.file
    form.write(model, file, lambda: pictures[9:])
    run = form.open(file)
    pixels = pictures[:9].astype("float32")
    expected = model.predict_on_batch(pixels)
    assert np.ptp(expected[:, 0]) > 0.2
    for count in (9, 1, 4):  # larger and smaller than before, and a single one
        got = run(pixels[:count])
        assert got.shape == (count, 2)
        assert got.dtype == "float32"
        assert np.abs(got - expected[:count]).max() < (1e-5 if form.exact else 0.12)


def test_int8_computes_in_8_bits_from_the_pictures_that_it_was_given(tmp_path, pictures):
    from ai_edge_litert.interpreter import Interpreter

    file = tmp_path / "model.tflite"
    model, asked = network(3), []
    FORMATS["litert_int8"].write(model, file, lambda: asked.append(1) or pictures)
    assert asked == [1]
    reader = Interpreter(str(file))
    kinds = {str(np.dtype(each["dtype"])) for each in reader.get_tensor_details()}
    assert "int8" in kinds
    outside = reader.get_input_details() + reader.get_output_details()
    inside = [each for each in reader.get_tensor_details() if each["shape"].size > 1]
    floats = {each["name"] for each in inside if each["dtype"] == np.float32}
    assert floats <= {each["name"] for each in outside}
    dark = tmp_path / "dark.tflite"
    FORMATS["litert_int8"].write(model, dark, lambda: pictures // 20)
    assert file.read_bytes() != dark.read_bytes()


def test_int8_takes_a_third_of_the_space(tmp_path, pictures):
    model, sizes = network(3), {}
    big = keras.Sequential([model.input, layers.Flatten(), layers.Dense(300), layers.Dense(3)])
    for name in ("litert", "litert_int8"):
        FORMATS[name].write(big, tmp_path / f"{name}.tflite", lambda: pictures)
        sizes[name] = (tmp_path / f"{name}.tflite").stat().st_size
    assert sizes["litert_int8"] < sizes["litert"] / 3
