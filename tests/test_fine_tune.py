import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from stages.lib import backbones, classifier
from stages.lib.errors import UserError
from tests.conftest import head_spec, run_stage, set_params

BACKBONE = backbones.Backbone(name="EfficientNetLite0", weights="imagenet", image_size=32)


def load(folder):
    head = head_spec(dropout=0.2)
    return classifier.load(BACKBONE, head, 3, folder / "models/fine_tuned.weights.h5")


def changed_layers(folder) -> set[str]:
    before = backbones.load(BACKBONE, folder / "models/backbone.weights.h5")
    after = load(folder).layers[1]
    pairs = zip(before.weights, after.weights, strict=True)
    return {a.path.split("/")[-2] for a, b in pairs if not np.array_equal(a.numpy(), b.numpy())}


@pytest.mark.parametrize(
    ("unfreeze", "more"),
    [("all", {}), (11, {}), ("1 block", {"block_decay": 0.5, "epochs_per_block": 1})],
)
def test_it_trains_what_was_asked_for_and_no_normalisation(after_run, unfreeze, more):
    changes = {"unfreeze": unfreeze, "learning_rate": 0.0003, "patience": 9, "epochs": 4} | more
    set_params(after_run / "params.yaml", {"fine_tune": changes})
    run_stage("fine_tune")
    best = json.loads((after_run / "metrics/fine_tune/metrics.json").read_text())["best"]
    names = [layer.name for layer in backbones.build(BACKBONE).layers]
    allowed = names if unfreeze == "all" else names[-11:]
    changed = changed_layers(after_run)
    assert best["epoch"] > 0
    assert changed
    assert changed <= {name for name in allowed if not name.lower().endswith("bn")}
    assert ("stem_conv" in changed) == (unfreeze == "all")
    assert not list((after_run / "data").glob("partial-*"))


def test_twice_gives_the_same_bytes(after_run):
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def test_test_pictures_are_never_read(after_run):
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    split = pd.read_csv("data/split.csv")
    for path in split.loc[split["split"] == "test", "path"]:
        (after_run / "data/raw" / path).unlink()
    run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def test_features_of_another_backbone_do_not_pass_the_parity_gate(after_run):
    features = np.load("data/features/avg.npy")
    np.save("data/features/avg.npy", features * 1.5 + 1)
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    with pytest.raises(UserError, match="the features are not of this backbone"):
        run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def test_features_of_bfloat16_pass_the_parity_gate(after_run):
    set_params(after_run / "params.yaml", {"extract": {"precision": "bfloat16"}})
    for stage in ("extract", "train_head", "fine_tune"):
        run_stage(stage)
    assert json.loads(Path("data/features/fingerprint.json").read_text())["precision"] == "bfloat16"
