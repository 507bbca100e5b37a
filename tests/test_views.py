import json
import os
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stages.lib import augmenting, backbones, building, params, pictures
from stages.lib.errors import UserError
from tests.conftest import refusal, run_stage, set_params
from tests.imports import ROOT

VARIED = {"extract": {"views": 3}, "augmentation": {"rotation": 0.2, "brightness": 0.2}}


@pytest.fixture
def with_views(after_run):
    set_params(after_run / "params.yaml", VARIED)
    run_stage("views")
    return after_run


def test_without_views_there_is_nothing_but_that_fact_and_no_tensorflow(after_run):
    code = "import sys, stages.views; stages.views.main(); assert 'tensorflow' not in sys.modules"
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    subprocess.run([sys.executable, "-c", code], env=env, check=True)
    assert [path.name for path in (after_run / "data/views").iterdir()] == ["fingerprint.json"]
    assert json.loads((after_run / "data/views/fingerprint.json").read_text()) == {"views": 0}


def test_each_training_picture_has_its_views_and_no_other_has(with_views):
    split = pd.read_csv("data/split.csv")["split"]
    train = np.flatnonzero(split == "train")
    views = np.load("data/views/avg.npy")
    assert (views.shape, views.dtype) == ((len(train), 3, 1280), np.float32)
    pictures_of = pd.read_csv("data/manifest.csv").iloc[train]
    spec = params.load(backbones.Backbone, "backbone")
    decoding = params.load(pictures.Pictures, "pictures")
    vary = augmenting.by_seed(params.load(augmenting.Augmentation, "augmentation"))
    model = building.load(spec, with_views / "models/backbone.weights.h5")
    seeds = augmenting.seeds(pictures_of["sha256"], 3)
    for row, view in ((0, 2), (len(train) - 1, 0)):
        file = with_views / "data/raw" / pictures_of["path"].iloc[row]
        pixels = np.stack([pictures.load(file, 32, decoding)] * 2)
        varied = vary(pixels, seeds[[row, row], view]).numpy()
        assert np.abs(varied - pixels).mean() > 1
        expected = model.predict(varied, verbose=0).mean(axis=(1, 2))[0]
        assert views[row, view] == pytest.approx(expected, rel=1e-3, abs=1e-4)
    assert np.load("data/views/max.npy").shape == views.shape
    for path in pd.read_csv("data/split.csv").loc[split != "train", "path"]:
        (with_views / "data/raw" / path).unlink()
    run_stage("views")  # reads no other picture
    assert np.array_equal(np.load("data/views/avg.npy"), views)


def test_a_picture_has_the_same_views_whatever_is_beside_it(with_views):
    before = np.load("data/views/avg.npy")
    split = pd.read_csv("data/split.csv")
    train = np.flatnonzero(split["split"] == "train")
    split.loc[train[:5], "split"] = "test"
    split.to_csv("data/split.csv", index=False)
    set_params(with_views / "params.yaml", {"extract": {"views": 2}, "runtime": {"batch_size": 5}})
    run_stage("views")
    after = np.load("data/views/avg.npy")
    assert after == pytest.approx(before[5:, :2], rel=1e-4, abs=1e-4)


def test_the_head_trains_on_views_too(with_views):
    before = (with_views / "models/head.weights.h5").read_bytes()
    run_stage("train_head")
    once = (with_views / "models/head.weights.h5").read_bytes()
    run_stage("train_head")
    assert (with_views / "models/head.weights.h5").read_bytes() == once != before


def test_views_of_whole_maps(after_run):
    changes = {"extract": {"views": 2, "maps": True}, "head": {"pooling": "flatten"}}
    set_params(after_run / "params.yaml", changes)
    for stage in ("extract", "views", "train_head"):
        run_stage(stage)
    assert np.load("data/views/map.npy").shape[1:] == (2, 1, 1, 1280)


def test_views_of_another_split_or_size_are_refused(with_views):
    split = pd.read_csv("data/split.csv")
    split.loc[split["split"] == "test", "split"] = "validation"
    split.to_csv("data/split.csv", index=False)
    with pytest.raises(
        UserError, match=r"views was made with split_sha256 .* run `dvc repro views`"
    ):
        run_stage("train_head")
    path = with_views / "data/views/fingerprint.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "image_size": 48}))
    with pytest.raises(UserError, match="views was made with image_size 48 and not 32"):
        run_stage("train_head")
    path.unlink()
    with pytest.raises(UserError, match=r"fingerprint.json is missing .* `dvc repro views`"):
        run_stage("train_head")


def test_views_of_nothing_varied_are_refused(after_run):
    still = {"flip": "none", "rotation": 0.0}
    set_params(after_run / "params.yaml", {"extract": {"views": 1}, "augmentation": still})
    assert "params.yaml [extract.views]: views would be copies" in refusal("views")


def test_views_are_kept_in_the_store(with_views, tmp_path, capsys):
    before = np.load("data/views/avg.npy")
    changes = {"runtime": {"store": str(tmp_path / "store")}}
    set_params(with_views / "params.yaml", changes)
    run_stage("views")
    assert np.array_equal(np.load("data/views/avg.npy"), before)
    split = pd.read_csv("data/split.csv")
    row = np.flatnonzero(split["split"] == "test")[0]
    split.loc[row, "split"] = "train"
    split.to_csv("data/split.csv", index=False)
    capsys.readouterr()
    run_stage("views")
    assert f"of 1 training pictures passed, those of {len(before)}" in capsys.readouterr().out
    set_params(with_views / "params.yaml", {"augmentation": {"rotation": 0.1}})
    run_stage("views")
    assert "those of 0 were" in capsys.readouterr().out
