"""What README.md and docs/ name: links, pages, commands and make targets."""

import re
import shlex
import shutil

import pytest
from dvc.exceptions import DvcException
from dvc.utils.hydra import apply_overrides, get_hydra_sweeps

from tests.imports import ROOT
from thaw.project import params

PAGES = ["README.md", "CONTRIBUTING.md", "images/README.md"]
PAGES += sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md"))
FOLDERS = ("benchmarks", "ci", "recipes", "stages", "thaw", "tools")  # whose texts name pages


def without_code(text: str) -> str:
    return re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)


def anchors(text: str) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)", without_code(text), re.M)
    return {re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings}


@pytest.mark.parametrize("page", PAGES)
def test_every_link_leads_somewhere(page):
    text = (ROOT / page).read_text()
    links = re.findall(r"\]\(([^)\s]+)\)", without_code(text))
    for link in links:
        assert "://" not in link, "an address may go; name what it is of"
        path, _, anchor = link.partition("#")
        target = (ROOT / page).parent / path if path else ROOT / page
        assert target.exists(), link
        if anchor:
            assert anchor in anchors(target.read_text()), link


@pytest.mark.parametrize("page", PAGES)
def test_every_command_exists(page):
    text = (ROOT / page).read_text()
    for folder, name in re.findall(r"python -m (tools|benchmarks|stages)\.(\w+)", text):
        if name != "NAME":
            assert (ROOT / folder / f"{name}.py").is_file(), name
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.M))
    assert set(re.findall(r"(?:^|`)make ([a-z]+)", text, re.M)) <= targets


@pytest.mark.parametrize("page", PAGES)
def test_every_file_and_key_that_is_named_exists(page):
    text = without_code((ROOT / page).read_text())
    named = re.findall(r"`((?:docs|stages|tests|thaw|tools|benchmarks)/[\w./]+)`", text)
    assert [path for path in named if "NAME" not in path and not (ROOT / path).exists()] == []
    known = set(re.findall(r"^\| `([\w.]+)`", (ROOT / "docs/params.md").read_text(), re.M))
    sections = {key.split(".")[0] for key in known}
    keys = set(re.findall(r"`([a-z_]+\.(?!png)[a-z_.]+)[:=`]", text))
    assert {key for key in keys if key.split(".")[0] in sections} <= known


def set_by_dvc(folder, *overrides: str) -> dict:
    """Return params.yaml as `dvc exp run -S` sets it. Raises what DVC raises."""
    shutil.copy(ROOT / "params.yaml", folder)
    apply_overrides(folder / "params.yaml", list(overrides))
    return params.read(folder / "params.yaml")


def test_what_is_said_of_quotes_for_dvc_is_so(tmp_path):
    text = (ROOT / "docs/data.md").read_text()
    commands = re.findall(r"^dvc exp run (-S .*)$", text, re.M)
    given = [each for command in commands for each in shlex.split(command) if each != "-S"]
    values = [set_by_dvc(tmp_path, each)["data"] for each in given]
    sources = [each["source"] for each in values if each["source"] != "digits"]
    assert sources == ["images/Zoë, cats & dogs (2024)", "images/Tom's pets"]
    assert {"table": "meta.csv", "label": "2"} in [each["labels"] for each in values]
    signs = re.search(r"the signs\s+`([^`]+)`", text)[1].split()
    assert len(signs) == 13
    for name in (*(f"a{sign}b" for sign in signs), "Zoë", "猫"):
        with pytest.raises(DvcException):
            set_by_dvc(tmp_path, f"data.source={name}")
    for name in (
        *(f"a{sign}b" for sign in signs),
        "2024",
        "1e3",
        "null",
        "true",
        "a,b",
        "~/x",
        "猫",
    ):
        assert set_by_dvc(tmp_path, f'data.source="{name}"')["data"]["source"] == name
    for name in ("2024", "1e3", "null", "true"):
        assert not isinstance(set_by_dvc(tmp_path, f"data.source={name}")["data"]["source"], str)
    both = get_hydra_sweeps({"params.yaml": ["data.source=a,b"]})
    assert [each["params.yaml"] for each in both] == [["data.source=a"], ["data.source=b"]]


def test_every_page_that_the_code_names_exists():
    files = [ROOT / name for name in ("params.yaml", "dvc.yaml", "report.yaml", *PAGES)]
    for folder in FOLDERS:
        files += [path for path in (ROOT / folder).rglob("*") if path.suffix in (".py", ".yaml")]
    for file in files:
        named = re.findall(r"\bdocs/[\w-]+\.\w+", file.read_text())
        assert [path for path in named if not (ROOT / path).is_file()] == [], file


def test_every_page_is_linked_from_the_readme_or_a_page_of_it():
    linked = {
        path for page in PAGES for path in re.findall(r"([\w-]+\.md)", (ROOT / page).read_text())
    }
    assert {page.split("/")[-1] for page in PAGES} <= linked


def test_each_promise_names_tests_that_are_there():
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", (ROOT / "docs/PROMISES.md").read_text())
    assert len(named) > 30
    for file, test in named:
        assert f"def {test}" in (ROOT / file).read_text(encoding="utf-8"), (file, test)
