import json

import numpy as np
import pandas as pd
import pytest

from stages.lib import backbones, pictures
from stages.lib.errors import UserError
from tests.conftest import run_stage, set_params

SETTINGS = pictures.Pictures(upright=True, background=[255, 255, 255])


def test_each_picture_has_its_row(finished_run):
    paths = pd.read_csv(finished_run / "data/manifest.csv")["path"]
    spec = backbones.Backbone(name="EfficientNetLite0", weights="imagenet", image_size=32)
    model = backbones.load(spec, finished_run / "models/backbone.weights.h5")
    average = np.load(finished_run / "data/features/avg.npy")
    assert (average.shape, average.dtype) == ((59, 1280), np.float32)
    for row in (0, 31, 58):
        pixels = pictures.load(finished_run / "data/raw" / paths[row], 32, SETTINGS)
        expected = model.predict(np.stack([pixels, pixels]), verbose=0).mean(axis=(1, 2))
        assert average[row] == pytest.approx(expected[0], rel=1e-4, abs=1e-5)
    assert sorted(p.name for p in (finished_run / "data/features").iterdir()) == [
        "avg.npy",
        "fingerprint.json",
        "max.npy",
    ]
    fingerprint = json.loads((finished_run / "data/features/fingerprint.json").read_text())
    assert (fingerprint["backbone"], fingerprint["image_size"]) == ("EfficientNetLite0", 32)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("train_head", "features/fingerprint.json is missing or damaged; run `dvc repro extract`"),
        ("fine_tune", "features was made with image_size 48 and not 32; run `dvc repro extract`"),
        ("evaluate", "features was made with image_size 48 and not 32; run `dvc repro extract`"),
    ],
)
def test_features_of_other_params_are_refused(after_run, stage, message):
    path = after_run / "data/features/fingerprint.json"
    values = json.loads(path.read_text())
    path.write_text("" if stage == "train_head" else json.dumps({**values, "image_size": 48}))
    with pytest.raises(UserError, match=message):
        run_stage(stage)


def test_maps_on_demand_and_the_same_bytes_at_another_batch_size(after_run):
    before = (after_run / "data/features/avg.npy").read_bytes()
    changes = {"extract": {"maps": True}, "runtime": {"batch_size": 19, "workers": 1}}
    set_params(after_run / "params.yaml", changes)
    run_stage("extract")
    assert np.load("data/features/map.npy", mmap_mode="r").shape == (59, 1, 1, 1280)
    assert (after_run / "data/features/avg.npy").read_bytes() == before


def test_weights_of_another_network_are_refused(after_run):
    set_params(after_run / "params.yaml", {"backbone": {"name": "VGG16"}})
    with pytest.raises(UserError, match="not the weights of this vgg16"):
        run_stage("extract")
