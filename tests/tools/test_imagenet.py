from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest
from sklearn import datasets

from thaw.models import registry
from thaw.project.errors import UserError
from tools import imagenet

SLOW = pytest.mark.slow


def called(monkeypatch, *arguments: object) -> None:
    monkeypatch.setattr("sys.argv", ["imagenet", *map(str, arguments)])
    imagenet.main()


@pytest.mark.parametrize("number", [0, *(pytest.param(each, marks=SLOW) for each in (1, 2))])
def test_a_real_photo_is_named(project, monkeypatch, capsys, number):
    """A Chinese palace; ImageNet has no nearer class."""
    called(
        monkeypatch,
        "--name",
        f"EfficientNetLite{number}",
        Path(datasets.__file__).with_name("images") / "china.jpg",
    )
    line = capsys.readouterr().out
    assert line.count("%") == 3
    assert "palace" in line


def test_files_that_are_no_images_are_named_and_the_others_answered(project, monkeypatch, capsys):
    undecided = SimpleNamespace(predict_on_batch=lambda pixels: np.zeros((len(pixels), 1000)))
    monkeypatch.setattr(imagenet, "build", lambda name: undecided)
    (project / "images/green/0.jpg").write_text("no image")
    with pytest.raises(UserError, match="1 of 2 files are no valid images"):
        called(monkeypatch, "--top", 1, "images/green/0.jpg", "images/red/0.jpg")
    first, second = capsys.readouterr().out.splitlines()
    assert first.startswith("images/green/0.jpg: cannot identify image file")
    assert second.startswith("images/red/0.jpg: ")
    assert second.count("%") == 1


def test_a_missing_place_and_an_empty_folder_are_refused(project, monkeypatch):
    with pytest.raises(UserError, match="no such file or folder: nothing"):
        called(monkeypatch, "nothing")
    (project / "empty").mkdir()
    with pytest.raises(UserError, match="no files in empty"):
        called(monkeypatch, "empty")


def test_names_and_probabilities():
    probabilities = np.zeros(1000)
    probabilities[[281, 285]] = 0.75, 0.25
    assert imagenet.describe(probabilities, 2) == "281 tabby 75.0%, 285 Egyptian cat 25.0%"


def test_other_networks_are_keras_own_whole_ones(monkeypatch):
    """With the weights that Keras would download left out."""
    whole = keras.applications.MobileNetV2
    monkeypatch.setattr(
        keras.applications, "MobileNetV2", lambda weights, **options: whole(weights=None, **options)
    )
    model = imagenet.build("MobileNetV2")
    size = registry.NETWORKS["MobileNetV2"].size
    pixels = np.random.default_rng(0).integers(0, 256, (2, size, size, 3)).astype("float32")
    alone = whole(weights=None, classifier_activation=None)
    alone.set_weights(model.get_weights())
    expected = alone(keras.applications.mobilenet_v2.preprocess_input(pixels.copy()))
    assert np.asarray(model([pixels])) == pytest.approx(np.asarray(expected), abs=1e-5)


def test_a_download_that_fails_is_one_line(monkeypatch):
    def fails(**_):
        raise Exception("URL fetch failure")  # as keras.utils.get_file does

    monkeypatch.setattr(keras.applications, "VGG16", fails)
    with pytest.raises(UserError, match=r"VGG16's ImageNet weights .*; take one of EfficientNetL"):
        imagenet.build("VGG16")
