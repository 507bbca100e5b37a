import hashlib

import keras
import numpy as np
import pytest
from keras import applications

from stages.lib import backbones
from stages.lib.errors import UserError


def spec(name: str = "MobileNetV2", **changes) -> backbones.Backbone:
    return backbones.Backbone(**{"name": name, "weights": None, "image_size": 32} | changes)


PIXELS = np.random.default_rng(0).integers(0, 256, (2, 32, 32, 3)).astype("float32")


def torch_mode(pixels):
    """What EfficientNet Lite's authors do: ImageNet's mean and deviation on the scale 0..1."""
    return (pixels / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("EfficientNetLite0", torch_mode),
        ("MobileNetV2", applications.mobilenet_v2.preprocess_input),
        ("VGG16", applications.vgg16.preprocess_input),
    ],
)
def test_each_network_has_its_own_preprocessing_inside(name, expected):
    model = backbones.build(spec(name))
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    entry = keras.Model(model.input, first.input)
    got = entry.predict(PIXELS.copy(), verbose=0)
    assert got == pytest.approx(expected(PIXELS.copy()), abs=2e-5)


@pytest.mark.parametrize(
    ("name", "channels"), [("EfficientNetLite0", 1280), ("MobileNetV2", 1280), ("VGG16", 512)]
)
def test_feature_map_and_round_trip(name, channels, tmp_path):
    model = backbones.pretrained(spec(name, image_size=64))
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 2, 2, channels)
    model.save_weights(tmp_path / "x.weights.h5")
    again = backbones.load(spec(name, image_size=64), tmp_path / "x.weights.h5")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    assert np.array_equal(model.predict(pixels, verbose=0), again.predict(pixels, verbose=0))


def test_random_weights_are_the_same_bytes_every_time(tmp_path):
    digests = set()
    for name in ("a.weights.h5", "b.weights.h5"):
        backbones.pretrained(spec()).save_weights(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_imagenet_weights_of_lite0_come_without_network():
    random, real = (
        backbones.pretrained(spec("EfficientNetLite0", weights=weights))
        for weights in (None, "imagenet")
    )
    kernels = [model.get_layer("block3a_dwconv").kernel.numpy() for model in (random, real)]
    assert not np.allclose(*kernels)
    assert not np.allclose(real.get_layer("top_bn").moving_variance, 1)


def test_a_weights_file_without_top_in_keras_classic_form(tmp_path):
    keras.utils.set_random_seed(5)
    source = applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    source.save_weights(tmp_path / "keras.weights.h5")
    got = backbones.pretrained(spec(weights=str(tmp_path / "keras.weights.h5")))
    for ours, theirs in zip(got.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_imagenet_weights_of_keras_come_from_its_download(monkeypatch):
    keras.utils.set_random_seed(5)
    source = applications.MobileNetV2(include_top=False, weights=None)

    def with_download(include_top=False, weights=None, input_tensor=None):
        assert weights == "imagenet"
        return source

    monkeypatch.setattr(applications, "MobileNetV2", with_download)
    got = backbones.pretrained(spec(weights="imagenet"))
    assert np.array_equal(got.get_weights()[0], source.get_weights()[0])


def test_weights_that_are_missing_or_of_another_network_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"\[backbone\.weights\]: no such file: 'no/x\.h5'"):
        backbones.pretrained(spec(weights="no/x.h5"))
    path = tmp_path / "vgg.weights.h5"
    backbones.pretrained(spec("VGG16")).save_weights(path)
    with pytest.raises(UserError, match=r"vgg\.weights\.h5: not the weights of this mobilenetv2"):
        backbones.pretrained(spec(weights=str(path)))
    (tmp_path / "x.weights.h5").write_bytes(path.read_bytes()[:9999])
    with pytest.raises(UserError, match=r"x\.weights\.h5: not the weights of this vgg16"):
        backbones.pretrained(spec("VGG16", weights=str(tmp_path / "x.weights.h5")))
