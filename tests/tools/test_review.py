"""The review as a person does it: started by its command, decided by keys, applied by stages."""

import json
import sys

import numpy as np
import pandas as pd
import pytest
from playwright.sync_api import expect

from tests.browser import SCREENSHOTS, chromium
from tests.conftest import run_stage
from tests.tools.serving.test_app import answering
from thaw.data import manifest
from thaw.project import paths
from thaw.project.errors import UserError
from tools import review, summary
from tools.reviewing import app
from tools.reviewing.ranking import Finding
from tools.reviewing.review import load

SOON = {"timeout": 60_000}  # milliseconds at most, on a busy machine


@pytest.fixture
def extracted(split_images):
    """A project whose images are split, with features by which two labels are wrong."""
    rows = manifest.read(paths.MANIFEST)
    classes = manifest.class_indices(rows)
    random = np.random.default_rng(0)
    features = random.normal(size=(3, 64))[classes] + 0.3 * random.normal(size=(len(rows), 64))
    split = manifest.read_split(paths.SPLIT, rows)
    for part in ("train", "test"):
        wrong = np.flatnonzero((split == part) & (rows["label"] == "red"))[1]
        features[wrong] = features[(rows["label"] == "green").to_numpy().nonzero()[0][0]]
    paths.FEATURES.mkdir()
    np.save(paths.FEATURES / "avg.npy", features.astype("float32"))
    return rows.assign(split=split)


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["review", *arguments])
    review.main()


def test_the_order_is_printed_and_written_without_test_images(extracted, monkeypatch, capsys):
    called(monkeypatch, "--list")
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("   1  red/")
    assert "red: label in doubt: red " in lines[1]
    assert lines[-1].endswith("decided in images/corrections.csv")
    called(monkeypatch, "--list", "order.csv")
    order = pd.read_csv("order.csv", keep_default_na=False)
    first = order.iloc[0]
    assert (first["label"], first["suggested"], first["decision"]) == ("red", "green", "")
    assert set(order["split"]) <= {"train", "validation"}
    called(monkeypatch, "--list", "order.csv", "--with-test", "--count", "2")
    order = pd.read_csv("order.csv")
    assert len(order) == 2
    assert set(order["split"]) == {"train", "test"}


def test_what_is_missing_is_one_line(project, monkeypatch):
    with pytest.raises(UserError, match=r"manifest.csv is missing; run `dvc repro`"):
        called(monkeypatch, "--list")
    monkeypatch.setitem(sys.modules, "cleanlab", None)
    with pytest.raises(UserError, match=r"needs cleanlab: install requirements-review.txt, or say"):
        called(monkeypatch, "--list")


@pytest.mark.slow
def test_decisions_by_keys_are_applied_and_counted(extracted):
    """A class may be called anything, and the page shows it as text."""
    found = load(with_test=False, count=1)
    others = found.rows.index[(found.rows["label"] == "green")][:3]
    findings = [*found.findings, *(Finding(row, ["dark"], "", -1) for row in others)]
    hostile = "<img src=x onerror=alert()>"
    shown = found._replace(findings=findings, classes=[*found.classes, hostile])
    with answering(app.build(shown, ["127.0.0.1"])) as address, chromium() as started:
        page = started.new_page(viewport={"width": 1280, "height": 800})
        errors = []
        page.on("pageerror", lambda error: errors.append(error))
        page.on("console", lambda said: errors.append(said.text))
        page.goto(address)
        title = page.locator("h2")
        expect(title).to_have_text("1 of 4: red", **SOON)
        expect(page.locator(".choice span")).to_have_text(["blue sky", "green", "red", hostile])
        expect(page.locator(".image img")).not_to_have_js_property("naturalWidth", 0, **SOON)
        page.screenshot(path=SCREENSHOTS / "review.png")
        page.keyboard.press("g")
        expect(page.locator(".choice span")).to_have_text(["green"], **SOON)
        page.keyboard.press("Enter")  # which takes the first of them
        expect(title).to_contain_text("2 of 4", **SOON)
        page.keyboard.press("Delete")
        expect(title).to_contain_text("3 of 4", **SOON)
        page.keyboard.press("1")
        expect(title).to_contain_text("4 of 4", **SOON)
        page.keyboard.press("Backspace")  # takes the third one back
        expect(title).to_contain_text("3 of 4", **SOON)
        page.keyboard.press("Enter")
        page.get_by_role("button", name="next").click()
        expect(page.locator("#end")).to_contain_text("3 of 4 are decided", **SOON)
        page.reload()
        expect(title).to_contain_text("4 of 4", **SOON)  # the first that is not decided
        page.set_viewport_size({"width": 400, "height": 800})
        expect(page.locator("html")).to_have_js_property("scrollWidth", 400)
        assert errors == []
    rows = found.rows.iloc[[each.row for each in findings]]
    table = pd.read_csv("images/corrections.csv", keep_default_na=False)
    assert table["digest"].tolist() == rows["sha256"].tolist()[:3]
    assert table["decision"].tolist() == ["relabel", "leave_out", "keep"]
    run_stage("download")
    run_stage("split")
    after = manifest.read(paths.MANIFEST).set_index("path")["label"]
    first, second = rows["path"].tolist()[:2]
    assert after[first] == "green"
    assert second not in after
    counts = json.loads((paths.DOWNLOAD_REPORT / "counts.json").read_text())
    assert [counts[key] for key in ("relabelled", "left_out", "kept")] == [1, 1, 1]
    assert summary.corrected() == "other labels: 1 train; 1 left out (data/corrected.csv)"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("classes", "keys", "labels"),
    [
        (["ant", "cat", "dog"], "cat|1d1", ["cat", "ant", "dog"]),
        (
            [f"class{n}" for n in range(12)],
            "class1|1class11|class|",
            ["class1", "class11", "class0"],
        ),
        (["00014", "1"], "1|0|1|", ["1", "00014", "1"]),
        (["0", "1", "a"], "1a0", ["1", "a", "0"]),
    ],
)
def test_a_typed_name_waits_for_enter(extracted, classes, keys, labels):
    """What is typed of it goes to its image alone, and digits are part of a name.

    keys: with | for Enter. Only 1a0, of names that are keys, and numbers where no name has one
    decide at once.
    """
    found = load(with_test=False, count=1)
    findings = [Finding(row, ["dark"], "", -1) for row in (0, 1, 2)]
    shown = found._replace(findings=findings, classes=classes)
    with answering(app.build(shown, ["127.0.0.1"])) as address, chromium() as started:
        page = started.new_page()
        page.goto(address)
        expect(page.locator("h2")).to_contain_text("1 of 3", **SOON)
        for key in keys:
            page.keyboard.press("Enter" if key == "|" else key)
        expect(page.locator("#end")).to_contain_text("3 of 3 are decided", **SOON)
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        page.keyboard.press("ArrowLeft")
        expect(page.locator("h2")).to_contain_text("1 of 3", **SOON)
        page.keyboard.press("Backspace")  # there is none before
        page.keyboard.press("ArrowRight")
        expect(page.locator("h2")).to_contain_text("2 of 3", **SOON)
    table = pd.read_csv("images/corrections.csv", dtype=str, keep_default_na=False)
    assert table["label"].tolist() == labels
