import json

import keras
import pytest

from stages.lib import exporting
from stages.lib.errors import UserError

SCORES = {"fine_tuned": {"accuracy": 0.91}, "head": {"accuracy": 0.99}}


def test_the_gate_looks_at_the_fine_tuned_model():
    for gate in (None, 0.0, 0.91):
        exporting.check_gate(SCORES, exporting.Export(min_accuracy=gate))
    with pytest.raises(UserError, match=r"0.91 is under params.yaml \[export.min_accuracy\]: 0.92"):
        exporting.check_gate(SCORES, exporting.Export(min_accuracy=0.92))


def test_write(tmp_path):
    model = keras.Sequential([keras.Input((4,)), keras.layers.Dense(2)])
    exporting.write(model, ["é", "b"], tmp_path / "export")
    assert json.loads((tmp_path / "export/labels.json").read_text()) == ["é", "b"]
    assert keras.saving.load_model(tmp_path / "export/model.keras").output_shape == (None, 2)
