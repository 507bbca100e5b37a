"""dvc.yaml against the code: deps against real imports, params against the sections read."""

import re

import pytest
import yaml

from tests.conftest import STAGES
from tests.imports import ROOT, imported, sections_read

DVC = yaml.safe_load((ROOT / "dvc.yaml").read_text())


def relative(path) -> str:
    return path.relative_to(ROOT).as_posix()


def test_stages_stand_in_pipeline_order_each_with_a_sentence():
    assert tuple(DVC["stages"]) == STAGES
    for name, stage in DVC["stages"].items():
        assert stage["cmd"] == f"python -m stages.{name}"
        assert stage["desc"].endswith(".")


@pytest.mark.parametrize("name", STAGES)
def test_deps_are_the_files_that_the_stage_imports(name):
    listed = [dep for dep in DVC["stages"][name]["deps"] if dep.startswith("stages/")]
    real = sorted(relative(path) for path in imported(ROOT / f"stages/{name}.py"))
    assert sorted(listed) == real, "list these in dvc.yaml:\n      - " + "\n      - ".join(real)


@pytest.mark.parametrize("name", STAGES)
def test_params_are_the_sections_that_the_stage_reads(name):
    read = sections_read(ROOT / f"stages/{name}.py")
    assert sorted(DVC["stages"][name]["params"]) == sorted(read - {"runtime"})


def test_no_library_file_reads_params_and_none_imports_a_stage():
    for path in (ROOT / "stages/lib").glob("*.py"):
        assert "params.load" not in path.read_text(), path
        inside = {relative(file) for file in imported(path)}
        assert all(file.startswith("stages/lib/") for file in inside), path


@pytest.mark.parametrize("name", STAGES)
def test_a_stage_imports_no_other_stage(name):
    files = {relative(path) for path in imported(ROOT / f"stages/{name}.py")}
    assert {file for file in files if not file.startswith("stages/lib/")} == {f"stages/{name}.py"}


@pytest.mark.parametrize("name", ["download", "split"])
def test_stages_without_a_network_do_not_import_tensorflow(name):
    for path in imported(ROOT / f"stages/{name}.py"):
        lines = path.read_text().splitlines()
        assert [
            line for line in lines if re.match(r"\s*(import|from) (keras|tensorflow)", line)
        ] == []


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
    assert "metrics/test.json" in kept
