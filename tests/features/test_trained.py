import keras
import numpy as np
import pytest

from tests import tiny
from tests.conftest import head_spec
from thaw.features import trained
from thaw.features.store import FeatureStore
from thaw.features.trained import LOGITS, Specs
from thaw.models import classifier, heads, weights
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

SPEC = Backbone(name=tiny.NAME, weights=None, image_size=32)
HEAD = head_spec(hidden=[7], batch_normalization=True)
PIXELS = np.random.default_rng(1).integers(0, 256, (5, 32, 32, 3)).astype("uint8")
FEATURES = np.random.default_rng(2).normal(0, 1, (301, 24)).astype("float32")


@pytest.fixture
def models(tmp_path) -> dict[str, keras.Model]:
    """A head and a network with random weights, saved as NAME.weights.h5 in the folder."""
    tiny.register()
    keras.utils.set_random_seed(3)
    from thaw.models import backbones

    head = heads.build(HEAD, (24,), 3)
    network = classifier.join(backbones.build(SPEC), heads.build(HEAD, (24,), 3), "avg")
    for name, model in (("head", head), ("network", network)):
        weights.save(model, tmp_path / f"{name}.weights.h5")
    return {"head": head, "network": network}


def logits(found, inputs: np.ndarray) -> np.ndarray:
    [outputs] = found.ready()([inputs])
    return outputs[LOGITS]


@pytest.mark.parametrize("engine", ["openvino", "tensorflow"])
def test_each_engine_gives_what_keras_gives(models, tmp_path, engine):
    of, none = Specs(SPEC, HEAD, 3, engine), FeatureStore(None, 1)
    head = trained.head(of, (24,), tmp_path / "head.weights.h5", none)
    network = trained.network(of, tmp_path / "network.weights.h5", none)
    expected = models["head"].predict(FEATURES, verbose=0)
    assert logits(head, FEATURES) == pytest.approx(expected, abs=1e-5)
    expected = models["network"].predict(PIXELS, verbose=0)
    assert logits(network, PIXELS) == pytest.approx(expected, abs=1e-4)
    one = np.concatenate([logits(network, each[None]) for each in PIXELS])
    assert np.array_equal(one, logits(network, PIXELS))


def test_what_is_kept_is_made_without_keras(models, tmp_path, monkeypatch):
    of, file = Specs(SPEC, HEAD, 3, "openvino"), tmp_path / "network.weights.h5"
    with FeatureStore(tmp_path / "store.sqlite", 1) as kept:
        before = trained.network(of, file, kept, models["network"])
        with monkeypatch.context() as patch:
            patch.setattr(classifier, "load", None)
            again = trained.network(of, file, kept)
        assert np.array_equal(logits(again, PIXELS), logits(before, PIXELS))
        loaded = trained.network(of, file, FeatureStore(None, 1))
        assert np.array_equal(logits(loaded, PIXELS), logits(before, PIXELS))
        weights.save(models["head"], tmp_path / "head.weights.h5", {"other": "digest"})
        monkeypatch.setattr(heads, "load", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            trained.head(of, (24,), tmp_path / "head.weights.h5", kept)


def test_a_form_that_differs_is_refused_and_not_kept(models, tmp_path, monkeypatch):
    of, file = Specs(SPEC, HEAD, 3, "openvino"), tmp_path / "network.weights.h5"
    convert = trained.frozen_backbone.inference.convert

    def wrong(model):
        converted = convert(model)
        model.layers[-1].layers[-1].bias.assign_add([1.0, -1.0, 0.0])
        return converted

    monkeypatch.setattr(trained.frozen_backbone.inference, "convert", wrong)
    with FeatureStore(tmp_path / "store.sqlite", 1) as kept:
        for _ in range(2):
            said = r"Keras and openvino, .* differ by 1 .tolerance 0.001"
            with pytest.raises(UserError, match=said):
                trained.network(of, file, kept)
        assert kept.count() == 0
