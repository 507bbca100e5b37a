import warnings

import keras
import numpy as np
import pytest

from stages.lib import weights
from stages.lib.errors import UserError


def model(units: int = 3) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, name="x")], name="small")


def test_all_weights_are_set(tmp_path):
    source, target = model(), model()
    source.save_weights(tmp_path / "a.weights.h5")
    weights.load(target, tmp_path / "a.weights.h5")
    for ours, theirs in zip(target.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_other_shapes_and_half_a_file_are_refused(tmp_path):
    model(5).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(UserError, match=r"a\.weights\.h5: not the weights of this small"):
        weights.load(model(), tmp_path / "a.weights.h5")
    half = (tmp_path / "a.weights.h5").read_bytes()[:1000]
    for name in ("b.weights.h5", "b.keras"):
        (tmp_path / name).write_bytes(half)
        with pytest.raises(UserError, match="not the weights of this small"):
            weights.load(model(), tmp_path / name)


def test_what_keras_only_warns_of_is_refused(monkeypatch):
    target = model()
    monkeypatch.setattr(target, "load_weights", lambda _: warnings.warn("skipped", stacklevel=1))
    with pytest.raises(UserError, match=r"not the weights of this small \(skipped\)"):
        weights.load(target, "x.weights.h5")
