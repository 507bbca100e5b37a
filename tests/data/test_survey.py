import time
from pathlib import Path

import pytest

from tests.conftest import draw_images
from tests.imports import ROOT
from thaw.data import inspection, survey
from thaw.images.settings import Decoding
from thaw.labels.layout import Found
from thaw.project import params
from thaw.sources.settings import Data


def glances(width: int, height: int) -> dict:
    return {Path("x"): survey.Glance(width, height, "PNG", "RGB", "", "", None)}


@pytest.mark.parametrize(
    ("size", "image_size"),
    [((8, 8), 64), ((32, 32), 64), ((40, 90), 96), ((128, 200), 128), ((4000, 3000), 160)],
)
def test_a_larger_image_wants_a_larger_input(size, image_size):
    changes = survey.suggestions({"cat", "dog"}, glances(*size))
    assert changes["backbone"] == {"image_size": image_size}


def test_large_images_are_decoded_one_at_a_time(tmp_path, monkeypatch):
    draw_images(tmp_path, {"red": 9})
    monkeypatch.setattr(inspection, "LARGE", 30 * 30)
    now, most = 0, 0

    def decode(image, settings):
        nonlocal now, most
        now += 1
        most = max(most, now)
        time.sleep(0.01)
        now -= 1
        return image

    monkeypatch.setattr(survey, "to_rgb", decode)
    found = [Found(path, "red", "") for path in tmp_path.rglob("*.jpg")]
    values = params.read(ROOT / "params.yaml")
    data, decoding = params.check(Data, values, "data"), params.check(Decoding, values, "images")
    survey.take(found, tmp_path, data, decoding, workers=4)
    assert most == 1
    with pytest.raises(FileNotFoundError):  # the disk's fault is not the image's
        survey.take([Found(tmp_path / "no.jpg", "red", "")], tmp_path, data, decoding, workers=4)


@pytest.mark.parametrize(
    ("labels", "flip"),
    [
        ({"cat", "dog"}, "horizontal"),
        ({"0", "1", "7"}, "none"),
        ({"A", "b"}, "none"),
        ({"left hand", "right hand"}, "none"),
    ],
)
def test_what_may_be_mirrored(labels, flip):
    assert survey.suggestions(labels, glances(300, 200))["augmentation"] == {"flip": flip}


@pytest.mark.parametrize(
    ("pixels", "largest", "bits"),
    [("x", (None, None), "auto"), ("x", (900, 4000), 12), ("", (900, 4000), "auto")],
)
def test_the_bits_are_a_number_where_all_images_were_seen(pixels, largest, bits):
    seen = {Path(str(value)): survey.Glance(99, 99, "PNG", "I;16", "", pixels, value)
            for value in largest}  # fmt: skip
    assert survey.suggestions({"cat", "dog"}, seen)["images"] == {"bits": bits}
