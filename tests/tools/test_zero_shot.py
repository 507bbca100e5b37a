"""Texts in tools and stages, with a tiny preset of CLIP that the test saves."""

import io
import re
import shutil
import sys

import numpy as np
import pandas as pd
import pytest
from scipy.special import softmax

from tests import tiny_presets
from tests.conftest import STAGES, TINY, draw_images, enter_copy, run_stage, set_params
from tests.imports import ROOT
from tests.models.test_texts import of_keras_hub
from tests.tiny_presets import SIZE
from thaw.data import manifest
from thaw.features import arrays
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models import heads, texts
from thaw.models.settings import Head
from thaw.project import files, params, paths
from thaw.project.errors import UserError
from tools import crossval, zero_shot
from tools.experiments.rows import read_rows
from tools.reviewing import review
from tools.revisions import dvc_lock

NAMES = ["blue sky", "green", "red"]
START = {"head": {"start": "text", "pooling": "cls"}}


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    """A project with a preset of CLIP after the stages up to train_head. Only to be read."""
    folder = tmp_path_factory.mktemp("clip")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", folder)
        preset = {"name": "./preset", "weights": "imagenet", "image_size": SIZE}
        set_params(folder / "params.yaml", TINY | {"backbone": preset})
        draw_images(folder / "images")
        tiny_presets.save("CLIP", folder / "preset")
        for name in STAGES[: STAGES.index("train_head")]:
            run_stage(name)
    return folder


@pytest.fixture
def clip(extracted, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    return enter_copy(extracted, tmp_path / "copy", monkeypatch)


@pytest.fixture
def called(monkeypatch, capfd):
    """Call the tool; return what it printed, and on standard error."""

    def call(*arguments: str) -> tuple[str, str]:
        capfd.readouterr()
        monkeypatch.setattr("sys.argv", ["zero_shot", *arguments])
        zero_shot.main()
        said = capfd.readouterr()
        return said.out, said.err

    return call


def logits() -> np.ndarray:
    """Return those of all images of the run, by the texts of its classes."""
    of_features = arrays.read_provenance(paths.FEATURES)
    rows = manifest.read(paths.MANIFEST)
    pooled = arrays.load(paths.FEATURES, "cls", len(rows))
    return texts.of_classes(paths.TEXTS, of_features, NAMES)(pooled)


@pytest.mark.slow
def test_answers_are_those_of_keras_hub_and_are_scored(clip, called, monkeypatch):
    images = [f"images/red/{number}.jpg" for number in (0, 1, 2, 3, 4)]
    pixels = ImageLoader(SIZE, params.load(Decoding, "images")).stack(images)
    monkeypatch.setattr("tests.models.test_texts.PIXELS", pixels)
    expected = of_keras_hub(clip / "preset", [f"a drawing of {name}" for name in ("red", "cat")])
    shutil.rmtree("preset")  # what comes after needs what the stage left alone
    template = ("--template", "a drawing of {}")
    chosen = ("--classes", "red, cat", *template, "--format", "csv", "--top", "2")
    said, on_error = called(*images, *chosen)
    table = pd.read_csv(io.StringIO(said))
    assert [*table["path"]] == images
    assert [*table["class"]] == [("red", "cat")[each] for each in expected.argmax(axis=1)]
    probabilities = softmax(expected, axis=1)
    assert table["probability"].to_numpy() == pytest.approx(probabilities.max(axis=1), abs=1e-4)
    both = table[["probability", "probability_2"]].to_numpy()
    assert both.sum(axis=1) == pytest.approx(1, abs=1e-4)
    right = (expected.argmax(axis=1) == 0).mean()
    assert re.search(rf"^accuracy {right:.4f} \(.* to .*\) on 5 images in folders", on_error, re.M)


@pytest.mark.slow
def test_the_classes_of_the_run_are_the_default(clip, called):
    rows = manifest.read(paths.MANIFEST)
    said, on_error = called("data/raw", "--format", "csv")
    assert [*pd.read_csv(io.StringIO(said))["path"]] == [
        f"data/raw/{path}" for path in rows["path"]
    ]
    predicted = [NAMES[each] for each in logits().argmax(axis=1)]
    assert [*pd.read_csv(io.StringIO(said))["class"]] == predicted
    right = np.mean(predicted == rows["label"])
    assert f"accuracy {right:.4f} (" in on_error
    shutil.rmtree("data")
    with pytest.raises(UserError, match=r"manifest.csv is missing"):
        called("images/red")
    (clip / "images/red/x.jpg").write_text("no image")
    with pytest.raises(UserError, match="1 of 20 images are invalid"):
        called("images/red", "--classes", "red,green", "--template", "{}", "--template", "a {}")


@pytest.mark.slow
def test_a_head_starts_from_the_texts(clip, capsys):
    """With no step that changes it, the head's classes are those of the texts."""
    shutil.rmtree("preset")
    set_params(clip / "params.yaml", START | {"train_head": {"epochs": 1, "learning_rate": 1e-9}})
    run_stage("train_head")
    rows = manifest.read(paths.MANIFEST)
    pooled = arrays.load(paths.FEATURES, "cls", len(rows))
    head = heads.load(params.load(Head, "head"), pooled.shape[1:], 3, paths.HEAD)
    assert np.array_equal(np.asarray(head(pooled)).argmax(axis=1), logits().argmax(axis=1))
    crossval._texts.cache_clear()
    found = read_rows()
    loss = crossval.sections({})
    predicted = crossval.predict(found, found.split, np.arange(len(rows)), loss)
    assert np.array_equal(predicted.probabilities.argmax(axis=1), logits().argmax(axis=1))


@pytest.mark.slow
def test_the_review_asks_the_texts(clip):
    rows = manifest.read(paths.MANIFEST)
    seen = np.arange(len(rows)) % 3 > 0
    found = review._by_text(rows[seen], seen)
    assert found == pytest.approx(softmax(logits(), axis=1)[seen], abs=1e-6)
    assert review.load(with_test=False).classes == NAMES
    shutil.rmtree(paths.TEXTS)
    assert review._by_text(rows[seen], seen) is None


def test_without_a_backbone_a_line_says_what_to_run(project, called):
    with pytest.raises(UserError, match=r"weights.h5 is missing; run `dvc repro backbone`"):
        called("images/red")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--classes", "cat"], "names no two classes"),
        (["--classes", "cat,dog,cat"], "names no two classes"),
        (["--template", "a photo"], "has no {} for the class"),
    ],
)
def test_wrong_arguments_are_named(monkeypatch, capsys, arguments, message):
    monkeypatch.setattr(sys, "argv", ["zero_shot", "images", *arguments])
    with pytest.raises(SystemExit):
        zero_shot.main()
    assert message in capsys.readouterr().err


def test_a_backbone_without_texts_is_refused(project, called):
    paths.BACKBONE.parent.mkdir()
    paths.BACKBONE.write_bytes(b"weights")
    ran = {"params": {"params.yaml": {"backbone": {"name": "VGG16"}}}, "outs": []}
    files.write_json(dvc_lock.FILE, {"stages": {"backbone": ran}})
    with pytest.raises(UserError, match="backbone was run with another section backbone than para"):
        called("images/red", "--classes", "red,green")
    dvc_lock.FILE.unlink()
    with pytest.raises(UserError, match=r"the backbone knows no texts; set it to a preset of CLIP"):
        called("images/red", "--classes", "red,green")
