import json
import shutil

import pandas as pd
import pytest
from PIL import Image

from tests.conftest import CLASSES, refusal, run_stage, set_params
from tests.imports import ROOT

FLOWERS = ROOT.parent / "shared/datasets/flower_photos.zip"


def test_row_i_is_manifest_row_i_and_every_class_is_everywhere(project, capsys):
    run_stage("download")
    run_stage("split")
    manifest, split = (pd.read_csv(f"data/{name}.csv") for name in ("manifest", "split"))
    assert list(split.columns) == ["path", "label", "split"]
    assert split[["path", "label"]].equals(manifest[["path", "label"]])
    counts = split.groupby("split")["label"].value_counts().unstack()
    assert counts.sum().to_dict() == CLASSES
    assert set(counts.index) == {"train", "validation", "test"}
    assert (counts > 0).all(axis=None)
    report = json.loads((project / "metrics/split.json").read_text())
    assert report["images"] == {
        "found": 59, "quarantined": 0, "left_out": 0, "excluded": 0, "used": 59,
    }  # fmt: skip
    assert report["classes"]["red"] == {**counts["red"].to_dict(), "excluded": 0}
    with Image.open(project / "metrics/split/counts.png") as image:
        assert image.width == 960
    assert "0 images are there as the same file more than once" in capsys.readouterr().out


def given_splits(project):
    """Arrange the images as a source that brings its own split, with one image on two sides."""
    root = project / "images"
    for label in CLASSES:
        for number, path in enumerate(sorted((root / label).iterdir())):
            part = ("train", "train", "val", "test")[number % 4]
            (root / part / label).mkdir(parents=True, exist_ok=True)
            path.rename(root / part / label / path.name)
        (root / label).rmdir()
    first = sorted((root / "test/red").iterdir())[0]
    shutil.copy(first, root / "train/red/copy of it.jpg")
    return first.name


def test_a_leaking_source_is_repaired(project):
    given_splits(project)
    run_stage("download")
    run_stage("split")
    split = pd.read_csv("data/split.csv").set_index("path")["split"]
    assert split[split == "excluded"].index.tolist() == ["train/red/copy of it.jpg"]
    report = json.loads((project / "metrics/split.json").read_text())
    assert report["divided_groups"] == {"before": 1, "after": 0}


def test_a_leaking_source_is_refused(project):
    name = given_splits(project)
    set_params(project / "params.yaml", {"split": {"on_leak": "refuse"}})
    run_stage("download")
    assert refusal("split") == (
        "error: params.yaml [split.on_leak]: 1 groups of equal or near images are in two of the "
        f"source's own splits, the first as test/red/{name} and train/red/copy of it.jpg; remove "
        "one copy of each, or set this to repair"
    )


def keep_of_red(project, count: int):
    for path in sorted((project / "images/red").iterdir())[count:]:
        path.unlink()
    run_stage("download")


def test_too_few_images_of_a_class_are_named(project):
    keep_of_red(project, 2)
    assert refusal("split") == (
        "error: class 'red' has 2 images; at least 3 are needed (1 for train, 1 for validation, 1 "
        "for test); add images, or remove the class"
    )


def test_three_images_of_a_class_are_enough(project):
    keep_of_red(project, 3)
    run_stage("split")
    split = pd.read_csv("data/split.csv")
    assert set(split.loc[split["label"] == "red", "split"]) == {"train", "validation", "test"}


@pytest.mark.slow
@pytest.mark.skipif(not FLOWERS.exists(), reason="the photos are not part of the project")
def test_a_named_source_with_a_photo_under_two_classes_runs_as_params_yaml_is(project, capsys):
    shutil.copy(ROOT / "params.yaml", project)
    set_params(project / "params.yaml", {"data": {"source": str(FLOWERS)}})
    run_stage("download")
    said = capsys.readouterr().out
    assert "3670 images found = 3668 used + 2 quarantined" in said
    assert "the same image is under class 'tulips' as flower_photos/tulips/15922772266" in said
    run_stage("split")
    assert len(pd.read_csv("data/split.csv")) == 3668
