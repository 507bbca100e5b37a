import os
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import draw_images, set_params
from tests.tools import small_model
from thaw.project import files, paths
from thaw.project.errors import UserError
from tools import label_next
from tools.labelling import label_choice
from tools.serving.batch_predict import Prediction
from tools.serving.predictor import load_predictor


@pytest.fixture
def called(monkeypatch, capsys):
    def call(*arguments: str) -> str:
        monkeypatch.setattr("sys.argv", ["label_next", *arguments])
        label_next.main()
        return capsys.readouterr().out

    return call


def test_it_lists_and_shows_what_the_run_does_not_have(answering, called):
    draw_images(Path("unlabelled"), {"green": 8, "red": 9}, seed=7)
    odd = os.fsdecode(b"unlabelled/red/odd \xff.jpg")
    Path("unlabelled/red/0.jpg").rename(odd)
    shutil.copy("unlabelled/green/0.jpg", "unlabelled/again.jpg")
    shutil.copytree(paths.RAW / "red", "unlabelled/known")
    Path("unlabelled/text.jpg").write_text("no image")
    said = called("unlabelled", "--count", "17")
    known = len(list(Path("unlabelled/known").iterdir()))
    assert said.splitlines() == [
        f"{19 + known} files: {known + 1} known already or there twice, 1 invalid",
        "17 to label next are in label_next.csv, and on the sheet label_next.png",
    ]
    table = pd.read_csv("label_next.csv", keep_default_na=False, encoding_errors="surrogateescape")
    assert list(table) == ["path", "label", "predicted", "probability", "margin"]
    assert set(table["label"]) == {""}
    assert table["path"].nunique() == 17
    assert odd in set(table["path"])
    digests = {files.sha256(path) for path in paths.RAW.rglob("*.jpg")}
    assert not digests & {files.sha256(Path(path)) for path in table["path"]}
    predictor = load_predictor()
    pixels = predictor.loader.stack([Path(path) for path in table["path"]])
    probabilities = small_model.by_keras(paths.EXPORT, pixels)
    best = [predictor.labels[label] for label in probabilities.argmax(axis=1)]
    assert table["predicted"].tolist() == best
    assert table["margin"].to_numpy() == pytest.approx(
        label_choice.margins(probabilities), abs=1e-3
    )
    assert table["margin"].is_monotonic_increasing
    with Image.open("label_next.png") as sheet:
        assert sheet.width == 1090
    with pytest.raises(UserError, match=f"all {known} images are known already; name a folder"):
        called("unlabelled/known")
    with pytest.raises(UserError, match="none of 1 files is a valid image: no known image format"):
        called("unlabelled/text.jpg")
    set_params(answering / "params.yaml", {"backbone": {"image_size": 64}})
    with pytest.raises(UserError, match="data/features was made with image_size 32 and not 64"):
        called("unlabelled")


def test_images_that_a_person_left_out_are_not_asked_for(split_images):
    left_out, kept = (f"{digit:064x}" for digit in (7, 9))
    Path("images/ours.csv").write_text(
        f"path,digest,label,decision\nx,{left_out},,leave_out\ny,{kept},red,keep\n",
        encoding="utf-8",
    )
    assert left_out not in label_next.had()
    set_params(split_images / "params.yaml", {"data": {"corrections": "images/ours.csv"}})
    known = label_next.had()
    assert left_out in known
    assert kept not in known
    assert files.sha256(paths.RAW / "red/3.jpg") in known


@pytest.mark.parametrize("count", [1, 2, 61])
def test_the_sheet_shows_the_first_and_says_of_how_many(count, monkeypatch):
    random, labels = np.random.default_rng(count), [f"class {number}" for number in range(60)]
    chosen = [
        Prediction(f"{n}.jpg", row, None) for n, row in enumerate(random.dirichlet([1] * 60, count))
    ]

    class Loader:
        def stack(self, places):
            return random.integers(0, 255, (len(places), 9, 9, 3), "uint8")

    figure = label_next.sheet(chosen, labels, Loader())
    title, *texts = [text.get_text() for text in figure.axes[0].texts]
    assert len(texts) == min(count, 60)
    best = chosen[0].probabilities.argmax()
    assert texts[0].startswith(
        f"1  {labels[best]}: {100 * chosen[0].probabilities.max():.1f} %\nor "
    )
    shown = "The first 60 of 61" if count > 60 else str(count)
    assert title.replace("\n", " ").startswith(f"{shown} image{'s' * (count > 1)} to label next")


def test_mistakes_are_one_line(split_images, called):
    with pytest.raises(UserError, match="--count should be at least 1"):
        called("images", "--count", "0")
    with pytest.raises(UserError, match="no such file or folder: nowhere"):
        called("nowhere")
