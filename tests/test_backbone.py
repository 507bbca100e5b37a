import os
import subprocess
import sys

import numpy as np

from stages.lib import backbones
from tests.conftest import run_stage, set_params
from tests.imports import ROOT


def test_the_weights_are_kept(project):
    run_stage("backbone")
    spec = backbones.Backbone(name="EfficientNetLite0", weights="imagenet", image_size=32)
    kept = backbones.load(spec, project / "models/backbone.weights.h5").get_weights()
    for ours, theirs in zip(kept, backbones.pretrained(spec, project).get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_no_network_for_imagenet_weights_names_the_two_ways_out(project):
    set_params(project / "params.yaml", {"backbone": {"name": "VGG16", "weights": "imagenet"}})
    # nothing listens at this proxy, so that the download fails with and without a network
    offline = {"https_proxy": "http://127.0.0.1:9", "KERAS_HOME": str(project / "keras")}
    got = subprocess.run(
        [sys.executable, "-m", "stages.backbone"],
        env={**os.environ, **offline, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert got.returncode == 1
    assert got.stderr.startswith("error: params.yaml [backbone.weights]: Keras cannot download")
    assert "path of a weights file, or backbone.name to EfficientNetLite0" in got.stderr
    assert got.stderr.count("\n") == 1
    assert list((project / "models").iterdir()) == []
