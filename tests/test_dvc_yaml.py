"""dvc.yaml against the code: deps against real imports, params against the sections read."""

import re
import subprocess
import sys

import pytest
import yaml

from tests.conftest import STAGES
from tests.imports import ROOT, imported, sections_read

WITHOUT_TENSORFLOW = (
    "download", "split", "backbone", "extract", "augment", "calibrate", "evaluate"
)  # fmt: skip
DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())


def relative(path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_stages_stand_in_pipeline_order_each_with_a_sentence():
    assert tuple(DVC["stages"]) == STAGES
    for name, stage in DVC["stages"].items():
        assert stage["cmd"] == f"python -m stages.{name}"
        assert stage["desc"].endswith(".")


@pytest.mark.parametrize("name", STAGES)
def test_deps_hold_the_files_that_the_stage_imports_and_nothing_unused(name):
    listed = {dep for dep in DVC["stages"][name]["deps"] if dep.startswith(("stages/", "thaw/"))}
    real = {relative(path) for path in imported(ROOT / f"stages/{name}.py")}
    holds = {
        dep: {path for path in real if path == dep or path.startswith(f"{dep}/")} for dep in listed
    }
    assert real - set().union(*holds.values()) == set(), "list these in dvc.yaml"
    assert [dep for dep, used in holds.items() if not used] == [], "take these out of dvc.yaml"


@pytest.mark.parametrize("name", STAGES)
def test_a_package_stands_where_most_of_it_is_used(name):
    real = {relative(path) for path in imported(ROOT / f"stages/{name}.py")}
    for dep in DVC["stages"][name]["deps"]:
        if dep.startswith("thaw/") and not dep.endswith(".py"):
            inside = {relative(path) for path in (ROOT / dep).glob("[!_]*.py")}
            assert len(inside & real) > len(inside) / 2, dep


@pytest.mark.parametrize("name", STAGES)
def test_params_are_the_sections_that_the_stage_reads(name):
    read = sections_read(ROOT / f"stages/{name}.py")
    assert sorted(DVC["stages"][name]["params"]) == sorted(read - {"runtime"})


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_the_library_and_no_other_stage(name):
    files = {relative(path) for path in imported(ROOT / f"stages/{name}.py")}
    assert {file for file in files if not file.startswith("thaw/")} == {f"stages/{name}.py"}


@pytest.mark.parametrize("name", ["download", "split"])
def test_stages_without_a_network_do_not_import_tensorflow(name):
    for path in imported(ROOT / f"stages/{name}.py"):
        lines = path.read_text().splitlines()
        assert [
            line for line in lines if re.match(r"\s*(import|from) (keras|tensorflow)", line)
        ] == []


def test_stages_load_no_tensorflow_before_they_need_it():
    stages = ", ".join(f"stages.{name}" for name in WITHOUT_TENSORFLOW)
    code = f"import sys, {stages}\nassert not {{'tensorflow', 'keras'}} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def test_metrics_are_kept_in_git():
    kept = {
        path: options
        for stage in DVC["stages"].values()
        for out in [*stage["outs"], *stage.get("metrics", [])]
        if isinstance(out, dict)
        for path, options in out.items()
    }
    assert all(options == {"cache": False} for options in kept.values())
    assert all(path.startswith("metrics/") for path in kept)
    assert {"metrics/test.json", "metrics/scores.json"} <= kept.keys()


def test_images_are_known_by_the_manifest_that_has_their_digests():
    """DVC would look at each file of data/raw for each stage that names it."""
    for name, stage in DVC["stages"].items():
        assert ("data/raw" in stage["outs"]) == (name == "download")
        assert "data/raw" not in stage["deps"]
        reads = "data/raw/" in (ROOT / f"stages/{name}.py").read_text().partition("Writes")[0]
        assert not reads or "data/manifest.csv" in stage["deps"], name
