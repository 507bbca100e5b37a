import json
import os
import subprocess
import sys

import keras
import numpy as np
import pytest

from tests.conftest import refusal, run_stage, set_params
from tests.imports import ROOT
from thaw.models import backbones, pretrained
from thaw.models.settings import Backbone
from thaw.project import files


def test_the_weights_are_kept(project):
    chosen = {"name": "EfficientNetLite0", "weights": "imagenet"}
    set_params(project / "params.yaml", {"backbone": chosen})
    run_stage("backbone")
    spec = Backbone(name="EfficientNetLite0", weights="imagenet", image_size=32)
    file = project / "models/backbone.weights.h5"
    kept = backbones.load(spec, file).get_weights()
    assert [each.name for each in (project / "models/texts").iterdir()] == ["provenance.json"]
    provenance = json.loads((project / "models/texts/provenance.json").read_text())
    assert provenance == {"weights_sha256": files.sha256(file)}
    for ours, theirs in zip(kept, pretrained.load(spec, project).get_weights(), strict=True):
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


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "way"),
    [
        ("hub:dinov2_small", "kagglehub.model_download('keras/dinov2/keras/dinov2_small/1')"),
        ("hf://timm/resnet18", "`hf download timm/resnet18 --local-dir preset`"),
    ],
)
def test_no_network_for_a_preset_names_how_to_bring_it(project, name, way):
    set_params(project / "params.yaml", {"backbone": {"name": name, "weights": "imagenet"}})
    offline = {"https_proxy": "http://127.0.0.1:9", "HOME": str(project), "HF_HUB_OFFLINE": "1"}
    command = [sys.executable, "-m", "stages.backbone"]
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, **offline, "PYTHONPATH": path}
    got = subprocess.run(command, env=env, capture_output=True, text=True)
    assert got.returncode == 1
    line = got.stderr.splitlines()[-1]
    assert line.startswith(f"error: params.yaml [backbone.name]: KerasHub cannot bring {name} (")
    assert way in line
    assert line.endswith("brings it; set this key to the path of that folder")


def application(name: str, **options) -> keras.Model:
    build = getattr(keras.applications, name)
    return build(weights=None, include_top=False, input_shape=(32, 32, 3), **options)


@pytest.mark.parametrize(
    ("other", "options", "message"),
    [
        pytest.param("VGG16", {}, "layer Conv1", marks=pytest.mark.slow),
        ("MobileNetV2", {"alpha": 0.5}, "layer Conv1 has"),
        pytest.param("MobileNet", {}, "layer ", marks=pytest.mark.slow),
    ],
)
@pytest.mark.parametrize("ending", ["weights.h5", "keras"])
def test_the_weights_of_another_network_are_refused(project, ending, other, options, message):
    model = application(other, **options)
    if ending == "keras":
        model.save("other.keras")
    else:
        model.save_weights("other.weights.h5")
    chosen = {"name": "MobileNetV2", "weights": f"other.{ending}"}
    set_params(project / "params.yaml", {"backbone": chosen})
    line = refusal("backbone")
    assert f"other.{ending}" in line
    assert message in line
    assert list((project / "models").iterdir()) == []


def test_the_weights_of_the_same_network_are_taken(project):
    """So that the refusals are not of everything."""
    model = application("MobileNetV2")
    model.save_weights("same.weights.h5")
    chosen = {"name": "MobileNetV2", "weights": "same.weights.h5"}
    set_params(project / "params.yaml", {"backbone": chosen})
    run_stage("backbone")
    spec = Backbone(**chosen, image_size=32)
    kept = backbones.load(spec, project / "models/backbone.weights.h5").get_weights()
    assert all(map(np.array_equal, kept, model.get_weights()))
