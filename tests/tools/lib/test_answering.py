import shutil
import threading

import numpy as np
import pytest
from PIL import Image

from stages.lib import params, paths, pictures, usable
from stages.lib.runtime import Runtime
from stages.lib.sources import Data
from tests import server
from tests.conftest import set_params
from tests.tools.small_model import SIDE, by_keras, export
from tools.lib import addresses, answering, predicting


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    return export(tmp_path_factory.mktemp("run") / "export")


@pytest.fixture
def predictor(exported, project):
    shutil.copytree(exported, paths.EXPORT)
    return predicting.load()


def answered(predictor, places) -> list[answering.Answer]:
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    found = list(answering.answers(predictor, [str(place) for place in places], data, runtime))
    assert [each.place for each in found] == [str(place) for place in places]
    return found


@pytest.mark.parametrize(("workers", "batch_size"), [(1, 2), (3, 8), (5, 32)])
def test_every_picture_has_its_own_answer_in_order(predictor, project, workers, batch_size):
    runtime = {"workers": workers, "batch_size": batch_size}
    set_params(project / "params.yaml", {"runtime": runtime})
    files = sorted((project / "pictures").rglob("*.jpg"), key=lambda path: path.name)
    (project / "pictures/text.jpg").write_text("no picture")
    places = [*files[:30], project / "pictures/text.jpg", *files[30:]]
    found = answered(predictor, places)
    pixels = np.stack([pictures.load(file, SIDE, predictor.decoding) for file in files])
    expected = by_keras(paths.EXPORT, pixels)
    assert found[30].probabilities is None
    assert found[30].reason == "no known picture format"
    good = found[:30] + found[31:]
    assert {each.reason for each in good} == {None}
    assert np.stack([each.probabilities for each in good]) == pytest.approx(expected, abs=1e-4)
    assert len(np.unique(expected[:, 0])) == len(files) == 59


def test_each_bad_file_has_its_reason_and_no_other_suffers(predictor, project):
    folder = project / "bad"
    folder.mkdir()
    whole = (project / "pictures/red/0.jpg").read_bytes()
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
        "page.jpg": "an HTML page, not a picture",
        "large.png": "9001 x 9001 pixels are more than data.max_megapixels (64) allows",
        "thin.png": "7 x 90 pixels: a side is under data.min_side (8)",
        "floats.tif": "values of mode F have no known range",
        "gone.jpg": "No such file or directory",
        "..": "a folder; put the files themselves there",
        "a\0b.jpg": "embedded null",
        "../pictures/red/0.jpg": None,
    }
    for answer, reason in zip(answered(predictor, [folder / name for name in reasons]), reasons):
        wanted = reasons[reason]
        assert (answer.reason or "").startswith(wanted or ""), answer
        assert (answer.probabilities is None) == (wanted is not None), answer


def test_a_large_picture_is_not_even_decoded(predictor, project, monkeypatch):
    Image.new("L", (9001, 9001)).save(project / "large.png")
    data = params.load(Data, "data")
    monkeypatch.setattr(pictures, "load", lambda *_: pytest.fail("decoded"))
    with pytest.raises(usable.BadPicture, match="9001 x 9001 pixels are more"):
        answering.pixels(project / "large.png", predictor, data)


def test_only_pictures_at_hand_are_in_memory(predictor, project, monkeypatch):
    """Of 1,000 places few are decoded while the first answer is read."""
    set_params(project / "params.yaml", {"runtime": {"workers": 3, "batch_size": 4}})
    decoded, load = [], pictures.load

    def counted(path, *others):
        decoded.append(path)
        return load(path, *others)

    monkeypatch.setattr(pictures, "load", counted)
    data, runtime = params.load(Data, "data"), params.load(Runtime, "runtime")
    threads = threading.active_count()
    found = answering.answers(predictor, ["pictures/red/0.jpg"] * 1000, data, runtime)
    assert next(found).reason is None
    assert len(decoded) < 100
    found.close()
    assert len(decoded) < 100
    assert threading.active_count() <= threads + 3


def test_addresses_are_fetched(predictor, project, monkeypatch):
    monkeypatch.setattr(addresses, "MOST", 10_000)
    picture = (project / "pictures/red/0.jpg").read_bytes()
    with server.running() as there:
        there.files |= {"/red": picture, "/text": b"no picture", "/large": b"x" * 10_001}
        names = ("red", "text", "large", "missing")
        found = answered(predictor, [*(f"{there.url}/{name}" for name in names), "http://"])
    beside = answered(predictor, ["pictures/red/0.jpg"])
    assert found[0].probabilities == pytest.approx(beside[0].probabilities, abs=1e-6)
    reasons = [each.reason for each in found[1:]]
    assert reasons[:2] == ["no known picture format", "more than 0.01 MB, so it is not fetched"]
    assert reasons[2] == "the server answers 404 Not Found; check the address and the network"
    assert reasons[3].startswith("no connection (")
