import json
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from tests import hostile, shards
from tests.conftest import CLASSES, draw_images, refusal, run_stage, set_params
from tests.imports import ROOT
from tests.server import running
from thaw.data import validation
from thaw.sources import fetch


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def quarantine_all(project):
    set_params(project / "params.yaml", {"data": {"on_invalid": "quarantine", "max_invalid": 1.0}})


def test_found_is_used_and_quarantined(project, capsys):
    quarantine_all(project)
    (project / "images/red/page.jpg").write_text("<html>")
    (project / "images/red/.DS_Store").touch()
    run_stage("download")
    manifest, quarantine = (read(f"data/{name}.csv") for name in ("manifest", "quarantine"))
    assert manifest["label"].value_counts().to_dict() == CLASSES
    assert quarantine["path"].tolist() == ["red/page.jpg"]
    said = capsys.readouterr().out
    assert "60 images found = 59 used + 1 quarantined\n1 other files skipped" in said
    for path in manifest["path"]:
        copy, original = project / "data/raw" / path, project / "images" / path
        assert copy.read_bytes() == original.read_bytes()
    assert sum(path.is_file() for path in (project / "data/raw").rglob("*")) == 59
    counts = json.loads((project / "metrics/download/counts.json").read_text())
    assert counts == {
        "found": 60,
        "used": 59,
        "quarantined": 1,
        "left_out": 0,
        "relabelled": 0,
        "kept": 0,
        "skipped": 1,
        "more_frames": 0,
        "turned_by_exif": 0,
        "transparent": 0,
        "further_bands": 0,
    }
    for name in ("sizes", "quarantine"):
        with Image.open(project / f"metrics/download/{name}.png") as image:
            assert image.width > 500


def test_corrections_are_applied_and_counted(project, capsys):
    """By content: the file that the table names is another one by now. All images stay as given."""
    table = project / "images/corrections.csv"
    set_params(project / "params.yaml", {"data": {"corrections": "images/corrections.csv"}})
    run_stage("download")
    assert "images/corrections.csv is not there yet (data.corrections)" in capsys.readouterr().out
    digests = read("data/manifest.csv").set_index("path")["sha256"]
    (project / "images/red/0.jpg").rename(project / "images/red/moved.jpg")
    decisions = {
        "red/0.jpg": ",green,relabel",
        "red/1.jpg": ",,leave_out",
        "red/2.jpg": ",red,keep",
    }
    rows = [f"{path},{digests[path]}{each}" for path, each in decisions.items()]
    table.write_text("\n".join(["path,digest,label,decision", *rows, f"x,{7:064x},red,keep"]))
    before = {path: path.read_bytes() for path in (project / "images").rglob("*.*")}
    run_stage("download")
    said = capsys.readouterr().out
    assert (
        "59 images found = 58 used + 0 quarantined + 1 left out by corrections\n"
        "corrections: 1 relabelled, 1 left out, 1 kept; data/corrected.csv has the first two\n"
        "1 other files skipped: hidden, tables, notes, or not in the layout\n"
        "no image has the digest 000000000000... of the correction of x\n"
    ) in said
    assert "layout: images/{label}/*" not in said.replace("layout: {label}/*", "")
    labels = read("data/manifest.csv").set_index("path")["label"]
    assert labels["red/moved.jpg"] == "green"
    assert "red/1.jpg" not in labels
    assert not (project / "data/raw/red/1.jpg").exists()
    assert read("data/corrected.csv").to_numpy().tolist() == [
        ["red/1.jpg", "red", ""], ["red/moved.jpg", "red", "green"],
    ]  # fmt: skip
    counts = json.loads((project / "metrics/download/counts.json").read_text())
    assert [counts[key] for key in ("found", "used", "left_out", "relabelled", "kept")] == [
        59, 58, 1, 1, 1,
    ]  # fmt: skip
    assert {path: path.read_bytes() for path in before} == before
    run_stage("split")
    report = json.loads((project / "metrics/split.json").read_text())
    assert (report["images"]["found"], report["images"]["left_out"]) == (59, 1)
    assert sum(report["relabelled"].values()) == 1


def test_an_image_that_changed_while_it_was_brought_in_is_refused(project, monkeypatch):
    check_alike = validation.check_alike

    def swapped_then(*given):
        checked = check_alike(*given)
        (project / "images/red/3.jpg").write_bytes((project / "images/red/4.jpg").read_bytes())
        return checked

    monkeypatch.setattr(validation, "check_alike", swapped_then)
    line = refusal("download")
    assert line == "error: images/red/3.jpg changed after its digest was taken; run this again"
    assert not (project / "data/raw").exists()


def test_by_default_a_few_invalid_images_are_left_out_and_said(project, capsys):
    for number in range(2):
        (project / f"images/red/page{number}.jpg").write_text("<html>")
    run_stage("download")
    assert capsys.readouterr().out.endswith(
        "61 images found = 59 used + 2 quarantined\n"
        "LEFT OUT as invalid: 2 of 61 images: red/page0.jpg and 1 more (an HTML page, not an "
        "image; fetch it again)\n"
        "  data/quarantine.csv names each, metrics/download/quarantine.png shows them; "
        "data.on_invalid: fail stops at them instead\n"
    )


def test_values_of_16_bits_are_scaled_alike_and_that_is_said(project, capsys):
    random = np.random.default_rng(0)
    for number in range(7):
        values = random.integers(0, 500 * (number + 1), (40, 40)).astype("uint16")
        Image.fromarray(values).save(project / f"images/red/{number}.png")
    run_stage("download")
    largest = read("data/manifest.csv").set_index("path")["largest"]
    assert largest["red/0.jpg"] == ""
    assert 3300 < int(largest["red/6.png"]) < 3500
    assert (
        f"7 images have 16 bits a value, with values up to {largest['red/6.png']}; these are taken "
        "as of 12 bits (images.bits: auto)\n"
    ) in capsys.readouterr().out


def fail_on_invalid(project):
    set_params(project / "params.yaml", {"data": {"on_invalid": "fail"}})


def test_invalid_images_stop_and_the_first_are_named(project):
    fail_on_invalid(project)
    (project / "images/red/empty.jpg").touch()
    for number in range(5):
        (project / f"images/red/page{number}.jpg").write_text("<html>")
    line = refusal("download")
    assert line.startswith(
        "error: params.yaml [data.on_invalid]: 6 of 65 images are invalid: red/empty.jpg (empty "
        "file); red/page0.jpg and 4 more (an HTML page, not an image; fetch it again); all are in "
    )
    assert line.endswith(
        "all are in data/quarantine.csv; fix or remove them, or set this to quarantine"
    )
    assert len(read("data/quarantine.csv")) == 6
    assert not (project / "data/raw").exists()
    assert not (project / "data/manifest.csv").exists()


def test_too_many_invalid_images_stop(project):
    set_params(project / "params.yaml", {"data": {"on_invalid": "quarantine", "max_invalid": 0.05}})
    for number in range(4):
        (project / f"images/red/page{number}.jpg").write_text("<html>")
    line = refusal("download")
    assert "[data.max_invalid]: 4 of 63 images are invalid, more than 0.05 of all" in line


def test_where_no_image_is_valid_nothing_else_is_said(project):
    for path in (project / "images").rglob("*.jpg"):
        path.write_bytes(b"no image")
    assert refusal("download") == (
        "error: none of the 59 images is valid: blue sky/0.jpg and 58 more (no known image "
        "format); all are in data/quarantine.csv; fix them first"
    )


def test_a_class_without_a_valid_image_is_named(project):
    quarantine_all(project)
    for path in (project / "images/red").iterdir():
        path.write_bytes(b"no image")
    line = refusal("download")
    assert "class 'red' has no valid image left: red/0.jpg and 18 more (no known" in line
    assert line.endswith("fix them, or remove the class")


def test_the_same_image_under_two_classes_is_refused_or_quarantined(project):
    copy = (project / "images/red/3.jpg").read_bytes()
    (project / "images/green/copy.jpg").write_bytes(copy)
    fail_on_invalid(project)
    line = refusal("download")
    assert "green/copy.jpg (the same image is under class 'red' as red/3.jpg); red/3.jpg (" in line
    quarantine_all(project)
    run_stage("download")
    assert read("data/quarantine.csv")["path"].tolist() == ["green/copy.jpg", "red/3.jpg"]
    assert len(read("data/manifest.csv")) == 58


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (
            lambda root: (root / "red").rename(root / "Green"),
            "[data.source]: classes 'Green' and 'green' differ only in case, in spaces or in how",
        ),
        (
            lambda root: draw_images(root / "train"),
            "[data.layout]: 'blue sky' holds images and stands beside split folders (train); set "
            'this to "{split}/{label}/*" to leave blue sky out, or "{label}/*" if',
        ),
    ],
)
def test_a_layout_that_cannot_be_meant_is_refused(project, change, message):
    change(project / "images")
    line = refusal("download")
    assert line.startswith(f"error: params.yaml {message}")


def test_a_layout_is_taken_from_params_and_an_empty_folder_skipped_with_a_word(project, capsys):
    set_params(project / "params.yaml", {"data": {"layout": "set/{label}/now/*.jpg"}})
    draw_images(project / "images/set")
    for label in CLASSES:
        (project / "images/set" / label / "now").mkdir()
        for number in range(2):
            path = project / "images/set" / label / f"{number}.jpg"
            path.rename(path.parent / "now" / path.name)
    (project / "images/empty").mkdir()
    run_stage("download")
    assert read("data/manifest.csv")["label"].value_counts().to_dict() == dict.fromkeys(CLASSES, 2)
    said = capsys.readouterr().out
    assert "layout: set/{label}/now/*.jpg\n112 image files do not fit" in said
    assert "empty holds no image, so no class\n" in said


@pytest.mark.parametrize(
    ("layout", "message"),
    [
        ("{class}/*", "{class} is no placeholder; known are {label}, {split}, {group} and *"),
        ("{label}/{label}/*", "{label} should be there once"),
        ("folders", 'should be auto, or a template such as "{split}/{label}/*"'),
        ("{split}{label}/*", "two placeholders need a sign between them"),
        ("../{label}/*", "should begin at the source's folder"),
    ],
)
def test_a_wrong_template_is_named(project, layout, message):
    set_params(project / "params.yaml", {"data": {"layout": layout}})
    expected = f"error: params.yaml [data.layout]: {layout!r} does not fit: {message}"
    assert refusal("download") == expected


def test_groups_come_into_the_manifest(project, capsys):
    set_params(project / "params.yaml", {"data": {"labels": "groups.csv"}})
    (project / "images/groups.csv").write_text(
        "group,path\nann,red/0.jpg\n7,green/1.jpg\nx,red/invalid\n"
    )
    (project / "images/red/invalid").write_text("no image")
    quarantine_all(project)
    run_stage("download")
    groups = read("data/manifest.csv").set_index("path")["group"]
    assert groups[groups != ""].to_dict() == {"red/0.jpg": "ann", "green/1.jpg": "7"}
    assert "groups.csv: path from path, group from group\n" in capsys.readouterr().out


def test_labels_come_from_a_table(project):
    columns = {"table": "labels.csv", "label": "kind"}
    set_params(project / "params.yaml", {"data": {"labels": columns, "layout": "red/*"}})
    rows = "".join(f"{number},{'odd' if number % 2 else 'even'},x\n" for number in range(19))
    (project / "images/labels.csv").write_text(f"id,kind,more\n{rows}")
    run_stage("download")
    assert read("data/manifest.csv")["label"].value_counts().to_dict() == {"even": 10, "odd": 9}
    further = read("data/columns.csv")
    assert list(further) == ["path", "more"]
    assert sorted(further["path"]) == sorted(read("data/manifest.csv")["path"])


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        ("no.csv", "[data.labels]: 'no.csv' is not in the source (it has no tables); give its"),
        ({"tabel": "x.csv"}, "[data.labels.tabel]: unknown key; did you mean table?"),
        ({"path": "x"}, "[data.labels.table]: this key is missing"),
        (
            3,
            "[data.labels]: 3 does not fit: should be null, the name of a table, or table: and",
        ),
        (
            {"table": "x.csv", "label": 2},
            "[data.labels.label]: 2 does not fit: should be the name "
            "of a column, in quotes where it is a number",
        ),
        ({"table": "x.csv", "label": []}, "[data.labels.label]: [] does not fit: should be the"),
        ({"table": "x.csv", "label": ["a", 2]}, "[data.labels.label]: ['a', 2] does not fit: "),
        ({"table": "x.csv", "split": True}, "[data.labels.split]: True does not fit: should be"),
    ],
)
def test_a_wrong_table_of_labels_is_named(project, labels, message):
    set_params(project / "params.yaml", {"data": {"labels": labels}})
    assert refusal("download").startswith(f"error: params.yaml {message}")


def test_a_download_is_kept_until_the_stage_has_ended_well(project, monkeypatch):
    monkeypatch.setattr(fetch, "PAUSE", 0.001)
    (project / "images/red/page.jpg").write_text("<html>")
    subprocess.run([sys.executable, "-m", "zipfile", "-c", "x.zip", "images/"], check=True)
    with running() as server:
        server.files["/x.zip"] = (project / "x.zip").read_bytes()
        set_params(project / "params.yaml", {"data": {"source": f"{server.url}/x.zip"}})
        fail_on_invalid(project)
        assert "1 of 60 images are invalid" in refusal("download")
        quarantine_all(project)
        run_stage("download")
        assert server.count("/x.zip") == 2
    assert sorted(path.name for path in (project / "data").iterdir()) == [
        "columns.csv",
        "corrected.csv",
        "manifest.csv",
        "quarantine.csv",
        "raw",
    ]


def test_a_full_disk_is_one_line(project, monkeypatch):
    def no_room(*_):
        raise OSError(28, "No space left on device", "data/partial-raw")

    monkeypatch.setattr("shutil.copyfile", no_room)
    line = refusal("download")
    assert line == (
        "error: [Errno 28] No space left on device: 'data/partial-raw'; check the path, its "
        "permissions and the free space"
    )
    assert not (project / "data/raw").exists()


def test_as_its_user_reads_it(project):
    """In a process of its own: one line on stderr, exit code 1."""
    set_params(project / "params.yaml", {"data": {"source": "no/such/place"}})
    done = subprocess.run(
        [sys.executable, "-m", "stages.download"], capture_output=True, text=True,
        env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr.count("\n") == 1
    assert done.stderr.startswith("error: params.yaml [data.source]: 'no/such/place' is no known")


def test_twice_gives_the_same_bytes(project):
    outputs = []
    for _ in range(2):
        run_stage("download")
        paths = ["data/manifest.csv", "metrics/download/sizes.png", "metrics/download/counts.json"]
        outputs.append([(project / path).read_bytes() for path in paths])
    assert outputs[0] == outputs[1]


WHOLE = [
    hostile.coded(hostile.image(), "JPEG"),
    hostile.coded(hostile.image(), "PNG"),
    hostile.coded(hostile.image(), "GIF"),
    hostile.coded(hostile.image(), "WEBP"),
    hostile.coded(hostile.image(), "BMP"),
    hostile.moving("GIF"),
    hostile.turned(),
]


@st.composite
def mutated(draw) -> bytes:
    """A real file with bytes flipped, its end cut off, or a piece of another file put in."""
    data = bytearray(draw(st.sampled_from(WHOLE)))
    place = st.integers(0, len(data) - 1)
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["flip", "cut", "splice"]))
        at = min(draw(place), len(data) - 1)
        if kind == "flip":
            data[at] ^= draw(st.integers(1, 255))
        elif kind == "cut":
            del data[max(at, 1) :]
        else:
            other = draw(st.sampled_from(WHOLE))
            start = draw(st.integers(0, len(other) - 1))
            data[at:at] = other[start : start + draw(st.integers(1, 200))]
    return bytes(data)


@pytest.mark.parametrize(
    "examples", [pytest.param(2, id="some"), pytest.param(25, id="many", marks=pytest.mark.slow)]
)
def test_mutated_files_are_all_counted(tmp_path_factory, examples):
    """Each example runs the stage on a hundred of them; `many` are two and a half thousand."""

    @settings(
        max_examples=examples, deadline=None, suppress_health_check=list(HealthCheck), database=None
    )
    @given(st.lists(mutated(), min_size=100, max_size=100))
    def counted(files):
        count_mutated(tmp_path_factory.mktemp("mutated"), files)

    counted()


def count_mutated(folder, files: list[bytes]) -> None:
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    set_params(folder / "params.yaml", {"data": {"source": "images"}})
    quarantine_all(folder)
    draw_images(folder / "images", {"red": 2, "green": 2})
    for number, content in enumerate(files):
        (folder / f"images/red/mutated{number}").write_bytes(content)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stage("download")
    used, invalid = read(folder / "data/manifest.csv"), read(folder / "data/quarantine.csv")
    paths = sorted([*used["path"], *invalid["path"]])
    assert paths == sorted(
        path.relative_to(folder / "images").as_posix()
        for path in (folder / "images").rglob("*")
        if path.is_file()
    )
    assert len(paths) == 104


def test_images_and_a_class_that_are_links_into_a_cache_are_used(project, capsys):
    cache = project / "cache"
    cache.mkdir()
    for number, path in enumerate(sorted((project / "images/red").iterdir())):
        path.rename(cache / f"{number:032x}")
        path.symlink_to(cache / f"{number:032x}")
    (project / "images/green").rename(project / "elsewhere")
    (project / "images/green").symlink_to("../elsewhere")
    run_stage("download")
    assert "59 images found = 59 used + 0 quarantined" in capsys.readouterr().out
    for path in (project / "data/raw").rglob("*"):
        assert not path.is_symlink()
    assert read("data/manifest.csv")["label"].value_counts().to_dict() == CLASSES


def test_transparency_is_said(project, capsys):
    Image.effect_noise((48, 40), 90).convert("RGBA").save(project / "images/red/infrared.tif")
    run_stage("download")
    said = "1 have a band that their files call transparency; images.background shows through there"
    assert f"\n{said}\n" in capsys.readouterr().out


def test_a_folder_of_outputs_on_another_disk_is_refused_before_anything_is_fetched(project):
    """DVC says only after the stage that data/raw is outside of the repository."""
    (project / "disk").mkdir()
    (project / "data").symlink_to("disk")
    assert "error: data is a link, and DVC keeps no outputs beyond one; let only" in refusal(
        "download"
    )
    assert list((project / "disk").iterdir()) == []


def test_a_home_that_cannot_be_written_costs_nothing(project):
    """As on a cluster's nodes and in containers: Matplotlib and our notes have no cache."""
    (project / "home").touch()
    bare = {"HOME": str(project / "home"), "PATH": "/usr/bin:/bin", "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-m", "stages.download"]
    done = subprocess.run(command, env=bare, capture_output=True, encoding="utf-8")
    assert done.returncode == 0, done.stderr
    assert "59 images found = 59 used" in done.stdout


def test_the_images_of_shards_are_used_or_quarantined(project, capsys):
    quarantine_all(project)
    set_params(project / "params.yaml", {"data": {"source": "images/shards"}})
    names = ["cat", "=dog (ü), 'x'", "cat", "cat"]
    for split, first in (("train", 0), ("val", 10)):
        members = shards.samples(names, first) | {f"{first + 5:03}.png": shards.image(first + 5)}
        members |= {f"{first + 6:03}.png": b"no image", f"{first + 6:03}.cls": "cat"}
        shards.write_tar(project / f"images/shards/pets-{split}-0.tar", members)
    run_stage("download")
    manifest, quarantine = (read(f"data/{name}.csv") for name in ("manifest", "quarantine"))
    assert manifest.loc[:, "path":"given_split"].to_numpy().tolist() == [
        [f"pets-{split}-0.tar/{first + number:03}.png", label, given]
        for split, given, first in (("train", "train", 0), ("val", "validation", 10))
        for number, label in enumerate(names)
    ]  # fmt: skip
    assert quarantine[["path", "label"]].to_numpy().tolist() == [
        ["pets-train-0.tar/005.png", ""], ["pets-train-0.tar/006.png", "cat"],
        ["pets-val-0.tar/015.png", ""], ["pets-val-0.tar/016.png", "cat"],
    ]  # fmt: skip
    assert quarantine["reason"][0] == "no label in its shard"
    said = capsys.readouterr().out
    assert "12 images found = 8 used + 4 quarantined" in said
    assert "labels are those of the samples in shards (.cls)" in said
    assert (project / "data/raw/pets-val-0.tar/010.png").read_bytes() == shards.image(10)
    set_params(project / "params.yaml", {"data": {"max_invalid": 0.3}})
    assert "4 of 12 images are invalid, more than 0.3 of all" in refusal("download")
