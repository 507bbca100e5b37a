import threading

import numpy as np
import pytest
from PIL import Image

from tests import server
from tests.conftest import set_params
from tests.tools.small_model import by_keras
from thaw.images import image_checks
from thaw.images.loader import ImageLoader
from thaw.project import params, paths
from thaw.project.settings import Runtime
from thaw.sources.settings import Data
from tools.serving import batch_predict, inputs, neighbours
from tools.serving.predictor import load_predictor


@pytest.fixture
def predictor(exported):
    return load_predictor()


def predicted(predictor, places) -> list[batch_predict.Prediction]:
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    found = list(
        batch_predict.predictions(predictor, [str(place) for place in places], data, runtime)
    )
    assert [each.place for each in found] == [str(place) for place in places]
    return found


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 2), (3, 8), (5, 32)])
def test_every_image_has_its_own_prediction_in_order(predictor, project, workers, batch_size):
    runtime = {"workers": workers, "batch_size": batch_size}
    set_params(project / "params.yaml", {"runtime": runtime})
    files = sorted((project / "images").rglob("*.jpg"), key=lambda path: path.name)
    (project / "images/text.jpg").write_text("no image")
    places = [*files[:30], project / "images/text.jpg", *files[30:]]
    found = predicted(predictor, places)
    expected = by_keras(paths.EXPORT, predictor.loader.stack(files))
    assert found[30].probabilities is None
    assert found[30].reason == "no known image format"
    good = found[:30] + found[31:]
    assert {each.reason for each in good} == {None}
    assert np.stack([each.probabilities for each in good]) == pytest.approx(expected, abs=1e-4)
    assert len(np.unique(expected[:, 0])) == len(files) == 59


def test_features_of_another_network_go_with_each_image(answering):
    places = sorted(map(str, (answering / "images").rglob("*.jpg")))
    (answering / "text.jpg").write_text("no image")
    places.insert(20, "text.jpg")
    settings = params.load(Data, "data"), params.load(Runtime, "runtime")
    training = neighbours.load()
    backbone = training.network.ready()
    found = list(batch_predict.predictions(load_predictor(), places, *settings, backbone))
    assert [each.place for each in found] == places
    assert found[20].features is None
    good = found[:20] + found[21:]
    pixels = training.loader.stack([each.place for each in good])
    assert np.stack([each.features for each in good]) == pytest.approx(
        pixels.mean(axis=(1, 2)) - 127, abs=1e-3
    )
    expected = by_keras(paths.EXPORT, pixels)
    assert np.stack([each.probabilities for each in good]) == pytest.approx(expected, abs=1e-4)


def test_each_invalid_file_has_its_reason_and_no_other_suffers(predictor, project):
    folder = project / "invalid"
    folder.mkdir()
    whole = (project / "images/red/0.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(whole[: len(whole) // 2])
    (folder / "none.jpg").touch()
    (folder / "page.jpg").write_text("<html>")
    Image.new("L", (9001, 9001)).save(folder / "large.png")
    Image.new("L", (7, 90)).save(folder / "thin.png")
    Image.new("F", (90, 90)).save(folder / "floats.tif")
    (folder / "gone.jpg").symlink_to("nowhere")
    (folder / "secret.jpg").write_bytes(whole)
    reasons = {
        "cut.jpg": "damaged: ",
        "none.jpg": "empty file",
        "page.jpg": "an HTML page, not an image",
        "large.png": "9001 x 9001 pixels are more than data.max_megapixels (64) allows",
        "thin.png": "7 x 90 pixels: a side is under data.min_side (8)",
        "floats.tif": "values of mode F have no known range",
        "gone.jpg": "a link that leads nowhere",
        "..": "a folder; put the files themselves there",
        "a\0b.jpg": "embedded null",
        "../images/red/0.jpg": None,
    }
    found = predicted(predictor, [folder / name for name in reasons])
    for each, reason in zip(found, reasons.values(), strict=True):
        assert (each.reason or "").startswith(reason or ""), each
        assert (each.probabilities is None) == (reason is not None), each


def test_a_large_image_is_not_even_decoded(predictor, project, monkeypatch):
    Image.new("L", (9001, 9001)).save(project / "large.png")
    data = params.load(Data, "data")
    monkeypatch.setattr(ImageLoader, "pixels", lambda *_: pytest.fail("decoded"))
    with pytest.raises(image_checks.InvalidImage, match="9001 x 9001 pixels are more"):
        batch_predict.load(project / "large.png", predictor.loader, data)


def test_only_images_at_hand_are_in_memory(predictor, project, monkeypatch):
    """Of 1,000 places few are decoded while the first prediction is read."""
    set_params(project / "params.yaml", {"runtime": {"workers": 3, "batch_size": 4}})
    decoded, pixels = [], ImageLoader.pixels

    def counted(loader, image):
        decoded.append(image)
        return pixels(loader, image)

    monkeypatch.setattr(ImageLoader, "pixels", counted)
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    threads = threading.active_count()
    found = batch_predict.predictions(predictor, ["images/red/0.jpg"] * 1000, data, runtime)
    assert next(found).reason is None
    assert len(decoded) < 100
    found.close()
    assert len(decoded) < 100
    assert threading.active_count() <= threads + 3


def test_addresses_are_fetched(predictor, project, monkeypatch):
    monkeypatch.setattr(inputs, "MAX_BYTES", 10_000)
    image = (project / "images/red/0.jpg").read_bytes()
    with server.running() as there:
        there.files |= {"/red": image, "/text": b"no image", "/large": b"x" * 10_001}
        names = ("red", "text", "large", "missing")
        found = predicted(predictor, [*(f"{there.url}/{name}" for name in names), "http://"])
    beside = predicted(predictor, ["images/red/0.jpg"])
    assert found[0].probabilities == pytest.approx(beside[0].probabilities, abs=1e-6)
    reasons = [each.reason for each in found[1:]]
    assert reasons[:2] == ["no known image format", "more than 0.01 MB, so it is not fetched"]
    assert reasons[2] == "the server answers 404 Not Found; check the address and the network"
    assert reasons[3].startswith("no connection (")
