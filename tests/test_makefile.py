"""The Makefile's set-up, with stand-ins for python and uv that only write down their calls."""

import json
import os
import re
import shutil
import subprocess
import sysconfig
import venv
from pathlib import Path

import pytest

from tests.imports import ROOT

PATH_FILE = ROOT / "ci/environment.pth"
RECORD = """#!/bin/sh
echo "$(basename "$0") $*" >> calls
case "$*" in *version_info*) echo 1 ;; esac
packages=.venv/lib/python3.11/site-packages
case "$*" in *venv*) mkdir -p .venv/bin $packages; cp "$0" .venv/bin/python ;; esac
"""


@pytest.fixture
def make(tmp_path):
    """Return a function that runs make in a folder of its own and returns the calls it made."""
    project = tmp_path / "with space"
    (project / "bin").mkdir(parents=True)
    shutil.copy(ROOT / "Makefile", project)
    (project / "ci").mkdir()
    shutil.copy(PATH_FILE, project / "ci")
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
    calls = make("review", "python3", "uv")
    assert [call.split()[-1] for call in calls] == ["requirements-review.txt", "tools.review"]


def test_uv_where_it_is_installed_and_into_this_venv_only(make):
    calls = make(".venv/run", "python3", "uv")
    assert calls[0].startswith("uv venv")
    assert calls[1].startswith("uv pip install")
    assert "--python .venv/bin/python" in calls[1]
    assert "--require-hashes" in calls[1]
    assert make(".venv/run") == []


def test_a_system_without_tensorflow_is_told_so_before_anything_is_installed(make, tmp_path):
    for system in ("Linux x86_64", "Darwin x86_64", "Linux armv7l"):
        uname = tmp_path / "with space/bin/uname"
        uname.parent.mkdir(exist_ok=True)
        uname.write_text(f"#!/bin/sh\necho {system}\n")
        uname.chmod(0o755)
        shutil.rmtree(tmp_path / "with space/.venv", ignore_errors=True)
        if system == "Linux x86_64":
            assert len(make(".venv/run", "python3", "uv")) == 2
            continue
        with pytest.raises(AssertionError, match="has no wheel of TensorFlow; README"):
            make(".venv/run", "python3", "uv")


def test_no_line_relies_on_an_exported_path():
    """GNU make 3.81, which macOS has, looks for a simple line's program on its own PATH."""
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert re.findall(r"^export", text, re.M) == []
    programs = re.findall(r"^\t@?(?:\w+=\w+ )?(\S+)", text, re.M)
    system = {"sed", "rm", "find", "echo", "cp", "touch"}
    ours = [name for name in programs if name not in system and name[0] not in "$-'"]
    assert len(ours) > 9
    assert [name for name in ours if not name.startswith((".venv/bin/", "partial-"))] == []
    newer = r"\.ONESHELL|\.SHELLFLAGS|\$\(file |!=|&:|undefine|private |\.RECIPEPREFIX|::="
    assert re.findall(newer, text) == []


def test_dvc_finds_the_environment_s_python_with_nothing_activated(tmp_path):
    """As from cron: no PATH worth the name, no HOME, no LANG; and without Git."""
    project = tmp_path / "Äpfel und 苹果 (1)"
    venv.create(project / ".venv", with_pip=False)
    [packages] = (project / ".venv/lib").glob("python3*/site-packages")
    (packages / "installed.pth").write_text(sysconfig.get_path("purelib"), encoding="utf-8")
    shutil.copy(PATH_FILE, packages)
    said = "import sys; open('prefix', 'w', encoding='utf-8').write(sys.prefix)"
    stages = {"say": {"cmd": f'python -c "{said}"', "outs": ["prefix"]}}
    (project / "dvc.yaml").write_text(json.dumps({"stages": stages}), encoding="utf-8")
    (project / ".dvc").mkdir()
    (project / ".dvc/config").write_text("[core]\n\tno_scm = true\n", encoding="utf-8")
    command = [project / ".venv/bin/python", "-m", "dvc", "repro"]
    bare = {"PATH": "/usr/bin:/bin", "DVC_SITE_CACHE_DIR": str(tmp_path / "site")}
    done = subprocess.run(command, cwd=project, env=bare, capture_output=True)
    assert done.returncode == 0, done.stderr
    assert (project / "prefix").read_text(encoding="utf-8") == str(project / ".venv")


def test_what_is_optional_comes_on_top(make):
    calls = make("extras", "python3", "uv")
    assert [call.split()[-1] for call in calls[1:]] == [
        "requirements.txt",
        "requirements-search.txt",
        "requirements-export.txt",
    ]
    assert all("--require-hashes" in call for call in calls[1:])
    assert make("extras") == []


@pytest.mark.parametrize("name", ["fonts", "gpu", "ray"])
def test_fonts_ray_and_libraries_of_a_gpu_come_on_top(make, name):
    calls = make(name, "python3", "uv")
    assert [call.split()[-1] for call in calls[1:]] == [
        "requirements.txt",
        f"requirements-{name}.txt",
    ]
