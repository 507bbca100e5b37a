import base64
import io
import os
import re
import subprocess
import sys

import pytest
from PIL import Image

from tests import hostile
from tests.conftest import set_params
from tests.imports import ROOT
from tests.tools import colours
from thaw.project import files, paths
from thaw.project.errors import UserError
from tools.serving import batch_predict
from tools.serving.neighbours import Neighbour
from tools.serving.responses import SIDE, Refused
from tools.serving.trust import Trust


def plain(colour, size=(41, 23), kind="PNG") -> bytes:
    return hostile.coded(Image.new("RGB", size, colour), kind)


def shown(address: str) -> Image.Image:
    kind, content = address.split(",")
    assert kind == "data:image/png;base64"
    return Image.open(io.BytesIO(base64.b64decode(content)))


def test_the_likeliest_class_comes_first(project):
    answer = colours.responder().predict(plain((20, 200, 60)))
    assert answer["label"] == "green"
    assert list(answer["probabilities"]) == ["green", "<b>blue</b>", "red"]
    fractions = list(answer["probabilities"].values())
    assert fractions == pytest.approx([200 / 280, 60 / 280, 20 / 280], abs=1e-3)
    assert sum(fractions) == pytest.approx(1, abs=1e-5)


def test_unsure_and_unknown_stand_between_the_class_and_the_probabilities(project):
    unsure = colours.responder(trust=Trust(unsure=0.6))
    for green, expected in ((200, False), (70, True)):
        answer = unsure.predict(plain((20, green, 60)))
        assert list(answer) == ["label", "unsure", "probabilities"]
        assert answer["unsure"] is expected

    class Network:
        def outputs(self, pixels):
            return {"probabilities": colours.fractions(pixels), "known": pixels[:, 0, 0, 0] / 10}

    responder = colours.responder(probabilities=Network(), trust=Trust(known=1.5))
    for red, expected in ((16, False), (14, True)):
        assert responder.predict(plain((red, 200, 60)))["unknown"] is expected


def test_the_image_and_what_the_network_sees_have_the_image_s_shape(project):
    answer = colours.responder().look(plain((20, 200, 60), (903, 301), "JPEG"))
    seen, overlay = shown(answer["image"]), shown(answer["overlay"])
    assert seen.size == overlay.size == (SIDE, 75)
    assert seen.getpixel((9, 9)) == pytest.approx((20, 200, 60), abs=3)
    assert overlay.getpixel((9, 9)) == pytest.approx((0, 200, 0), abs=3)  # green was explained
    assert answer["label"] == "green"
    assert answer["nearest"] == []
    small = colours.responder().look(plain((20, 200, 60), (41, 23)))
    assert shown(small["image"]).size == (41, 23)  # not blown up
    assert shown(small["overlay"]).size == (SIDE, 126)  # as its heatmap may be finer


@pytest.mark.parametrize(("fit", "shape"), [("pad", (SIDE, 75)), ("crop", (SIDE, SIDE))])
def test_an_overlay_shows_what_the_network_saw_and_no_background(project, fit, shape):
    set_params(project / "params.yaml", {"images": {"fit": fit}})
    overlay = shown(colours.responder().look(plain((20, 200, 60), (903, 301)))["overlay"])
    assert overlay.size == shape
    for place in ((0, 0), (SIDE - 1, shape[1] - 1)):
        assert overlay.getpixel(place) == (0, 200, 0)  # of white it would be 255


def test_a_neighbour_that_is_gone_or_another_image_by_now_is_left_out(project):
    """As when the images are downloaded anew while the page runs."""
    (project / paths.RAW).mkdir(parents=True)
    here, gone = paths.RAW / "7.png", paths.RAW / "8.png"
    here.write_bytes(plain((200, 3, 5)))
    near = [Neighbour(here, files.sha256(here), "red", 0.1), Neighbour(gone, "0" * 64, "red", 0.1)]
    responder = colours.responder(nearest=lambda *_: near)
    assert [each["path"] for each in responder.look(plain((1, 2, 3)))["nearest"]] == ["7.png"]
    here.write_bytes(plain((3, 200, 5)))
    answer = responder.look(plain((200, 2, 3)))
    assert (answer["label"], answer["nearest"]) == ("red", [])


def test_neighbours_are_shown_with_their_path_below_the_data(project):
    (project / paths.RAW / "red").mkdir(parents=True)
    near = paths.RAW / "red/7.png"
    (project / near).write_bytes(plain((200, 3, 5), (700, 100)))
    asked = []

    def nearest(file, count):
        asked.append((Image.open(file).size, count))
        return [Neighbour(near, files.sha256(near), "red", 0.123456)] * count

    found = colours.responder(nearest=nearest).look(plain((1, 2, 3)))["nearest"]
    assert asked == [((41, 23), 5)]
    assert len(found) == 5
    assert {key: found[0][key] for key in ("label", "similarity", "path")} == {
        "label": "red",
        "similarity": 0.1235,
        "path": "red/7.png",
    }
    assert shown(found[0]["image"]).size == (SIDE, 32)


def test_without_gradcam_and_features_there_are_still_the_classes(project):
    answer = colours.responder(overlay=None).look(plain((200, 2, 3)))
    assert (answer["label"], answer["overlay"], answer["nearest"]) == ("red", None, [])


INVALID = {
    name: case
    for name, case in (hostile.DAMAGED | hostile.HOSTILE).items()
    if isinstance(case[0], bytes)
}


def test_what_no_run_would_take_is_refused_in_the_same_words(project):
    responder = colours.responder()
    responder.largest = 10**7  # some of them are large
    assert len(INVALID) > 25
    for name, (content, invalid) in INVALID.items():
        with pytest.raises(Refused) as refused:
            responder.look(content)
        said = str(refused.value).removeprefix("invalid image: ")
        assert re.search(invalid.reason, said), name
        assert "tmp" not in said
        assert "\n" not in said
    assert responder.predict(plain((200, 2, 3)))["label"] == "red"


def test_all_that_a_run_takes_is_answered(project):
    responder = colours.responder()
    for content, _ in hostile.ACCEPTED.values():
        if isinstance(content, bytes):
            assert set(responder.look(content)["probabilities"]) == set(colours.LABELS)


def test_the_limits_are_those_of_params(project):
    set_params(project / "params.yaml", {"data": {"max_megapixels": 0.001, "min_side": 9}})
    responder = colours.responder()
    with pytest.raises(Refused, match=r"41 x 25 pixels are more than data\.max_megapixels"):
        responder.predict(plain((1, 2, 3), (41, 25)))
    with pytest.raises(Refused, match=r"a side is under data\.min_side"):
        responder.predict(plain((1, 2, 3), (41, 8)))
    assert responder.predict(plain((1, 2, 3), (40, 25)))


def test_a_file_that_is_too_large_is_not_looked_at(project):
    responder, content = colours.responder(), plain((200, 2, 3))
    responder.largest = len(content) - 1
    with pytest.raises(Refused, match=r"^the file is larger than \S+ MB$"):
        responder.predict(content)
    responder.largest = len(content)
    assert responder.predict(content)


def test_too_little_memory_names_no_place(project, monkeypatch):
    def no_memory(file, *_):
        raise UserError(f"{file}: too little memory to decode it; lower a limit")

    monkeypatch.setattr(batch_predict, "load", no_memory)
    with pytest.raises(Refused, match=r"^too little memory to decode this image$"):
        colours.responder().predict(plain((200, 2, 3)))


def test_nothing_is_left_of_an_image(project, tmp_path, monkeypatch):
    (tmp_path / "scratch").mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "scratch"))
    responder = colours.responder()
    responder.look(plain((200, 2, 3)))
    with pytest.raises(Refused):
        responder.look(b"text")
    assert list((tmp_path / "scratch").iterdir()) == []


PEAK = """
import re, sys
from pathlib import Path
from tests.tools import colours
responder = colours.responder()
def peak():
    return int(re.search(r"VmHWM:\\s+(\\d+)", Path("/proc/self/status").read_text())[1]) >> 10
before = peak()
responder.look(Path(sys.argv[1]).read_bytes())
print(peak() - before)
"""


@pytest.mark.slow
def test_an_image_is_held_twice_at_most_as_it_is_decoded(project):
    """As 4 bytes a pixel: one with transparency beside the RGB that it becomes."""
    Image.new("RGBA", (4000, 4000)).save("x.png")
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        [sys.executable, "-c", PEAK, "x.png"], env=env, capture_output=True, text=True
    )
    megabytes = 4000 * 4000 * 4 / 2**20
    assert megabytes < int(done.stdout) < 2.5 * megabytes, done.stderr
