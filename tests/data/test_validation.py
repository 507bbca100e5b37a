import functools
import hashlib
import os
import time

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests.conftest import decoding, draw_images, runtime
from thaw.data import inspection, validation
from thaw.images import image_files
from thaw.labels import layout
from thaw.project.errors import UserError
from thaw.sources.settings import Data

SETTINGS = decoding()


def check(root, workers: int = 3):
    found = layout.find(root).found
    inspect = functools.partial(
        inspection.inspect, settings=SETTINGS, min_side=5, max_pixels=10_000
    )
    return found, *validation.check(found, root, inspect, runtime(workers=workers))


def test_every_image_is_used_or_quarantined_with_its_reason(tmp_path):
    draw_images(tmp_path, {"red": 5, "green": 3})
    whole = (tmp_path / "red/0.jpg").read_bytes()
    (tmp_path / "red/cut.jpg").write_bytes(whole[: len(whole) // 2])
    (tmp_path / "red/page.jpg").write_text("<html>")
    (tmp_path / "green/none.png").touch()
    Image.new("L", (101, 100)).save(tmp_path / "green/large.png")
    Image.new("L", (9, 7)).save(tmp_path / "green/grey.jpg", "PNG")
    found, manifest, quarantine = check(tmp_path)

    assert (len(found), len(manifest), len(quarantine)) == (13, 9, 4)
    invalid = ["green/large.png", "green/none.png", "red/cut.jpg", "red/page.jpg"]
    assert list(quarantine["path"]) == invalid
    assert not quarantine["reason"].str.contains(os.sep + "green").any()
    assert list(manifest["path"]) == sorted(manifest["path"])
    assert "largest" not in manifest
    first = manifest.set_index("path").loc["red/0.jpg"]
    assert first["sha256"] == hashlib.sha256(whole).hexdigest()
    kind = ["format", "mode", "width", "height", "orientation", "more_frames"]
    assert first[kind].tolist() == ["JPEG", "RGB", 37, 31, 1, ""]
    grey = manifest.set_index("path").loc["green/grey.jpg"]
    assert grey[kind].tolist() == ["PNG", "L", 9, 7, 1, ""]


def test_equal_pixels_are_seen_through_another_format_and_another_turn(tmp_path):
    draw_images(tmp_path, {"red": 1, "green": 2})
    with Image.open(tmp_path / "red/0.jpg") as image:
        image.load()
    image.save(tmp_path / "red/copy.png")
    image.save(tmp_path / "red/copy.bmp")
    exif = image.getexif()
    exif[0x0112] = 3
    image.transpose(Image.Transpose.ROTATE_180).save(tmp_path / "red/turned.png", exif=exif)
    _, manifest, _ = check(tmp_path)
    assert manifest["sha256"].nunique() == 6
    assert manifest.groupby("label")["pixel_sha256"].nunique().to_dict() == {"red": 1, "green": 2}
    assert manifest.set_index("path").loc["red/turned.png", "orientation"] == 3


def test_all_files_of_16_bits_are_inspected_alike(tmp_path):
    """The dark one at the bits of the others, and not at its own."""
    inspect = functools.partial(inspection.inspect, min_side=5, max_pixels=10_000)
    random = np.random.default_rng(0)
    for number, most in enumerate((4000, 900, 3000)):
        for label in ("a", "b"):
            (tmp_path / label).mkdir(exist_ok=True)
            values = random.integers(0, most, (40, 40)).astype("uint16")
            Image.fromarray(values).save(tmp_path / label / f"{number}.png")
    Image.new("RGB", (9, 9)).save(tmp_path / "a/black.png")
    (tmp_path / "b/none.png").touch()
    found = layout.find(tmp_path).found
    manifest, invalid = validation.check_alike(found, tmp_path, inspect, SETTINGS, runtime())
    assert list(invalid["path"]) == ["b/none.png"]
    assert [each == "" for each in manifest["largest"]] == [False] * 3 + [True] + [False] * 3
    twelve = SETTINGS.model_copy(update={"bits": 12})
    expected, _ = validation.check_alike(found, tmp_path, inspect, twelve, runtime())
    assert manifest.astype(str).equals(expected.astype(str))
    own, _ = validation.check(
        found, tmp_path, functools.partial(inspect, settings=SETTINGS), runtime()
    )
    differ = own["pixel_sha256"] != expected["pixel_sha256"]
    assert list(own["path"][differ]) == ["a/1.png", "b/1.png"]


def test_large_images_take_turns(tmp_path, monkeypatch):
    monkeypatch.setattr(inspection, "LARGE", 1000)
    draw_images(tmp_path, {"red": 7, "green": 7})
    decode, at_work, most = image_files.to_rgb, [], []

    def watched(*args):
        at_work.append(1)
        most.append(len(at_work))
        time.sleep(0.01)
        at_work.pop()
        return decode(*args)

    monkeypatch.setattr(inspection, "to_rgb", watched)
    check(tmp_path)
    assert max(most) == 1
    monkeypatch.setattr(inspection, "LARGE", 10_000)
    check(tmp_path)
    assert max(most) > 1


def rows(*places: tuple[str, str]) -> pd.DataFrame:
    paths = [f"{label}/{number}" for number, (label, _) in enumerate(places)]
    labels, digests = zip(*places)
    return pd.DataFrame({"path": paths, "label": labels, "pixel_sha256": digests})


def test_the_same_image_under_two_classes_is_bad_under_both():
    manifest = rows(("cat", "x"), ("cat", "y"), ("cat", "y"), ("dog", "y"), ("dog", "z"))
    quarantine = pd.DataFrame([["cat/a", "cat", "empty file"]], columns=["path", "label", "reason"])
    good, invalid = validation.part_contradictions(manifest, quarantine)
    assert good["path"].tolist() == ["cat/0", "dog/4"]
    assert invalid["path"].tolist() == ["cat/1", "cat/2", "cat/a", "dog/3"]
    reasons = dict(zip(invalid["path"], invalid["reason"]))
    assert reasons["cat/2"] == "the same image is under class 'dog' as dog/3"
    assert reasons["dog/3"] == "the same image is under class 'cat' as cat/1"
    assert reasons["cat/a"] == "empty file"


def refuse(invalid: int, on_invalid: str, max_invalid: float, valid: tuple = ("cat", "dog")):
    found = [layout.Found(f"cat/{i}", "cat", "") for i in range(10 - invalid)]
    found += [layout.Found(f"dog/{i}", "dog", "") for i in range(invalid)]
    quarantine = pd.DataFrame(
        {"path": [f"dog/{i}" for i in range(invalid)], "label": "dog", "reason": "empty file"}
    )
    settings = Data.model_construct(on_invalid=on_invalid, max_invalid=max_invalid)
    validation.refuse(found, pd.DataFrame({"label": valid}), quarantine, settings)


def test_what_is_refused():
    refuse(0, "fail", 0.0)
    refuse(2, "quarantine", 0.2)
    with pytest.raises(UserError) as error:
        refuse(4, "fail", 1.0)
    assert str(error.value) == (
        "params.yaml [data.on_invalid]: 4 of 10 images are invalid: dog/0 and 3 more "
        "(empty file); all are in data/quarantine.csv; fix or remove them, or set this to "
        "quarantine"
    )
    with pytest.raises(
        UserError, match=r"3 of 10 images are invalid, more than 0.2 of all"
    ) as error:
        refuse(3, "quarantine", 0.2)
    assert error.value.key == "data.max_invalid"
    with pytest.raises(UserError, match=r"class 'dog' has no valid image left: dog/0 .* fix"):
        refuse(1, "quarantine", 0.2, valid=("cat",))


def test_each_reason_is_said_once_and_no_more_than_three():
    causes = ["a", "b", "a", "c", "a"]
    invalid = pd.DataFrame({"path": [f"x/{i}" for i in range(5)], "reason": causes})
    assert validation.reasons(invalid) == "x/0 and 2 more (a); x/1 (b); x/3 (c)"
    more = pd.DataFrame({"path": ["x/1", "x/2"] * 2, "reason": [*"abcd"]})
    assert validation.reasons(more).endswith("x/1 (c) ...")
