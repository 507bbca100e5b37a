import numpy as np
import pandas as pd
import pytest
import yaml
from PIL import Image

from tests.conftest import STAGES, draw_images, refusal, run_stage, set_params
from tests.imports import ROOT
from thaw.data import manifest

ALL = {
    "samples",
    "augmentation",
    "learning_curves",
    "confusion_matrix",
    "roc",
    "reliability",
    "risk_coverage",
    "slices",
    "images",
    "misclassified",
    "least_certain",
    "gradcam",
    "kernels",
    "feature_maps",
    "feature_plane",
}


def drawn(folder) -> dict[str, bytes]:
    return {path.stem: path.read_bytes() for path in (folder / "metrics/figures").glob("*.png")}


def test_dvc_knows_every_figure(finished_run):
    assert set(drawn(finished_run)) == ALL
    plots = yaml.safe_load((ROOT / "dvc.yaml").read_text())["plots"]
    ours = {each for each in plots if isinstance(each, str) and "metrics/figures/" in each}
    assert ours == {f"metrics/figures/{name}.png" for name in ALL}


@pytest.mark.parametrize("name", sorted(ALL))
def test_figures_are_images_with_something_on_them(finished_run, name):
    with Image.open(finished_run / f"metrics/figures/{name}.png") as image:
        pixels = np.asarray(image.convert("RGB"))
    assert 500 < pixels.shape[1] <= 1100
    assert (pixels != 255).any(axis=2).mean() > 0.01


def test_the_same_run_gives_the_same_bytes(after_run):
    before = drawn(after_run)
    run_stage("figures")
    assert drawn(after_run) == before


@pytest.mark.slow
def test_the_layers_are_those_asked_for(after_run):
    before = drawn(after_run)
    set_params(after_run / "params.yaml", {"figures": {"layers": ["block1a_relu"], "points": 2}})
    run_stage("figures")
    after = drawn(after_run)
    assert {name for name in ALL if after[name] != before[name]} == {
        "feature_maps",
        "feature_plane",
    }
    set_params(after_run / "params.yaml", {"figures": {"layers": ["block1a_reul"]}})
    assert "[figures.layers]: 'block1a_reul' is no layer" in refusal("figures")


def test_predictions_of_another_split_are_refused(after_run):
    table = pd.read_csv("data/predictions.csv", dtype=str, keep_default_na=False)
    table.iloc[1:].to_csv("data/predictions.csv", index=False)
    assert "run `dvc repro evaluate`" in refusal("figures")


@pytest.mark.parametrize("correct", [pytest.param(True, marks=pytest.mark.slow), False])
def test_all_correct_and_all_misclassified(after_run, correct):
    rows = manifest.read(after_run / "data/manifest.csv")
    names = manifest.classes(rows)
    table = manifest.read(after_run / "data/predictions.csv")
    for place, label in enumerate(table["label"]):
        predicted = names[(names.index(label) + (not correct)) % len(names)]
        for name in names:
            table.loc[place, f"p({name})"] = "0.9" if name == predicted else "0.05"
    table.to_csv("data/predictions.csv", index=False)
    run_stage("figures")
    heights = {}
    for name in ("misclassified", "least_certain", "gradcam"):
        with Image.open(f"metrics/figures/{name}.png") as image:
            heights[name] = image.height
    none, some = "misclassified", "least_certain"
    if not correct:
        none, some = some, none
    assert heights[none] < 60  # only a sentence
    assert heights[some] > 200
    assert heights["gradcam"] > 500


@pytest.mark.parametrize(
    ("classes", "changes"),
    [
        (2, {"extract": {"feature_maps": True}, "head": {"pooling": "flatten"}}),
        (23, {"backbone": {"name": "VGG16", "weights": None}}),
    ],
)
@pytest.mark.slow
def test_other_runs(project, classes, changes):
    """Two classes on feature maps; 23 in grey, with a letter that no font has, for BGR."""
    for folder in (project / "images").iterdir():
        for image in folder.iterdir():
            image.unlink()
        folder.rmdir()
    for label in range(classes):
        draw_images(project / "images", {"red" if label % 2 else "green": 11}, seed=label)
        made = project / "images" / ("red" if label % 2 else "green")
        for image in made.iterdir():
            with Image.open(image) as opened:
                opened.convert("L" if label % 3 else "RGB").save(image)
        made.rename(project / "images" / f"{label} $_{{x}} \u0378 a long name {'W' * 40}")
    nothing = {"flip": "none", "rotation": 0.0}
    set_params(project / "params.yaml", {**changes, "augmentation": nothing})
    set_params(project / "params.yaml", {"fine_tune": {"epochs": 1}, "train_head": {"epochs": 1}})
    for stage in STAGES[:-1]:  # export comes last
        run_stage(stage)
    legend = manifest.read_table(project / "metrics/figures/classes.csv", needs=("number",))
    assert len(legend) == classes
    assert set(drawn(project)) == ALL
    for name in ALL:
        with Image.open(f"metrics/figures/{name}.png") as image:
            assert 500 < image.width <= 1300
            assert image.height < 2000
