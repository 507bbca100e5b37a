import io
import json
import zipfile

import h5py
import keras
import numpy as np
import pytest

from thaw.models import keras_archive


def archive(path, layers, weights=b"", **options):
    with zipfile.ZipFile(path, "w", **options) as file:
        file.writestr(keras_archive.CONFIG, json.dumps({"config": {"layers": layers}}))
        file.writestr(keras_archive.WEIGHTS, weights)
    return path


def read(path):
    with keras_archive.opened(path) as values:
        return [(name, each[()].tolist()) for name, each in values]


def test_layers_are_in_the_order_of_the_network(tmp_path):
    pixels = keras.Input((3,))
    inner = keras.Sequential([keras.Input((5,)), keras.layers.Dense(2, name="in")], name="inner")
    x = keras.layers.ReLU()(keras.layers.Dense(5, name="z")(pixels))
    model = keras.Model(pixels, keras.layers.Dense(7, name="a")(inner(x)))
    model.save(tmp_path / "x.keras")
    assert [name for name, _ in read(tmp_path / "x.keras")] == ["z", "z", "in", "in", "a", "a"]
    values = [value for _, value in read(tmp_path / "x.keras")]
    assert all(map(np.array_equal, values, model.get_weights()))


def test_a_network_that_only_claims_to_be_huge_is_not_built(tmp_path):
    buffer = io.BytesIO()
    with h5py.File(buffer, "w") as file:
        file["layers/dense/vars/0"] = np.ones(3)
    layers = [{"class_name": "Dense", "config": {"name": "huge", "units": 10**12}}]
    path = archive(tmp_path / "x.keras", layers, buffer.getvalue())
    assert read(path) == [("huge", [1, 1, 1])]


@pytest.mark.parametrize(
    ("name", "message"), [("MOST_CONFIG", "config.json has more"), ("FREE", "weights.h5 unpacks")]
)
def test_what_grows_too_far_is_refused(tmp_path, monkeypatch, name, message):
    monkeypatch.setattr(keras_archive, name, 1000)
    config = {"name": "x" * 2000 * (name == "MOST_CONFIG")}
    layers = [{"class_name": "Dense", "config": config}]
    content = bytes(100_000) if name == "FREE" else b""
    path = archive(tmp_path / "x.keras", layers, content, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match=message):
        read(path)
