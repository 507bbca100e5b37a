import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from stages.lib.errors import UserError
from tests.conftest import run_stage, set_params

LOAD = """
import json, sys
import keras, numpy as np
assert not any(name == "stages" or name.startswith("stages.") for name in sys.modules)
model = keras.saving.load_model("model.keras")
np.save("out.npy", model.predict(np.load("pixels.npy"), verbose=0))
"""


def test_it_agrees_with_the_predictions_and_needs_none_of_our_code(after_run, tmp_path):
    table = pd.read_csv("data/predictions.csv")
    pixels = []
    for path in table["path"]:
        with Image.open(after_run / "data/raw" / path) as picture:
            square = picture.convert("RGB").resize((32, 32), Image.Resampling.BILINEAR)
            pixels.append(np.asarray(square, "float32"))
    np.save(tmp_path / "pixels.npy", np.stack(pixels))
    (after_run / "models/export/model.keras").rename(tmp_path / "model.keras")
    subprocess.run([sys.executable, "-c", LOAD], cwd=tmp_path, check=True, env={})
    labels = json.loads((after_run / "models/export/labels.json").read_text())
    assert labels == ["blue sky", "green", "red"]
    expected = table[[f"p({label})" for label in labels]].to_numpy()
    assert np.abs(np.load(tmp_path / "out.npy") - expected).max() < 1e-4


def test_no_export_under_the_gate(after_run):
    before = (after_run / "models/export/model.keras").read_bytes()
    set_params(after_run / "params.yaml", {"export": {"min_accuracy": 1.0}})
    scores = json.loads((after_run / "metrics/test.json").read_text())
    scores["fine_tuned"]["accuracy"] = 0.9999
    (after_run / "metrics/test.json").write_text(json.dumps(scores))
    with pytest.raises(UserError, match="not exported"):
        run_stage("export")
    assert (after_run / "models/export/model.keras").read_bytes() == before
