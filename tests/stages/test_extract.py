import json
import os
import sqlite3
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.conftest import decoding, refusal, run_stage, set_params
from tests.imports import ROOT
from thaw.features import frozen_backbone, int8
from thaw.images.loader import ImageLoader
from thaw.models import backbones
from thaw.models.settings import Backbone
from thaw.project.errors import UserError

SETTINGS = decoding()


def test_each_image_has_its_row(finished_run):
    paths = pd.read_csv(finished_run / "data/manifest.csv")["path"]
    spec = Backbone(name=tiny.NAME, weights=None, image_size=32)
    model = backbones.load(spec, finished_run / "models/backbone.weights.h5")
    average = np.load(finished_run / "data/features/avg.npy")
    assert (average.shape, average.dtype) == ((59, tiny.CHANNELS[-1]), np.float32)
    for row in (0, 31, 58):
        pixels = ImageLoader(32, SETTINGS).load(finished_run / "data/raw" / paths[row])
        expected = model.predict(np.stack([pixels, pixels]), verbose=0).mean(axis=(1, 2))
        assert average[row] == pytest.approx(expected[0], rel=1e-3, abs=1e-4)
    assert sorted(p.name for p in (finished_run / "data/features").iterdir()) == [
        "avg.npy",
        "max.npy",
        "provenance.json",
    ]
    provenance = json.loads((finished_run / "data/features/provenance.json").read_text())
    assert (provenance["backbone"], provenance["image_size"]) == (tiny.NAME, 32)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("train_head", "features/provenance.json is missing or damaged; run `dvc repro extract`"),
        ("fine_tune", "features was made with image_size 48 and not 32; run `dvc repro extract`"),
        ("evaluate", "features was made with image_size 48 and not 32; run `dvc repro extract`"),
    ],
)
def test_features_of_other_params_are_refused(after_run, stage, message):
    path = after_run / "data/features/provenance.json"
    values = json.loads(path.read_text())
    path.write_text("" if stage == "train_head" else json.dumps({**values, "image_size": 48}))
    with pytest.raises(UserError, match=message):
        run_stage(stage)


def test_maps_on_demand_and_the_same_bytes_at_another_batch_size(after_run):
    before = (after_run / "data/features/avg.npy").read_bytes()
    changes = {"extract": {"feature_maps": True}, "runtime": {"batch_size": 19, "workers": 1}}
    set_params(after_run / "params.yaml", changes)
    run_stage("extract")
    assert np.load("data/features/map.npy", mmap_mode="r").shape == (59, 8, 8, 24)
    assert (after_run / "data/features/avg.npy").read_bytes() == before


def test_weights_of_another_network_are_refused(after_run):
    set_params(after_run / "params.yaml", {"backbone": {"name": "VGG16"}})
    with pytest.raises(UserError, match="not the weights of this vgg16"):
        run_stage("extract")


@pytest.fixture
def with_store(after_run, tmp_path):
    set_params(after_run / "params.yaml", {"runtime": {"store": str(tmp_path / "store")}})
    return tmp_path / "store/features.sqlite"


def features_as_bytes() -> list[bytes]:
    return [Path(f"data/features/{name}").read_bytes() for name in ("avg.npy", "max.npy")]


def test_the_store_changes_no_byte_cold_warm_or_damaged(after_run, with_store, capsys):
    before = features_as_bytes()
    run_stage("extract")
    assert "59 images passed once, 0 were in the feature store" in capsys.readouterr().out
    assert features_as_bytes() == before
    run_stage("extract")
    assert "0 images passed once, 59 were in the feature store" in capsys.readouterr().out
    assert features_as_bytes() == before
    with sqlite3.connect(with_store) as connection:
        small = "SELECT key FROM features WHERE length(value) < 1e3 LIMIT 5"  # so, no network
        keys = [key for (key,) in connection.execute(small)]
        for number, key in enumerate(keys):
            value = b"x" * 200 if number else b""
            connection.execute("UPDATE features SET value = ? WHERE key = ?", (value, key))
    connection.close()
    run_stage("extract")
    assert "5 images passed once, 54 were in the feature store" in capsys.readouterr().out
    assert features_as_bytes() == before
    with_store.write_bytes(with_store.read_bytes()[:5000])
    run_stage("extract")
    assert features_as_bytes() == before


@pytest.mark.slow
def test_tensorflow_is_needed_only_for_a_network_that_is_not_in_the_store(after_run, with_store):
    def begin(name: str) -> list[bytes]:
        params = after_run / "params.yaml"
        set_params(params, {"backbone": {"name": name}, "runtime": {"store": None}})
        for stage in ("backbone", "extract"):
            run_stage(stage)
        set_params(params, {"runtime": {"store": str(with_store.parent)}})
        return features_as_bytes()

    def imported() -> bool:
        code = "import sys; from stages import extract; extract.main(); print(*sys.modules)"
        path = {**os.environ, "PYTHONPATH": str(ROOT)}
        modules = subprocess.check_output([sys.executable, "-c", code], env=path, text=True).split()
        assert features_as_bytes() == before
        return "tensorflow" in modules or "keras" in modules

    before = begin("EfficientNetLite0")
    assert not imported()  # OpenVINO builds it
    before = begin("MobileNetV2")
    assert imported()
    with sqlite3.connect(with_store) as connection:
        connection.execute("DELETE FROM features WHERE length(value) < 1e5")
    assert not imported()
    with sqlite3.connect(with_store) as connection:
        damaged = "UPDATE features SET value = substr(value, 1, 100000) WHERE length(value) > 1e5"
        assert connection.execute(damaged).rowcount == 1
    connection.close()
    assert imported()


def test_one_more_image_is_one_more_pass(after_run, with_store, capsys):
    manifest = pd.read_csv("data/manifest.csv")
    manifest.drop(index=31).to_csv("data/manifest.csv", index=False)
    before = np.load("data/features/avg.npy")
    run_stage("extract")
    manifest.to_csv("data/manifest.csv", index=False)
    capsys.readouterr()
    run_stage("extract")
    assert "1 images passed once, 58 were in the feature store" in capsys.readouterr().out
    assert np.array_equal(np.load("data/features/avg.npy"), before)


def test_an_image_that_was_swapped_meanwhile_is_refused_and_not_stored(
    after_run, with_store, capsys
):
    before = features_as_bytes()
    paths = pd.read_csv("data/manifest.csv")["path"]
    one, other = Path("data/raw", paths[31]), Path("data/raw", paths[3])
    kept = one.read_bytes()
    one.write_bytes(other.read_bytes())
    assert refusal("extract") == (
        f"error: {one} is not the image that data/manifest.csv names; its content has changed; "
        "run `dvc repro` again"
    )
    assert features_as_bytes() == before
    one.write_bytes(kept)
    run_stage("extract")
    assert " 0 images passed" not in capsys.readouterr().out
    assert features_as_bytes() == before


def test_weights_that_were_swapped_meanwhile_are_refused(after_run, with_store, monkeypatch):
    of_backbone = frozen_backbone.of_backbone

    def swapped_first(spec, settings, weights, *given):
        weights.write_bytes(Path("models/fine_tuned.weights.h5").read_bytes())
        return of_backbone(spec, settings, weights, *given)

    monkeypatch.setattr(frozen_backbone, "of_backbone", swapped_first)
    assert refusal("extract") == (
        "error: models/backbone.weights.h5 changed after its digest was taken; run this again"
    )


@pytest.mark.slow
@pytest.mark.parametrize("stage", ["augment", "fine_tune", "evaluate", "figures", "export"])
def test_all_that_decode_images_refuse_what_the_manifest_does_not_name(after_run, stage):
    changes = {"extract": {"augmented_copies": 1}} if stage == "augment" else {}
    set_params(after_run / "params.yaml", changes)
    for image in Path("data/raw").rglob("*.jpg"):
        image.write_bytes(image.read_bytes() + b"x")
    line = refusal(stage)
    assert "is not the image that data/manifest.csv names" in line
    assert line.startswith("error: data/raw/")


@pytest.mark.parametrize(
    "change",
    [
        {"backbone": {"image_size": 48}},
        {"images": {"background": [0, 0, 0]}},
        {"extract": {"engine": "tensorflow"}},
        pytest.param({"extract": {"precision": "bfloat16"}}, id="bfloat16"),
        pytest.param({"extract": {"precision": "int8"}}, id="int8, of which a part is bfloat16"),
        {"extract": {"feature_maps": True}},
    ],
)
def test_what_changes_features_is_not_taken_from_the_store(after_run, with_store, capsys, change):
    run_stage("extract")
    set_params(after_run / "params.yaml", change)
    capsys.readouterr()
    run_stage("extract")
    assert "59 images passed once, 0 were in the feature store" in capsys.readouterr().out


def test_int8_is_calibrated_on_training_images_alone_and_known_by_its_ranges(
    after_run, with_store, capsys, monkeypatch
):
    set_params(after_run / "params.yaml", {"extract": {"precision": "int8"}})
    ranges, computed = int8.ranges, []
    monkeypatch.setattr(int8, "ranges", lambda *given: computed.append(1) or ranges(*given))
    exactly = np.load("data/features/avg.npy")
    run_stage("extract")
    got = np.load("data/features/avg.npy")
    assert 1e-4 < np.abs(got - exactly).max() / np.abs(exactly).max() < 0.3  # noise
    provenance = json.loads(Path("data/features/provenance.json").read_text())
    assert (provenance["precision"], len(provenance["ranges"])) == ("int8", len(tiny.CHANNELS) - 1)
    run_stage("extract")
    assert "0 images passed once, 59 were in the feature store" in capsys.readouterr().out
    split = pd.read_csv("data/split.csv")
    for part, same in (("test", True), ("train", False)):
        other = split.copy()
        other.loc[other.index[other["split"] == part][:3], "split"] = "validation"
        other.to_csv("data/split.csv", index=False)
        run_stage("extract")
        again = json.loads(Path("data/features/provenance.json").read_text())["ranges"]
        assert (again == provenance["ranges"]) == same, part
        assert len(computed) == (1 if same else 2)  # the store has those of the first images


def test_int8_by_tensorflow_is_one_line(after_run):
    changes = {"engine": "tensorflow", "precision": "int8"}
    set_params(after_run / "params.yaml", {"extract": changes})
    line = refusal("extract")
    assert line.startswith("error: params.yaml [extract.precision]: 'int8' ")
    assert "only openvino, as extract.engine, computes in 8 bits" in line
