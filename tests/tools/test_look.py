import re
import shutil
import subprocess
import sys
import zipfile

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests import shards
from tests.conftest import CLASSES, draw_images, set_params
from tests.imports import ROOT
from thaw.data import survey
from thaw.project.errors import UserError
from tools import look, params

FLOWERS = ROOT.parent / "shared/datasets/flower_photos.zip"


@pytest.fixture
def here(tmp_path, monkeypatch):
    shutil.copy(ROOT / "params.yaml", tmp_path)
    draw_images(tmp_path / "images/pets")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def call(monkeypatch, capsys, *words: str) -> str:
    monkeypatch.setattr("sys.argv", ["look", *words])
    look.main()
    return capsys.readouterr().out


def set_values(folder) -> dict:
    return YAML(typ="safe", pure=True).load(folder / "params.yaml")


def test_what_a_run_would_see(here, monkeypatch, capsys):
    before = (here / "params.yaml").read_text()
    said = call(monkeypatch, capsys, "images/pets")
    assert said.startswith("images/pets: 59 images of 3 classes\n")
    assert {label: int(count) for label, count in re.findall(r"^(\w.*\w) +(\d+)$", said, re.M)
            if label in CLASSES} == CLASSES  # fmt: skip
    assert "layout   {label}/*\nsizes    37 to 39 x 31 to 35 pixels (median 38 x 33)\n" in said
    assert "formats  JPEG 59\nmodes    RGB 59\n" in said
    assert "doubtful" not in said
    assert "data:\n  source: images/pets\n" in said
    assert said.endswith("this fits into params.yaml; --use puts it there\n")
    assert (here / "params.yaml").read_text() == before
    assert sorted(path.name for path in here.iterdir()) == ["data", "images", "params.yaml"]
    assert list((here / "data").iterdir()) == []


@pytest.mark.parametrize(
    "name", ["Tom's pets (2024) #1 & ~x;=[y]", "Zoë's 猫", "2024", "a, b", "null", "x: y"]
)
def test_use_takes_a_path_with_any_letters_and_keeps_comments(here, monkeypatch, capsys, name):
    (here / "images/pets").rename(here / name)
    before = (here / "params.yaml").read_text().splitlines()
    call(monkeypatch, capsys, "--use", name)
    params.check(params.params.read())
    values = set_values(here)
    assert values["data"]["source"] == name
    assert values["backbone"]["image_size"] == 96
    assert values["augmentation"]["flip"] == "horizontal"
    after = (here / "params.yaml").read_text().splitlines()
    comments = [line for line in before if line.lstrip().startswith("#")]
    assert [line for line in after if line.lstrip().startswith("#")] == comments


def test_doubtful_things_are_named(here, monkeypatch, capsys):
    pets = here / "images/pets"
    shutil.copy(pets / "red/3.jpg", pets / "green/copy.jpg")
    with Image.open(pets / "red/4.jpg") as image:
        image.save(pets / "red/lossless.png")
        image.save(pets / "green/lossless.tif")
    draw_images(pets / "more", {"red": 2})
    (pets / "more/red").rename(pets / "rare")
    (pets / "more").rmdir()
    values = np.random.default_rng(0).integers(90, 4000, (40, 40)).astype("uint16")
    Image.fromarray(values).save(pets / "red/deep.png")
    (pets / "red/page.jpg").write_text("<html>")
    (pets / "red/link.jpg").symlink_to("5.jpg")
    (pets / "notes.txt").write_text("about")
    (pets / "empty").mkdir()
    said = call(monkeypatch, capsys, "images/pets")
    for line in (
        "skipped  1 other file\n",
        "note     empty holds no image, so no class",
        "doubtful green/copy.jpg and red/3.jpg are the same image under two classes, so bo",
        "doubtful green/lossless.tif and red/4.jpg are the same image under two classes, so bo",
        "doubtful class 'rare' has only 2 images\n",
        "A RUN WOULD STOP: class 'rare' has 2 images; at least 3 are needed (1 for train, 1 for v",
        f"doubtful 1 images have 16 bits a value, with values up to {values.max()}; these are "
        "taken as of 12 bits (images.bits: auto)\n",
        "doubtful 1 image is a link, such as red/link.jpg\n",
        "doubtful 1 invalid image, such as red/page.jpg (an HTML page, not an image; fetch it",
        "A RUN WOULD STOP: params.yaml [data.max_invalid]: 6 of 67 images are invalid, more than "
        "0.05 of all: green/copy.jpg (the same image is under class 'red' as red/3.jpg); green/lo",
    ):
        assert line in said


def test_an_archive_and_a_split(here, monkeypatch, capsys):
    draw_images(here / "in/train_set", {"red": 4, "green": 5})
    draw_images(here / "in/val", {"red": 3, "green": 2}, seed=1)
    with zipfile.ZipFile(here / "pets.zip", "w") as packed:
        for path in (here / "in").rglob("*.jpg"):
            packed.write(path, path.relative_to(here))
    said = call(monkeypatch, capsys, "pets.zip")
    assert "       train  validation\ngreen      5           2\nred        4           3\n" in said
    assert "layout   in/{split}/{label}/*\n" in said
    assert "note     train_set is taken for train, val is taken for validation\n" in said
    assert list((here / "data").iterdir()) == []


def test_a_table_is_found_where_folders_tell_nothing(here, monkeypatch, capsys):
    rows = "".join(f"{number},{'odd' if number % 2 else 'even'}\n" for number in range(19))
    (here / "images/pets/red/labels.csv").write_text(f"id,kind\n{rows}")
    said = call(monkeypatch, capsys, "--use", "images/pets/red")
    assert "note     labels.csv: path from id, label from kind\n" in said
    assert "layout  " not in said  # none was used
    assert set_values(here)["data"]["labels"] == "labels.csv"


def test_a_layout_can_be_tried_and_is_put_into_params(here, monkeypatch, capsys):
    for kind in ("color", "grey"):
        draw_images(here / "images/leaves" / kind, seed=len(kind))
    with pytest.raises(UserError, match=r'which level names the classes.* set this to "color/{lab'):
        call(monkeypatch, capsys, "--use", "images/leaves")
    assert set_values(here)["data"]["source"] == "digits"
    said = call(monkeypatch, capsys, "--use", "images/leaves", "--layout", "color/{label}/*")
    assert (
        'note     59 image files do not fit "color/{label}/*", so skipped: grey/blue sky/0.jpg and '
        "22 more beside it; grey/green/0.jpg and 16 more beside it; grey/red/0.jpg and 18 more "
        in said
    )
    assert set_values(here)["data"]["layout"] == "color/{label}/*"
    params.check(params.params.read())


def test_a_digest_of_another_source_goes(here, monkeypatch, capsys):
    set_params(here / "params.yaml", {"data": {"source": "old.zip", "sha256": "0" * 64}})
    call(monkeypatch, capsys, "--use", "images/pets")
    assert set_values(here)["data"]["sha256"] is None


def test_many_classes_are_cut(here, monkeypatch, capsys):
    for number in range(25):
        draw_images(here / "images/many", {"red": 3 + (number == 7)})
        (here / "images/many/red").rename(here / f"images/many/class {number:02}")
    said = call(monkeypatch, capsys, "images/many")
    assert said.count("\nclass ") == 20
    assert "... 5 more classes ..." in said
    assert re.search(r"^class 07 +4$", said, re.M)


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (
            {"data": {"on_invalid": "fail"}},
            "params.yaml [data.on_invalid]: 1 of 60 images are invalid: red/page.jpg (an HTML page",
        ),
        ({"split": {"min_per_class": 9}}, "class 'green' has 17 images; at least 19 are needed"),
        ({"split": {"min_per_class": 8}}, None),
    ],
)
def test_where_a_run_would_stop_is_said(here, monkeypatch, capsys, settings, reason):
    (here / "images/pets/red/page.jpg").write_text("<html>")
    set_params(here / "params.yaml", settings)
    said = call(monkeypatch, capsys, "images/pets")
    assert (f"A RUN WOULD STOP: {reason}" in said) if reason else "STOP" not in said


def test_images_that_there_was_no_time_for_are_counted(here, monkeypatch, capsys):
    monkeypatch.setattr(survey, "SECONDS", -1.0)
    said = call(monkeypatch, capsys, "images/pets")
    assert "note     0 of 59 images were decoded in the time; a run decodes all\n" in said


def test_no_tensorflow_is_loaded(here):
    code = (
        "import sys; sys.argv = ['look', 'images/pets']; from tools import look; look.main()\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'openvino'} & set(sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True,
                          env={"PYTHONPATH": str(ROOT)})  # fmt: skip
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
@pytest.mark.skipif(not FLOWERS.is_file(), reason="the photos are not here")
def test_the_photo_under_two_classes_is_named(here, monkeypatch, capsys):
    said = call(monkeypatch, capsys, str(FLOWERS))
    assert "3,670 images of 5 classes" in said
    assert (
        "flower_photos/roses/15922772266_1167a06620.jpg and "
        "flower_photos/tulips/15922772266_1167a06620.jpg are the same image under two classes"
        in said
    )
    assert "image_size: 160\n" in said


def test_a_parquet_file_is_looked_at(here, monkeypatch, capsys):
    pytest.importorskip("pyarrow")
    names = ["cat", "dog"]
    shards.write_parquet(here / "pets/train-0.parquet", [0, 1] * 7, names)
    shards.write_parquet(here / "pets/test-0.parquet", [0, 1, None], names, 20)
    said = call(monkeypatch, capsys, "--use", "pets")
    assert said.startswith("pets: 16 images of 2 classes\n")
    assert "cat      7     1\ndog      7     1\n" in said
    assert "1 invalid image, such as test-0.parquet/0000002.png (no label in its shard)" in said
    assert "[data.max_invalid]: 1 of 17 images are invalid, more than 0.05" in said
    assert set_values(here)["data"]["source"] == "pets"
    assert set_values(here)["data"]["labels"] is None
