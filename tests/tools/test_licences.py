from tests.imports import ROOT
from thaw.models.registry import NETWORKS
from tools import licences

TEXT = """\
numpy==2.4.6 ; python_full_version < '3.12' \\
    --hash=sha256:00
numpy==2.5.5 ; python_full_version >= '3.12' \\
    --hash=sha256:00
no-such-package==7 \\
    --hash=sha256:00
"""


def test_the_page_has_all_that_is_pinned_and_nothing_else():
    texts = [(ROOT / f"requirements{part}.txt").read_text() for part in licences.PARTS]
    wanted = {name: ", ".join(versions) for name, versions in licences.pins(texts).items()}
    lines = (ROOT / licences.DOCS).read_text().split("## Packages")[1].splitlines()
    cells = [[cell.strip() for cell in line.split("|")[1:3]] for line in lines if "|" in line]
    assert dict(cells[2:]) == wanted, "run `python -m tools.licences`"
    assert len(wanted) > 150


def test_the_page_names_the_weights_that_packages_bring():
    page = (ROOT / licences.DOCS).read_text()
    brought = [name for name in NETWORKS if name.startswith("EfficientNetLite")]
    assert sum(f"The weights of {name} come from" in page for name in brought) == 3


def test_versions_for_several_pythons_are_one_row_and_unknown_ones_say_so():
    rows = licences.page([TEXT]).split("## Packages")[1].splitlines()
    assert [[cell.strip() for cell in row.split("|")[1:4]] for row in rows if "2.4.6" in row] == [
        ["numpy", "2.4.6, 2.5.5", licences.licence("numpy")]
    ]
    assert "BSD-3-Clause" in licences.licence("numpy")
    assert licences.licence("cleanlab").startswith("Apache License Version 2.0")  # of its text
    assert any("no-such-package" in row and "not named here" in row for row in rows)
