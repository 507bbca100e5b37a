import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests.conftest import refusal, run_stage, set_params
from tests.imports import ROOT
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import backbones
from thaw.models.settings import Backbone
from thaw.project import params
from thaw.project.errors import UserError
from thaw.training import augmentation
from thaw.training.settings import Augmentation

AUGMENTED = {
    "extract": {"augmented_copies": 3},
    "augmentation": {"rotation": 0.2, "brightness": 0.2},
}


@pytest.fixture
def with_copies(after_run):
    set_params(after_run / "params.yaml", AUGMENTED)
    run_stage("augment")
    return after_run


def test_without_copies_there_is_nothing_but_that_fact_and_no_tensorflow(after_run):
    code = (
        "import sys, stages.augment; stages.augment.main(); assert 'tensorflow' not in sys.modules"
    )
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert [path.name for path in (after_run / "data/augmented_copies").iterdir()] == [
        "provenance.json"
    ]
    assert json.loads((after_run / "data/augmented_copies/provenance.json").read_text()) == {
        "copies": 0
    }


def test_each_training_image_has_its_copies_and_no_other_has(with_copies):
    split = pd.read_csv("data/split.csv")["split"]
    train = np.flatnonzero(split == "train")
    copies = np.load("data/augmented_copies/avg.npy")
    assert (copies.shape, copies.dtype) == ((len(train), 3, 24), np.float32)
    images_of = pd.read_csv("data/manifest.csv").iloc[train]
    spec = params.load(Backbone, "backbone")
    decoding = params.load(Decoding, "images")
    augment = augmentation.by_seed(params.load(Augmentation, "augmentation"))
    model = backbones.load(spec, with_copies / "models/backbone.weights.h5")
    seeds = augmentation.seeds(images_of["sha256"], 3)
    for row, number in ((0, 2), (len(train) - 1, 0)):
        file = with_copies / "data/raw" / images_of["path"].iloc[row]
        pixels = np.stack([ImageLoader(32, decoding).load(file)] * 2)
        augmented = augment(pixels, seeds[[row, row], number]).numpy()
        assert np.abs(augmented - pixels).mean() > 1
        expected = model.predict(augmented, verbose=0).mean(axis=(1, 2))[0]
        assert copies[row, number] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert np.load("data/augmented_copies/max.npy").shape == copies.shape
    for path in pd.read_csv("data/split.csv").loc[split != "train", "path"]:
        (with_copies / "data/raw" / path).unlink()
    run_stage("augment")  # reads no other image
    assert np.array_equal(np.load("data/augmented_copies/avg.npy"), copies)


def test_an_image_has_the_same_copies_whatever_is_beside_it(with_copies):
    before = np.load("data/augmented_copies/avg.npy")
    split = pd.read_csv("data/split.csv")
    train = np.flatnonzero(split["split"] == "train")
    split.loc[train[:5], "split"] = "test"
    split.to_csv("data/split.csv", index=False)
    set_params(
        with_copies / "params.yaml",
        {"extract": {"augmented_copies": 2}, "runtime": {"batch_size": 5}},
    )
    run_stage("augment")
    after = np.load("data/augmented_copies/avg.npy")
    assert after == pytest.approx(before[5:, :2], rel=1e-4, abs=1e-4)


def test_the_head_trains_on_copies_too(with_copies):
    before = (with_copies / "models/head.weights.h5").read_bytes()
    run_stage("train_head")
    once = (with_copies / "models/head.weights.h5").read_bytes()
    run_stage("train_head")
    assert (with_copies / "models/head.weights.h5").read_bytes() == once != before


@pytest.mark.slow
def test_copies_of_whole_maps(after_run):
    changes = {
        "extract": {"augmented_copies": 2, "feature_maps": True},
        "head": {"pooling": "flatten"},
    }
    set_params(after_run / "params.yaml", changes)
    for stage in ("extract", "augment", "train_head"):
        run_stage(stage)
    assert np.load("data/augmented_copies/map.npy").shape[1:] == (2, 8, 8, 24)


def test_copies_of_another_split_or_size_are_refused(with_copies):
    split = pd.read_csv("data/split.csv")
    split.loc[split["split"] == "test", "split"] = "validation"
    split.to_csv("data/split.csv", index=False)
    with pytest.raises(
        UserError,
        match=r"augmented_copies was made with split_sha256 .* run `dvc repro augment`",
    ):
        run_stage("train_head")
    path = with_copies / "data/augmented_copies/provenance.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "image_size": 48}))
    with pytest.raises(UserError, match="augmented_copies was made with image_size 48 and not 32"):
        run_stage("train_head")
    path.unlink()
    with pytest.raises(UserError, match=r"provenance.json is missing .* `dvc repro augment`"):
        run_stage("train_head")


def test_copies_of_no_augmentation_are_refused(after_run):
    still = {"flip": "none", "rotation": 0.0}
    set_params(
        after_run / "params.yaml", {"extract": {"augmented_copies": 1}, "augmentation": still}
    )
    assert "params.yaml [extract.augmented_copies]: augmented copies would be equal" in refusal(
        "augment"
    )


def test_copies_are_kept_in_the_store(with_copies, tmp_path, capsys):
    before = np.load("data/augmented_copies/avg.npy")
    changes = {"runtime": {"store": str(tmp_path / "store")}}
    set_params(with_copies / "params.yaml", changes)
    run_stage("augment")
    assert np.array_equal(np.load("data/augmented_copies/avg.npy"), before)
    split = pd.read_csv("data/split.csv")
    row = np.flatnonzero(split["split"] == "test")[0]
    split.loc[row, "split"] = "train"
    split.to_csv("data/split.csv", index=False)
    capsys.readouterr()
    run_stage("augment")
    assert f"of 1 training images passed, those of {len(before)}" in capsys.readouterr().out
    set_params(with_copies / "params.yaml", {"augmentation": {"rotation": 0.1}})
    run_stage("augment")
    assert "those of 0 were" in capsys.readouterr().out
