import json
from types import SimpleNamespace

import keras
import pytest

from thaw.features import tensorflow_engine
from thaw.project.errors import UserError
from thaw.training import devices


@pytest.mark.parametrize("asked", [1, "auto"])
@pytest.mark.parametrize("config", [None, {"cluster": {"worker": ["here:1"]}}, {}])
def test_one_device_trains_the_network_itself(monkeypatch, asked, config, tmp_path):
    monkeypatch.delenv("TF_CONFIG", raising=False)
    if config is not None:
        monkeypatch.setenv("TF_CONFIG", json.dumps(config))
    chosen = devices.strategy(asked)
    model = keras.Sequential([keras.Input((3,)), keras.layers.Dense(2)])
    with devices.on(chosen, model) as trained:
        assert trained is model
    assert devices.count(chosen) == 1
    assert devices.from_chief(chosen, tmp_path / "x.npz", tmp_path / "y") == tmp_path / "x.npz"


def test_auto_is_all_gpus_and_one_needs_no_strategy(monkeypatch):
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0"])
    assert devices.strategy("auto") is None
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0", "GPU:1"])
    found = [SimpleNamespace(name=f"GPU:{number}", device_type="GPU") for number in range(2)]
    monkeypatch.setattr(devices.tf.config, "list_logical_devices", lambda kind: found)
    monkeypatch.setattr(devices.tf.distribute, "MirroredStrategy", list)
    assert devices.strategy("auto") == ["GPU:0", "GPU:1"]
    assert devices.strategy(1) is None


def test_devices_that_are_not_there_are_refused():
    with pytest.raises(
        UserError, match=r"17 devices should train, and TensorFlow sees 1 CPU"
    ) as no:
        devices.strategy(17)
    assert no.value.key == "runtime.devices"


@pytest.mark.parametrize(
    "config", ["{", "[]", '{"cluster": {"worker": 3}}', '{"cluster": {"worker": ["a:1", "b:1"]}}']
)
def test_an_environment_that_names_no_hosts_is_one_line(monkeypatch, config):
    monkeypatch.setenv("TF_CONFIG", config)
    with pytest.raises(
        UserError, match=r"^TF_CONFIG in the environment is not what TensorFlow rea"
    ):
        devices.strategy("auto")
