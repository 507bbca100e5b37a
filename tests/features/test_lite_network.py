import sys

import keras
import numpy as np
import pytest

from thaw.features import frozen_backbone, inference, lite_network
from thaw.features.settings import Extract
from thaw.features.store import FeatureStore
from thaw.models import backbones, weights
from thaw.models.settings import Backbone
from thaw.project import files
from thaw.project.errors import UserError

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 96, 96, 3)).astype("uint8")
SETTINGS = Extract(engine="openvino", precision="float32", feature_maps=True, augmented_copies=0)


@pytest.mark.parametrize("number", [0, *(pytest.param(n, marks=pytest.mark.slow) for n in (1, 2))])
def test_it_gives_what_keras_gives(tmp_path, number):
    """At an odd number of places on the way, where "same" padding is not the same on both sides."""
    keras.utils.clear_session()
    keras.utils.set_random_seed(number)
    size, file = 71, tmp_path / "backbone.weights.h5"
    spec = Backbone(name=f"EfficientNetLite{number}", weights=None, image_size=size)
    model = backbones.build(spec)
    for layer in model.layers:
        if isinstance(layer, keras.layers.BatchNormalization):  # else all is 0 and 1 in them
            random = np.random.default_rng(len(layer.name)).uniform
            layer.set_weights([random(0.5, 1.5, each.shape) for each in layer.weights])
    weights.save(model, file)
    expected = backbones.pooled(model, True).predict(PIXELS[:, :size, :size], verbose=0)
    features = {"weights_sha256": files.sha256(file), "engine": "openvino", "precision": "float32"}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inference, "convert", None)  # which takes Keras
        none = FeatureStore(None, 1)
        network = frozen_backbone.of_backbone(spec, SETTINGS, file, features, none)
    assert network.size == size
    assert network.shapes == {"avg": (1280,), "max": (1280,), "map": (3, 3, 1280)}
    [got] = network.ready()([PIXELS[:, :size, :size]])
    for name, values in got.items():
        assert np.abs(values - expected[name]).max() < 1e-5 * np.abs(expected[name]).max(), name
    without = SETTINGS.model_copy(update={"feature_maps": False})
    assert [*frozen_backbone.of_backbone(spec, without, file, features, none).shapes] == [
        "avg", "max"
    ]  # fmt: skip


def test_the_lower_layers_end_where_they_are_cut(monkeypatch):
    keras.utils.clear_session()
    keras.utils.set_random_seed(1)
    model = backbones.network("EfficientNetLite0", 96)
    last = "block3b_add"
    cut = keras.Model(model.input, {"activations": model.get_layer(last).output})
    monkeypatch.setattr(inference, "convert", None)
    features = {"engine": "openvino", "precision": "float32", "backbone": "EfficientNetLite0"}
    network = frozen_backbone.of_lower(cut, last, features)
    assert (network.size, network.shapes) == (96, {"activations": (12, 12, 40)})
    [got] = network.ready()([PIXELS])
    expected = cut.predict(PIXELS, verbose=0)["activations"]
    assert np.abs(got["activations"] - expected).max() < 1e-5 * np.abs(expected).max()


def test_without_openvino_it_is_one_line(monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(UserError, match="OpenVINO is not installed"):
        lite_network.build(0, 32, {}, False)
