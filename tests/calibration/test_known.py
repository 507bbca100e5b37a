import keras
import numpy as np
import pytest
from keras import layers

from thaw.calibration import known, saved, unknown
from thaw.calibration.saved import Calibration
from thaw.models import classifier

RANDOM = np.random.default_rng(0)
PIXELS = RANDOM.integers(0, 256, (41, 9, 9, 3)).astype("float32")
TRUTH = np.arange(41) % 3


def network(seed: int, name: str) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((9, 9, 3), name="pixels")
    x = layers.Conv2D(11, 3, activation="relu", name="conv")(layers.Rescaling(1 / 99)(pixels))
    return keras.Model(pixels, x, name=name)


def calibrated(classes: int) -> tuple[keras.Model, keras.Model, Calibration]:
    """Return a classifier with probabilities, a frozen network of the same names, calibration."""
    frozen, tuned = network(1, "same"), network(2, "same")
    x = layers.GlobalAveragePooling2D()(tuned(tuned.input))
    logits = keras.Model(tuned.input, layers.Dense(1 if classes == 2 else classes)(x))
    before = classifier.with_probabilities(logits).predict(PIXELS, verbose=0)
    features = frozen.predict(PIXELS, verbose=0).mean(axis=(1, 2))
    told = unknown.fit(features[::2], features, before, 0.8)
    found = saved.fit(TRUTH % classes, {"head": before, "fine_tuned": before}, before, told, None)
    return logits, frozen, found._replace(temperature={"fine_tuned": 1.7})


@pytest.mark.parametrize("classes", [2, 3])
def test_it_is_the_score_with_another_sign(classes):
    logits, frozen, calibration = calibrated(classes)
    model = classifier.with_probabilities(logits, 1.7)
    joined = known.join(model, frozen, calibration)
    asked = PIXELS[1::2] * np.linspace(0.1, 1, 20)[:, None, None, None].astype("float32")
    got = joined.predict(asked, verbose=0)
    before = classifier.with_probabilities(logits).predict(asked, verbose=0)
    features = frozen.predict(asked, verbose=0).mean(axis=(1, 2))
    assert got["probabilities"] == pytest.approx(model.predict(asked, verbose=0), abs=1e-6)
    assert got["known"].shape == (20,)
    assert -got["known"] == pytest.approx(calibration.unknown.score(features, before), abs=2e-3)
    unknown_ones = got["known"] < known.threshold(calibration)
    assert unknown_ones.tolist() == calibration.is_unknown(features, before).tolist()
    assert 0 < unknown_ones.sum() < 20


def test_without_a_threshold_there_is_none():
    _, _, calibration = calibrated(3)
    none = calibration._replace(unknown=calibration.unknown._replace(threshold=None))
    assert known.threshold(none) is None
