import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from stages.lib import manifest
from tests.conftest import draw_pictures, refusal, run_stage, set_params
from tests.imports import ROOT

ALL = {
    "samples",
    "augmentation",
    "learning_curves",
    "confusion_matrix",
    "roc",
    "reliability",
    "pictures",
    "mistakes",
    "least_certain",
    "gradcam",
    "kernels",
    "feature_maps",
    "feature_plane",
}


def drawn(folder) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (folder / "metrics/figures").iterdir()}


def test_dvc_knows_every_figure(finished_run):
    assert set(drawn(finished_run)) == ALL
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    ours = {each for each in plots if isinstance(each, str) and "metrics/figures/" in each}
    assert ours == {f"metrics/figures/{name}.png" for name in ALL}


@pytest.mark.parametrize("name", sorted(ALL))
def test_figures_are_pictures_with_something_on_them(finished_run, name):
    with Image.open(finished_run / f"metrics/figures/{name}.png") as picture:
        pixels = np.asarray(picture.convert("RGB"))
    assert 500 < pixels.shape[1] <= 1100
    assert (pixels != 255).any(axis=2).mean() > 0.01


def test_the_same_run_gives_the_same_bytes(after_run):
    before = drawn(after_run)
    run_stage("figures")
    assert drawn(after_run) == before


def test_the_layers_are_those_asked_for(after_run):
    before = drawn(after_run)
    set_params(after_run / "params.yaml", {"figures": {"layers": ["stem_activation"], "points": 2}})
    run_stage("figures")
    after = drawn(after_run)
    assert {name for name in ALL if after[name] != before[name]} == {
        "feature_maps",
        "feature_plane",
    }
    set_params(after_run / "params.yaml", {"figures": {"layers": ["stem_activatoin"]}})
    assert "[figures.layers]: 'stem_activatoin'" in refusal("figures")


def test_predictions_of_another_split_are_refused(after_run):
    table = pd.read_csv("data/predictions.csv", dtype=str, keep_default_na=False)
    table.iloc[1:].to_csv("data/predictions.csv", index=False)
    assert "run `dvc repro evaluate`" in refusal("figures")


@pytest.mark.parametrize("right", [True, False])
def test_all_right_and_all_wrong(after_run, right):
    rows = manifest.read(after_run / "data/manifest.csv")
    names = manifest.classes(rows)
    table = manifest.read(after_run / "data/predictions.csv")
    for place, label in enumerate(table["label"]):
        guess = names[(names.index(label) + (not right)) % len(names)]
        for name in names:
            table.loc[place, f"p({name})"] = "0.9" if name == guess else "0.05"
    table.to_csv("data/predictions.csv", index=False)
    run_stage("figures")
    heights = {}
    for name in ("mistakes", "least_certain", "gradcam"):
        with Image.open(f"metrics/figures/{name}.png") as picture:
            heights[name] = picture.height
    none, some = ("mistakes", "least_certain") if right else ("least_certain", "mistakes")
    assert heights[none] < 60  # a sentence alone
    assert heights[some] > 200
    assert heights["gradcam"] > 500


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (2, {"extract": {"maps": True}, "head": {"pooling": "flatten"}}),
        (23, {"backbone": {"name": "VGG16", "weights": None}}),
    ],
)
@pytest.mark.slow
def test_other_runs(project, classes, changes):
    """Two classes on whole maps; many classes, grey, with odd names, on a network for BGR."""
    for folder in (project / "pictures").iterdir():
        for picture in folder.iterdir():
            picture.unlink()
        folder.rmdir()
    for label in range(classes):
        draw_pictures(project / "pictures", {"red" if label % 2 else "green": 11}, seed=label)
        made = project / "pictures" / ("red" if label % 2 else "green")
        for picture in made.iterdir():
            with Image.open(picture) as opened:
                opened.convert("L" if label % 3 else "RGB").save(picture)
        made.rename(project / "pictures" / f"{label} $_{{x}} 猫 a long name {'W' * 40}")
    nothing = {"flip": "none", "rotation": 0.0}
    set_params(project / "params.yaml", {**changes, "augmentation": nothing})
    set_params(project / "params.yaml", {"fine_tune": {"epochs": 1}, "train_head": {"epochs": 1}})
    for stage in ("download", "split", "backbone", "extract", "views", "train_head", "fine_tune"):
        run_stage(stage)
    run_stage("evaluate")
    run_stage("figures")
    assert set(drawn(project)) == ALL
    for name in ALL:
        with Image.open(f"metrics/figures/{name}.png") as picture:
            assert 500 < picture.width <= 1300
            assert picture.height < 2000
