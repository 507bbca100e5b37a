"""The pipeline as DVC runs it, in a Git repository of its own, on a handful of images."""

import json
import re
import shutil
import subprocess
from contextlib import chdir
from pathlib import Path

import networkx
import pytest
import vl_convert
from dvc.repo import Repo
from playwright.sync_api import expect
from ruamel.yaml import YAML

from tests import browser
from tests.conftest import STAGES, set_params
from tests.imports import ROOT
from tests.repository import call, make_repository
from thaw.project import files


def reruns() -> dict[str, set[str]]:
    """Return what docs/internals.md says that a change of each section reruns."""
    table = (
        (ROOT / "docs/internals.md")
        .read_text()
        .split("| a change of | reruns |")[1]
        .split("\n\n")[0]
    )
    rows = [line.strip("| ").split(" | ") for line in table.splitlines()[2:]]
    return {
        section: set(re.findall(r"\w+", stages)) & set(STAGES)
        for sections, stages in rows
        for section in re.findall(r"`(\w+)`", sections)
    }


RERUNS = reruns()


@pytest.fixture(scope="module")
def committed(finished_run, tmp_path_factory) -> Path:
    """A repository with the outputs of a run, of which DVC is told that they are up to date."""
    folder = make_repository(tmp_path_factory.mktemp("committed"))
    for name in ("data", "models", "metrics"):
        shutil.copytree(finished_run / name, folder / name, dirs_exist_ok=True)
    with chdir(folder), Repo() as repo:
        repo.commit(force=True)
    return folder


@pytest.fixture(scope="module")
def repository(tmp_path_factory) -> Path:
    """A repository after one `dvc repro`, with a name in it that is hard to write down."""
    folder = make_repository(tmp_path_factory.mktemp("repository"))
    (folder / "images/red/3.jpg").rename(folder / "images/red/new\nline, 猫.jpg")
    call("dvc", "repro", cwd=folder)
    return folder


def stale(folder: Path) -> set[str]:
    """Return the stages that DVC calls changed, and all that come after one of them."""
    with Repo(str(folder)) as repo:
        changed = {name.split(":")[-1] for name in repo.status()}
        graph = networkx.relabel_nodes(repo.index.graph, lambda stage: stage.name)
    return changed.union(*(networkx.ancestors(graph, name) for name in changed))


@pytest.mark.slow
def test_a_second_repro_runs_nothing(repository):
    said = call("dvc", "repro", cwd=repository)
    assert "Running stage" not in said
    assert said.count("didn't change, skipping") == 11
    assert stale(repository) == set()


@pytest.mark.slow
def test_outputs_are_there_and_metrics_go_to_git(repository):
    added = call("git", "status", "--porcelain", "--untracked-files=all", cwd=repository)
    added = {line[3:] for line in added.splitlines()}
    assert {"dvc.lock", "metrics/test.json", "metrics/evaluate/confusion.csv"} <= added
    assert not any(path.endswith((".png", ".npy", ".h5", ".jpg")) for path in added)
    shown = json.loads(call("dvc", "metrics", "show", "--json", cwd=repository))[""]["data"]
    assert set(shown) == {
        "metrics/scores.json",
        "metrics/train_head/metrics.json",
        "metrics/fine_tune/metrics.json",
    }


@pytest.mark.slow
def test_changes_of_ones_own_images_are_noticed(tmp_path):
    """As they are, under `dvc add`, and under `dvc import-url`."""
    folder = make_repository(tmp_path / "repository")
    own, elsewhere = folder / "images", tmp_path / "elsewhere"
    for path in list(own.iterdir()):
        path.rename(elsewhere.parent / path.name)
    elsewhere.mkdir()
    for label in ("green", "red"):
        shutil.move(tmp_path / label, elsewhere)
    shutil.copytree(elsewhere, own / "mine")
    set_params(folder / "params.yaml", {"data": {"source": "images/mine"}})

    def download() -> str:
        said = call("dvc", "repro", "download", cwd=folder)
        assert "didn't change, skipping" in call("dvc", "repro", "download", cwd=folder)
        return said

    assert "36 images found" in download()
    (own / "mine/red/0.jpg").unlink()
    assert "35 images found" in download()
    digest = files.sha256(own / "mine/red/2.jpg")
    correction = f"path,digest,label,decision\nred/2.jpg,{digest},,leave_out\n"
    set_params(folder / "params.yaml", {"data": {"corrections": "images/corrections.csv"}})
    download()
    (own / "corrections.csv").write_text(correction)
    assert "35 images found = 34 used + 0 quarantined + 1 left out" in download()
    (own / "corrections.csv").unlink()
    download()
    call("dvc", "add", "images/mine", cwd=folder)
    download()
    (own / "mine/red/1.jpg").unlink()
    assert "34 images found" in download()
    set_params(folder / "params.yaml", {"data": {"source": "images/imported"}})
    call("dvc", "import-url", str(elsewhere), "images/imported", cwd=folder)
    assert "36 images found" in download()
    (elsewhere / "green/0.jpg").unlink()
    call("dvc", "update", "images/imported.dvc", cwd=folder)
    assert "35 images found" in download()
    ignored = call("git", "status", "--porcelain", "--untracked-files=all", "images", cwd=folder)
    assert {line[3:] for line in ignored.splitlines() if line.startswith("?")} <= {
        "images/mine.dvc",
        "images/imported.dvc",
        "images/.gitignore",
    }


PLOTS = 6  # of tables, in dvc.yaml
MARKS = ".mark-line path, .mark-symbol path, .mark-rect path"


def look_at_plots(place: str, name: str) -> tuple[list[str], list[bool]]:
    """Open what DVC has drawn; return where its images lie, and whether each plot has marks.

    The page loads Vega from its publisher; here it gets what vl-convert has of it instead.
    """
    scripts = [vl_convert.javascript_bundle(vl_version="5.21")]
    with browser.chromium() as started:
        page = started.new_page(viewport={"width": 1200, "height": 800})
        page.route(
            re.compile("^http"),
            lambda route: route.fulfill(
                content_type="text/javascript", body=scripts.pop() if scripts else ""
            ),
        )
        page.goto(place)
        expect(page.locator("svg.marks")).to_have_count(PLOTS, timeout=60_000)
        for image in page.locator("img").all():
            expect(image).not_to_have_js_property("naturalWidth", 0)
        page.screenshot(path=browser.SCREENSHOTS / f"{name}.png", full_page=True)
        sources = [image.get_attribute("src") for image in page.locator("img").all()]
        drawn = page.locator("svg.marks").all()
        return sources, [each.locator(MARKS).count() > 0 for each in drawn]


@pytest.mark.slow
def test_plots_are_seen_in_a_browser(repository, tmp_path):
    drawn = call("dvc", "plots", "show", "--out", "dvc_plots", cwd=repository).strip()
    sources, marks = look_at_plots(drawn, "plots_show")
    names = {path.name for path in (repository / "metrics").rglob("*.png")}
    assert len(names) == 18
    assert len(sources) == 18
    assert all(any(source.endswith(name) for source in sources) for name in names)
    assert marks == [True] * PLOTS

    copy = tmp_path / "copy"
    shutil.copytree(repository, copy, symlinks=True)
    call("git", "add", "--all", cwd=copy)
    call("git", "commit", "--quiet", "--message", "run", cwd=copy)
    roc = copy / "metrics/evaluate/roc.csv"
    roc.write_text("false_positive_rate,true_positive_rate\n0.0,0.0\n0.5,0.5\n1.0,1.0\n")
    drawn = call("dvc", "plots", "diff", "HEAD", "--out", "dvc_plots", cwd=copy).strip()
    sources, marks = look_at_plots(drawn, "plots_diff")
    assert len(sources) == 2 * len(names)
    assert marks == [True] * PLOTS


@pytest.mark.parametrize("section", RERUNS)
def test_what_a_change_reruns(committed, section):
    """Of any key, as dvc.yaml has whole sections among a stage's params."""
    before = (committed / "params.yaml").read_text()
    key, value = next(iter(YAML(typ="safe", pure=True).load(before)[section].items()))
    changed = f"{value}-changed" if isinstance(value, str) else [value, "changed"]
    set_params(committed / "params.yaml", {section: {key: changed}})
    try:
        assert stale(committed) == RERUNS[section], f"{section}.{key}"
    finally:
        (committed / "params.yaml").write_text(before)


def test_every_section_is_in_the_table():
    params = YAML(typ="safe", pure=True).load((ROOT / "params.yaml").read_text())
    assert list(params) == list(RERUNS)


@pytest.mark.slow
def test_another_fit_splits_nothing_anew(repository, tmp_path):
    """download reads all of `images`, and leaves the same as before."""
    copy = tmp_path / "copy"
    shutil.copytree(repository, copy, symlinks=True)
    set_params(copy / "params.yaml", {"images": {"fit": "crop"}})
    said = call("dvc", "repro", "split", cwd=copy)
    assert "Running stage 'download'" in said
    assert "Stage 'split' didn't change, skipping" in said
    assert "extract" in stale(copy)
    assert "split" not in stale(copy)


@pytest.mark.slow
def test_an_experiment_reruns_only_what_it_affects(repository):
    said = call("dvc", "exp", "run", "-S", "export.min_accuracy=0.01", cwd=repository)
    assert "Running stage 'export'" in said
    assert "Running stage 'evaluate'" not in said


def test_a_wrong_param_stops_its_stage_with_one_line(committed):
    before = (committed / "params.yaml").read_text()
    set_params(committed / "params.yaml", {"split": {"seed": "high"}})
    done = subprocess.run(["dvc", "repro", "split"], cwd=committed, capture_output=True, text=True)
    (committed / "params.yaml").write_text(before)
    assert done.returncode != 0
    lines = done.stderr.splitlines()
    assert "error: params.yaml [split.seed]: 'high' does not fit:" in done.stderr
    assert not any("Traceback" in line for line in lines)
