"""The Makefile's set-up, with stand-ins for python and uv that only write down their calls."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.imports import ROOT

RECORD = """#!/bin/sh
echo "$(basename "$0") $*" >> calls
case "$*" in *version_info*) echo 1 ;; esac
case "$*" in *venv*) mkdir -p .venv/bin; cp "$0" .venv/bin/python ;; esac
"""


@pytest.fixture
def make(tmp_path):
    """Return a function that runs make in a folder of its own and returns the calls it made."""
    project = tmp_path / "with space"
    (project / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", project)
    for file in ROOT.glob("requirements*.txt"):
        (project / file.name).touch()

    def run(target: str, *programs: str) -> list[str]:
        for name in programs:
            (project / "bin" / name).write_text(RECORD)
            (project / "bin" / name).chmod(0o755)
        (project / "calls").write_text("")
        path = f"{project / 'bin'}:/usr/bin:/bin"
        done = subprocess.run(
            ["make", target], cwd=project, env={"PATH": path}, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr
        calls = (project / "calls").read_text().splitlines()
        return [call for call in calls if "version_info" not in call]

    return run


def test_pip_where_there_is_no_uv_and_nothing_twice(make):
    if Path("/usr/bin/uv").exists() or not os.access("/usr/bin/make", os.X_OK):
        pytest.skip("the system's own uv cannot be hidden here")
    calls = make(".venv/dev", "python3")
    assert calls[0] == "python3 -m venv .venv"
    assert [call.split()[-1] for call in calls[1:]] == ["requirements.txt", "requirements-dev.txt"]
    assert all(call.startswith("python -m pip install") for call in calls[1:])
    assert all("--require-hashes" in call for call in calls[1:])
    assert make(".venv/dev") == []


def test_the_page_s_requirements_are_installed_when_it_is_asked_for(make):
    calls = make("serve", "python3", "uv")
    installed = [call.split()[-1] for call in calls if "pip install" in call]
    assert installed == ["requirements.txt", "requirements-serve.txt"]
    assert calls[-1] == "python -m tools.serve"
    assert make("serve") == ["python -m tools.serve"]


def test_uv_where_it_is_installed_and_into_this_venv_only(make):
    calls = make(".venv/run", "python3", "uv")
    assert calls[0].startswith("uv venv")
    assert calls[1].startswith("uv pip install")
    assert "--python .venv/bin/python" in calls[1]
    assert "--require-hashes" in calls[1]
    assert make(".venv/run") == []


def test_what_is_optional_comes_on_top(make):
    calls = make("extras", "python3", "uv")
    assert [call.split()[-1] for call in calls[1:]] == [
        "requirements.txt",
        "requirements-search.txt",
        "requirements-export.txt",
    ]
    assert all("--require-hashes" in call for call in calls[1:])
    assert make("extras") == []


def test_fonts_come_on_top(make):
    calls = make("fonts", "python3", "uv")
    assert [call.split()[-1] for call in calls[1:]] == [
        "requirements.txt",
        "requirements-fonts.txt",
    ]
