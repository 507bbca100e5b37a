"""The packages of thaw/ and tools/, and the arrows between them."""

import ast
import re
import subprocess
import sys
from graphlib import TopologicalSorter

import pytest

from tests.imports import ROOT, direct

# What each package may import; every arrow points to a package above its own.
ARROWS = {
    "project": set(),
    "images": {"project"},
    "sources": {"project", "images"},
    "labels": {"project", "images", "sources"},
    "data": {"project", "images", "sources", "labels"},
    "models": {"project", "sources"},
    "features": {"project", "images", "models"},
    "training": {"project", "images", "data", "models", "features"},
    "evaluation": {"project", "images", "data"},
    "calibration": {"project", "images", "models", "features", "evaluation"},
    "figures": {"project", "images", "data", "training", "calibration", "evaluation"},
    "export": {"project", "images", "data", "models", "evaluation"},
}
FILES = sorted(
    path for folder in ("thaw", "stages", "tools") for path in (ROOT / folder).rglob("*.py")
)
LIBRARY = [path for path in FILES if path.is_relative_to(ROOT / "thaw/")]
SETTINGS = [path for path in LIBRARY if path.name == "settings.py"]


def package(path) -> str:
    return path.relative_to(ROOT / "thaw").parts[0]


def test_arrows_between_packages_point_one_way():
    found = {name: set() for name in ARROWS}
    for path in LIBRARY:
        if path.parent == ROOT / "thaw":
            continue
        inside = [each for each in direct(path) if each.name != "__init__.py"]
        assert all(each.is_relative_to(ROOT / "thaw") for each in inside), path
        found[package(path)] |= {package(each) for each in inside} - {package(path)}
    for name, allowed in ARROWS.items():
        assert found[name] - allowed == set(), name


def test_no_modules_import_one_another():
    graph = {path: direct(path) for path in FILES}
    assert len(list(TopologicalSorter(graph).static_order())) >= len(FILES)


def test_the_library_reads_no_params():
    for path in LIBRARY:
        assert "params.load" not in path.read_text().replace("def load", ""), path


@pytest.mark.parametrize("path", LIBRARY, ids=lambda path: path.relative_to(ROOT).as_posix())
def test_a_module_says_what_it_knows(path):
    said = ast.get_docstring(ast.parse(path.read_text()))
    assert said.endswith((".", '"'))
    if path.name == "__init__.py":  # and nothing else, so that no stage depends on it
        assert len(ast.parse(path.read_text()).body) == 1


def test_params_are_checked_without_tensorflow():
    code = (
        "import sys; from tools import params; params.main()\n"
        "assert not {'tensorflow', 'keras', 'matplotlib', 'openvino'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True, capture_output=True)


def is_of_text(call: ast.Call) -> bool:
    """Whether a call reads or writes a file as text; `.open()` by its mode."""
    name = ast.unparse(call.func).split(".")[-1]
    given = [each.value for each in call.args if isinstance(each, ast.Constant)]
    modes = [each for each in given if re.fullmatch(r"[rwaxt+]+", str(each))]
    return name in ("read_text", "write_text") or (name == "open" and modes != [])


def test_text_is_read_and_written_as_utf_8_by_name():
    """By default it is in the encoding of the machine's locale."""
    calls = [
        node
        for path in (*FILES, *(ROOT / "benchmarks").glob("*.py"))
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Call)
    ]
    opened = [each for each in calls if is_of_text(each)]
    named = {each: {argument.arg for argument in each.keywords} for each in calls}
    assert len(opened) > 30
    assert [ast.unparse(each) for each in opened if "encoding" not in named[each]] == []
    texts = [ast.unparse(each) for each in calls if "text" in named[each]]
    assert [each for each in texts if each.startswith("subprocess")] == []


@pytest.mark.parametrize("page", ["README.md", "thaw/export/card_use.py"])
def test_text_is_utf_8_in_what_others_copy(page):
    opened = re.findall(r"\bjson.load\((.*)\)", (ROOT / page).read_text(encoding="utf-8"))
    assert [each for each in opened if 'encoding="utf-8"' not in each] == []
    assert len(opened) == 1


def test_no_function_takes_more_than_six_parameters():
    longer = [
        f"{path.name}: {node.name}"
        for path in FILES
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef)
        and len([*node.args.args, *node.args.kwonlyargs, *node.args.posonlyargs])
        - (node.args.args[:1] != [] and node.args.args[0].arg == "self")
        > 6
    ]
    assert longer == []
