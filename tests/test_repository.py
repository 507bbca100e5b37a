"""What must hold for the repository as a whole."""

import importlib.metadata
import re
import subprocess
import sys

import pytest
from packaging.specifiers import SpecifierSet

from tests.imports import ROOT

# written in two parts, so that this file does not find itself
HOSTS = "|".join(["pypi" + r"\.org", "python" + "hosted", "npmjs" + r"\.org", "--index" + "-url"])
PLACES = "|".join([r"(^|[^\w.])/(root|home|work|Users)" + "/", r"\bC:" + r"\\\\"])


def grep(pattern: str) -> str:
    command = ["git", "grep", "-nIP", pattern, "--", ".", ":!tests/data/test_archive.py"]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True).stdout


def test_no_registry_and_no_place_of_one_machine_is_named():
    assert grep(HOSTS) == ""
    assert grep(PLACES) == ""


@pytest.mark.parametrize("name", sorted(each.stem for each in ROOT.glob("requirements*.in")))
def test_every_requirement_is_pinned_with_hashes(name):
    text = (ROOT / f"{name}.txt").read_text()
    pins = re.findall(
        r"^([a-z0-9._-]+)==\S+(?: ;.*)? \\\n    --hash=sha256:[0-9a-f]{64}", text, re.M
    )
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.M)) > 5
    wanted = re.findall(r"^([a-z][a-z0-9.-]*)", (ROOT / f"{name}.in").read_text(), re.M)
    assert {each.replace(".", "-") for each in wanted} <= set(pins)


def test_the_development_requirements_repeat_the_same_pins():
    def pins(name):
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(), re.M))

    for each in ROOT.glob("requirements*.txt"):
        assert pins(each.name) <= pins("requirements-dev.txt")


def test_every_installed_package_is_for_this_python():
    """uv installs what pip refuses: it overlooks a `Requires-Python` that ends below this one."""
    wanted = {
        each.name: each.metadata.get("Requires-Python") or ""
        for each in importlib.metadata.distributions()
    }
    this = ".".join(map(str, sys.version_info[:3]))
    refused = {name: text for name, text in wanted.items() if this not in SpecifierSet(text)}
    assert len(wanted) > 100
    assert refused == {}


def test_no_large_file_is_in_git():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
    assert {name: size for name, size in sizes.items() if size > 500_000} == {}
