import keras
import numpy as np
import pytest

from tests.conftest import head_spec
from thaw.calibration import temperature
from thaw.evaluation import metrics
from thaw.models import backbones, classifier, heads, pretrained
from thaw.models.settings import Backbone

PIXELS = np.random.default_rng(0).integers(0, 256, (5, 32, 32, 3)).astype("uint8")
BACKBONE = Backbone(name="VGG16", weights=None, image_size=32)


@pytest.fixture(scope="module")
def backbone(tmp_path_factory) -> keras.Model:
    return pretrained.load(BACKBONE, tmp_path_factory.mktemp("scratch"))


def parts(backbone, pooling, classes):
    spec = head_spec(pooling=pooling, hidden=[3], dropout=0.5)
    shape = backbone.output_shape[1:] if pooling == "flatten" else backbone.output_shape[-1:]
    head = heads.build(spec, shape, classes)
    return spec, head, classifier.join(backbone, head, pooling)


@pytest.mark.parametrize("pooling", ["avg", "max", "flatten"])
def test_the_joined_network_is_the_head_on_the_features(backbone, pooling):
    _, head, joined = parts(backbone, pooling, 4)
    outputs = backbones.pooled(backbone, feature_maps=True).predict(PIXELS, verbose=0)
    cached = outputs["map" if pooling == "flatten" else pooling]
    expected = head.predict(cached, verbose=0)
    assert joined.predict(PIXELS, verbose=0) == pytest.approx(expected, rel=1e-4, abs=1e-5)


def test_training_the_joined_network_changes_both_parts(backbone):
    _, head, joined = parts(backbone, "avg", 4)
    names = {id(weight) for weight in joined.trainable_weights}
    assert {id(weight) for weight in head.weights + backbone.trainable_weights} == names


@pytest.mark.parametrize("pooling", ["max", "flatten"])
def test_load(backbone, pooling, tmp_path):
    spec, _, joined = parts(backbone, pooling, 3)
    joined.save_weights(tmp_path / "x.weights.h5")
    again = classifier.load(BACKBONE, spec, 3, tmp_path / "x.weights.h5")
    assert np.array_equal(joined.predict(PIXELS), again.predict(PIXELS))


@pytest.mark.parametrize("classes", [2, 3])
def test_probabilities_are_those_of_the_scores(backbone, classes, tmp_path):
    _, _, joined = parts(backbone, "avg", classes)
    expected = metrics.to_probabilities(joined.predict(PIXELS, verbose=0))
    plain = classifier.with_probabilities(joined).predict(PIXELS, verbose=0)
    assert plain == pytest.approx(expected, abs=1e-6)
    expected = temperature.apply(expected, 1.7)
    whole = classifier.with_probabilities(joined, 1.7)
    whole.save(tmp_path / "x.keras")
    for model in (whole, keras.saving.load_model(tmp_path / "x.keras", safe_mode=True)):
        got = model.predict(PIXELS, verbose=0)
        assert got.shape == (5, classes)
        assert got == pytest.approx(expected, abs=1e-6)
        assert got.sum(axis=1) == pytest.approx(1, abs=1e-6)
