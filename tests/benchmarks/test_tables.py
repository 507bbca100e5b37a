import json

import pytest

from benchmarks import tables
from tests.imports import ROOT
from thaw.project.errors import UserError

MEASURED = {
    "command": "python -m benchmarks.audit photos.zip",
    "commit": "abc1234",
    "processor": "Fast 3000, AVX2",
    "cores": 3,
    "rounds": 5,
    "results": {
        "ours": {"seconds": 2.0, "images_per_second": 17.4, "ratio": 1.0},
        "theirs": {"seconds": 3.0, "images_per_second": 11.6, "ratio": 1.5},
    },
}


def test_the_page_is_what_the_json_files_say():
    page = (ROOT / tables.PAGE).read_text()
    assert tables.page(page, ROOT / "benchmarks") == page, "run `python -m benchmarks.tables`"


def test_every_json_file_has_a_table():
    assert sorted(tables.TABLES) == sorted(path.stem for path in ROOT.glob("benchmarks/*.json"))


def test_a_table_says_where_it_is_from(tmp_path):
    (tmp_path / "audit.json").write_text(json.dumps(MEASURED))
    origin, _, _, _, *rows = tables.block("audit", tmp_path).splitlines()
    assert origin == (
        "`python -m benchmarks.audit photos.zip` "
        "(commit abc1234; Fast 3000, AVX2; 3 cores; medians of 5 rounds):"
    )
    assert [row.replace(" ", "") for row in rows] == ["|ours|17|1.00|", "|theirs|12|1.50|"]


def test_what_is_not_known_is_not_invented():
    unknown = {**MEASURED, "commit": None, "processor": None, "cores": None}
    assert "(an earlier commit; processor not noted; medians" in tables.origin(unknown)


def test_a_page_without_a_mark_is_refused():
    page = (ROOT / tables.PAGE).read_text().replace("<!-- /growth -->", "")
    with pytest.raises(UserError, match="growth"):
        tables.page(page, ROOT / "benchmarks")
