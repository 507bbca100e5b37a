import json
import os
from importlib import metadata
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests import tiny
from tests.conftest import head_spec, refusal, run_stage, set_params
from thaw.features import store, trained
from thaw.models import backbones, classifier
from thaw.models.settings import Backbone
from thaw.project import software
from thaw.project.errors import UserError
from thaw.training import frozen_activations, history, processor_form

NO_AUGMENTATION = {"flip": "none", "rotation": 0.0}
BACKBONE = Backbone(name=tiny.NAME, weights=None, image_size=32)


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
    [
        pytest.param("all", {}, marks=pytest.mark.slow),
        (5, {}),
        ("1 block", {"layer_decay": 0.5, "epochs_per_block": 1}),
    ],
)
def test_it_trains_what_was_asked_for_and_no_normalisation(after_run, unfreeze, more):
    changes = {"unfreeze": unfreeze, "learning_rate": 0.0003, "patience": 9, "epochs": 4} | more
    set_params(after_run / "params.yaml", {"fine_tune": changes})
    run_stage("fine_tune")
    best = json.loads((after_run / "metrics/fine_tune/metrics.json").read_text())
    names = [layer.name for layer in backbones.build(BACKBONE).layers]
    allowed = names if unfreeze == "all" else names[-5:]
    changed = changed_layers(after_run)
    assert best["val_loss"] < curve()["validation/loss"].iloc[0]
    assert changed
    assert changed <= {name for name in allowed if not name.lower().endswith("bn")}
    assert ("block1a_conv" in changed) == (unfreeze == "all")
    assert not list((after_run / "data").glob("partial-*"))


def test_twice_gives_the_same_bytes(after_run):
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def test_it_records_what_it_ran_on(after_run):
    recorded = json.loads((after_run / "metrics/environment.json").read_text())
    assert recorded == software.environment(recorded["device"])
    assert recorded["device"].startswith("CPU, oneDNN ")  # or the card's name
    assert recorded["versions"]["tensorflow"] == metadata.version("tensorflow")
    assert recorded["threads"] == int(os.environ["TF_NUM_INTRAOP_THREADS"])


def test_test_images_are_never_read(after_run):
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    split = pd.read_csv("data/split.csv")
    for path in split.loc[split["split"] == "test", "path"]:
        (after_run / "data/raw" / path).unlink()
    run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def curve() -> pd.DataFrame:
    return history.read(Path("metrics/fine_tune"))


@pytest.mark.slow
@pytest.mark.parametrize(("dtype", "tolerance"), [("float32", 1e-3), ("float16", 0.05)])
def test_without_augmentation_the_cached_activations_give_the_same_curve(
    after_run, capsys, monkeypatch, dtype, tolerance
):
    """The dropout of the head draws the same numbers in both. Both train the arranged form."""
    arranged, arrange = [], processor_form.arrange
    monkeypatch.setattr(
        processor_form, "arrange", lambda model: arranged.append(arrange(model)) or arranged[-1]
    )
    changes = {"epochs": 5, "patience": 9, "learning_rate": 0.0001, "activations_dtype": dtype}
    set_params(after_run / "params.yaml", {"fine_tune": changes, "augmentation": NO_AUGMENTATION})
    curves = []
    for cache, said in (("auto", "pass once"), ("never", "pass in every epoch")):
        set_params(after_run / "params.yaml", {"fine_tune": {"cache_activations": cache}})
        run_stage("fine_tune")
        assert said in capsys.readouterr().out
        curves.append(curve())
    assert len(arranged) == 2
    assert all(
        any(isinstance(layer, processor_form.ArrangedConvolution) for layer in model.layers)
        for model in arranged
    )
    cached, every_epoch = curves
    assert len(cached) == 6
    assert cached["train/loss"].iloc[-1] < cached["train/loss"].iloc[1]
    assert cached.to_numpy() == pytest.approx(every_epoch.to_numpy(), abs=tolerance, nan_ok=True)


@pytest.mark.slow
def test_copies_of_the_cached_activations_train_the_same_layers(after_run, capsys):
    """And no test image is read, twice gives the same bytes, and nothing is left over."""
    changes = {"epochs": 6, "patience": 9, "augmented_copies": 3, "learning_rate": 0.0003}
    set_params(after_run / "params.yaml", {"fine_tune": changes})
    for path, part in pd.read_csv("data/split.csv")[["path", "split"]].to_numpy():
        if part == "test":
            (after_run / "data/raw" / path).unlink()
    models = []
    for _ in range(2):
        run_stage("fine_tune")
        assert "images and copies" in capsys.readouterr().out
        models.append((after_run / "models/fine_tuned.weights.h5").read_bytes())
    assert models[0] == models[1]
    names = [layer.name for layer in backbones.build(BACKBONE).layers]
    changed = changed_layers(after_run)
    assert changed
    assert changed <= {name for name in names[-5:] if not name.endswith("bn")}
    assert not list((after_run / "data").glob("partial-*"))


@pytest.mark.slow
def test_a_store_of_the_frozen_layers_changes_no_byte(after_run, tmp_path):
    changes = {"fine_tune": {"epochs": 6}, "runtime": {"store": str(tmp_path / "store")}}
    set_params(after_run / "params.yaml", changes)
    models = []
    for _ in ("cold", "warm"):
        run_stage("fine_tune")
        models.append((after_run / "models/fine_tuned.weights.h5").read_bytes())
    kept = store.FeatureStore(tmp_path / "store/features.sqlite", 1.0)
    assert kept.count() > 59  # images, and augmented copies of those in training
    kept.close()
    set_params(after_run / "params.yaml", {"runtime": {"store": None}})
    run_stage("fine_tune")
    models.append((after_run / "models/fine_tuned.weights.h5").read_bytes())
    assert models[0] == models[1] == models[2]


def test_features_of_another_backbone_do_not_pass_the_parity_gate(after_run):
    features = np.load("data/features/avg.npy")
    np.save("data/features/avg.npy", features * 1.5 + 1)
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    with pytest.raises(UserError, match="the features are not of this backbone"):
        run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


def test_a_frozen_layers_that_does_not_fit_does_not_pass_the_parity_gate(after_run, monkeypatch):
    changes = {"epochs": 6, "activations_dtype": "float16"}
    set_params(after_run / "params.yaml", {"fine_tune": changes})
    activations = frozen_activations.activations

    def coarse(*given):
        plain, augmented = activations(*given)
        return np.round(plain), augmented

    monkeypatch.setattr(frozen_activations, "activations", coarse)
    before = (after_run / "models/fine_tuned.weights.h5").read_bytes()
    with pytest.raises(
        UserError, match=r"do not fit; set fine_tune.activations_dtype to float32, or"
    ):
        run_stage("fine_tune")
    assert (after_run / "models/fine_tuned.weights.h5").read_bytes() == before


@pytest.mark.slow
@pytest.mark.parametrize(
    ("precision", "epochs"), [("bfloat16", 2), ("bfloat16", 6), ("int8", 6)]
)  # six are worth it to cache activations
def test_coarse_features_pass_the_parity_gate(after_run, precision, epochs):
    changes = {"extract": {"precision": precision}, "fine_tune": {"epochs": epochs}}
    set_params(after_run / "params.yaml", changes)
    for stage in ("extract", "train_head", "fine_tune"):
        run_stage(stage)
    assert json.loads(Path("data/features/provenance.json").read_text())["precision"] == precision


@pytest.mark.slow
def test_what_was_trained_outlives_a_form_that_cannot_be_kept(
    after_run, tmp_path, monkeypatch, capsys
):
    def differs(*_):
        raise UserError("the two forms differ")

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    set_params(after_run / "params.yaml", {"runtime": {"store": str(tmp_path / "store")}})
    with monkeypatch.context() as patch:
        patch.setattr(trained, "network", differs)
        assert "the two forms differ" in refusal("fine_tune")
    capsys.readouterr()
    run_stage("fine_tune")
    assert "an interrupted training goes on" in capsys.readouterr().out
    assert not list((tmp_path / "cache").rglob("checkpoints/*.npz"))
