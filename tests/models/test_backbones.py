import hashlib

import keras
import numpy as np
import pytest
from keras import applications
from keras.src.utils import file_utils

from tests import tiny
from tests.server import running
from thaw.models import backbones, pretrained, registry
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

tiny.register()


def spec(name: str = tiny.NAME, **changes) -> Backbone:
    return Backbone(**{"name": name, "weights": None, "image_size": 32} | changes)


@pytest.mark.parametrize(
    ("name", "channels"),
    [
        pytest.param("EfficientNetLite0", 1280, marks=pytest.mark.slow),
        pytest.param("MobileNetV2", 1280, marks=pytest.mark.slow),
        ("VGG16", 512),
    ],
)
def test_feature_map_and_round_trip(name, channels, tmp_path):
    model = pretrained.load(spec(name, image_size=64), tmp_path)
    assert model.input_shape == (None, 64, 64, 3)
    assert model.output_shape == (None, 2, 2, channels)
    model.save_weights(tmp_path / "x.weights.h5")
    again = backbones.load(spec(name, image_size=64), tmp_path / "x.weights.h5")
    pixels = np.random.default_rng(0).uniform(0, 255, (3, 64, 64, 3)).astype("float32")
    assert np.array_equal(model.predict(pixels, verbose=0), again.predict(pixels, verbose=0))


def test_random_weights_are_the_same_bytes_every_time(tmp_path):
    digests = set()
    for name in ("a.weights.h5", "b.weights.h5"):
        pretrained.load(spec(), tmp_path).save_weights(tmp_path / name)
        digests.add(hashlib.sha256((tmp_path / name).read_bytes()).hexdigest())
    assert len(digests) == 1


def test_imagenet_weights_of_lite0_come_without_network(tmp_path):
    random, real = (
        pretrained.load(spec("EfficientNetLite0", weights=weights), tmp_path)
        for weights in (None, "imagenet")
    )
    kernels = [model.get_layer("block3a_dwconv").kernel.numpy() for model in (random, real)]
    assert not np.allclose(*kernels)
    assert not np.allclose(real.get_layer("top_bn").moving_variance, 1)


def test_a_weights_file_without_top_in_keras_classic_form(tmp_path):
    keras.utils.set_random_seed(5)
    source = applications.MobileNetV2(include_top=False, weights=None, input_shape=(96, 96, 3))
    source.save_weights(tmp_path / "keras.weights.h5")
    given = spec("MobileNetV2", weights=str(tmp_path / "keras.weights.h5"))
    got = pretrained.load(given, tmp_path)
    for ours, theirs in zip(got.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    "name", ["MobileNetV2", pytest.param("EfficientNetB0", marks=pytest.mark.slow)]
)
def test_imagenet_weights_of_keras_come_from_its_download(tmp_path, monkeypatch, name):
    """Its download gives a classic file; what comes to the first convolution is as in Keras."""
    keras.utils.set_random_seed(5)
    source = getattr(applications, name)(include_top=False, weights=None, input_shape=(64, 64, 3))
    if name == "EfficientNetB0":  # its file holds ImageNet's mean and deviation
        norm = next(x for x in source.layers if isinstance(x, keras.layers.Normalization))
        count = norm.get_weights()[2]
        norm.set_weights([np.array(registry.MEAN), np.array(registry.DEVIATION), count])
    source.save(tmp_path / "x.h5")
    monkeypatch.setattr(file_utils, "get_file", lambda *_, **__: str(tmp_path / "x.h5"))
    got = pretrained.load(spec(name, weights="imagenet", image_size=64), tmp_path)
    assert all(map(np.array_equal, got.get_weights(), source.get_weights()))
    whole = getattr(applications, name)(include_top=False, weights="imagenet")
    module = {"MobileNetV2": "mobilenet_v2", "EfficientNetB0": "efficientnet"}[name]
    pixels = np.random.default_rng(0).uniform(0, 255, (2, 64, 64, 3)).astype("float32")
    theirs = before_first_convolution(whole).predict(
        getattr(applications, module).preprocess_input(pixels.copy())
    )
    ours = before_first_convolution(got).predict(pixels)
    assert ours == pytest.approx(theirs, rel=1e-4, abs=1e-4)
    assert theirs.min() < -0.9


def before_first_convolution(model: keras.Model) -> keras.Model:
    first = next(layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D))
    return keras.Model(model.input, first.input)


def test_weights_may_lie_at_an_address(tmp_path):
    pretrained.load(spec(), tmp_path).save_weights(tmp_path / "x.weights.h5")
    with running() as server:
        server.files["/x.weights.h5"] = (tmp_path / "x.weights.h5").read_bytes()
        got = pretrained.load(spec(weights=f"{server.url}/x.weights.h5"), tmp_path)
        with pytest.raises(UserError, match="the server answers 404"):
            pretrained.load(spec(weights=f"{server.url}/none"), tmp_path)
    again = pretrained.load(spec(), tmp_path)
    assert np.array_equal(got.get_weights()[0], again.get_weights()[0])


def test_weights_that_are_missing_or_of_another_network_are_refused(tmp_path):
    with pytest.raises(UserError, match=r"\[backbone\.weights\]: no such file: 'no/x\.h5'"):
        pretrained.load(spec(weights="no/x.h5"), tmp_path)
    path = tmp_path / "vgg.weights.h5"
    pretrained.load(spec("VGG16"), tmp_path).save_weights(path)
    with pytest.raises(UserError, match=r"vgg\.weights\.h5: not the weights of this tiny"):
        pretrained.load(spec(weights=str(path)), tmp_path)
    (tmp_path / "x.weights.h5").write_bytes(path.read_bytes()[:9999])
    with pytest.raises(UserError, match=r"x\.weights\.h5: not the weights of this vgg16"):
        pretrained.load(spec("VGG16", weights=str(tmp_path / "x.weights.h5")), tmp_path)
