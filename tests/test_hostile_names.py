"""Names that would steer a terminal, forge Markdown or HTML, or be computed by a spreadsheet.

Each output of a run and of the tools is looked at: none of the names may be more than text in it.
"""

import csv
import io
import json
import re
import subprocess
import sys
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from markdown_it import MarkdownIt

from tests import tiny
from tests.conftest import STAGES, TINY, draw_images, refusal, run_stage, set_params
from tests.imports import ROOT
from thaw.labels import layout_doubts
from thaw.project import cli
from thaw.project.errors import UserError
from thaw.project.plain_text import UNSEEN
from tools import label_next, look, run_page, summary
from tools.serving import app, rows
from tools.serving.batch_predict import Prediction

CLASSES = {  # folders, so without slashes
    "<img src=x onerror=alert(1)>": 19,
    "|a`b`` [c](javascript:alert) ![d](x.png) @someone": 17,
    "=HYPERLINK(A1;B1)": 18,
}
FILES = [
    "\x1b[2J\x1b]0;owned\x07.jpg",
    "new\nerror: forged.jpg",
    "\u202egpj.exe",
    "\x9b31m.jpg",
    'a|b,"c";<b>&amp;.jpg',
]


@pytest.fixture(scope="module")
def said(tmp_path_factory):
    """The folder of a run on such names, and what each stage printed."""
    folder = tmp_path_factory.mktemp("names")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        for name in ("params.yaml", "dvc.yaml"):
            Path(name).write_text((ROOT / name).read_text())
        set_params(Path("params.yaml"), TINY | {"data": {"source": "images", "max_invalid": 1.0}})
        colours = dict.fromkeys(CLASSES, (120, 130, 140))
        with patch.context() as drawing:
            drawing.setattr("tests.conftest.COLOURS", colours)
            draw_images(Path("images"), CLASSES)
        for number, name in enumerate(FILES):
            path = Path("images", list(CLASSES)[number % 3])
            (path / f"{number}.jpg").rename(path / name)
            (path / f"invalid {name}").write_bytes(b"no image")
        printed = {}
        for name in STAGES:
            stream = io.StringIO()
            with patch.context() as shown:
                shown.setattr(sys, "stdout", stream)
                shown.setattr(cli.stage_run, "name", lambda: "one")
                shown.setattr(cli.stage_run, "alone", cli.nullcontext)
                shown.setattr(cli.timings, "record", lambda: None)
                cli.run(lambda name=name: run_stage(name))
            printed[name] = stream.getvalue()
        yield folder, printed


@pytest.fixture
def run(said, monkeypatch):
    folder, printed = said
    monkeypatch.chdir(folder)
    tiny.register()
    return printed


class Seen(HTMLParser):
    """Which tags a page has, with their attributes."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict]] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append((tag, dict(attrs)))


def check_page(page: str) -> None:
    tags = Seen(page).tags
    assert not {"a", "script", "iframe", "object"} & {tag for tag, _ in tags}
    for _, attributes in tags:
        assert not [name for name in attributes if name.startswith("on")]
        assert attributes.get("src", "data:").startswith("data:")
    assert not UNSEEN.search(page.replace("\n", ""))


def check_terminal(text: str) -> None:
    assert not UNSEEN.search(text.replace("\n", "").replace("\t", ""))
    assert not [line for line in text.splitlines() if line.startswith(("error", "forged"))]


@pytest.mark.slow
def test_stages_print_no_name_as_more_than_text(run):
    for text in run.values():
        check_terminal(text)
    assert r"\x1b[2J\x1b]0;owned\x07.jpg" in run["download"]
    assert "'=HYPERLINK(A1;B1)' begins as a formula does" in run["download"]


@pytest.mark.slow
def test_tools_print_no_name_as_more_than_text(run, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["look", "images"])
    look.main()
    summary.main()
    text = capsys.readouterr().out
    check_terminal(text)
    assert "doubtful" in text


@pytest.mark.slow
def test_pages_have_no_tag_or_link_of_a_name(run):
    found = run_page.run_revision
    revision = found.Revision("<b>`|", None, Path(), {})
    check_page(run_page.html.page(run_page.compose(revision), Path()))
    card = app.card()
    assert "&lt;img src=x onerror=alert(1)&gt;" in card
    check_page(card)


@pytest.mark.slow
def test_markdown_mentions_and_links_nothing(run):
    text = Path("models/export/MODEL_CARD.md").read_text()
    html = MarkdownIt("commonmark").enable(["table"]).render(text)  # HTML is obeyed here
    assert not {"img", "a", "b"} & {tag for tag, _ in Seen(html).tags}
    outside_code = re.sub(r"<code>.*?</code>|<pre>.*?</pre>", "", html, flags=re.S)
    assert "@someone" not in outside_code
    assert len({row.count("|") for row in rows_of(text, "class")}) == 1


def rows_of(text: str, column: str) -> list[str]:
    """Return the rows of a Markdown table, without escaped bars."""
    lines = text.replace("\\|", "").splitlines()
    start = next(number for number, line in enumerate(lines) if line.startswith(f"| {column} "))
    return [line for line in lines[start : start + len(CLASSES) + 2]]


@pytest.mark.slow
def test_tables_and_json_give_the_names_back(run):
    for path in Path().rglob("*.json"):
        json.loads(path.read_text())
    paths = [path for path in Path().rglob("*.csv") if "plots" not in path.parts]
    tables = {path.name: pd.read_csv(path, dtype=str, keep_default_na=False) for path in paths}
    assert sorted(tables["recall.csv"]["class"]) == sorted(CLASSES)
    for table in ("manifest.csv", "quarantine.csv"):
        names = {Path(path).name.removeprefix("invalid ") for path in tables[table]["path"]}
        assert names >= set(FILES)
    assert json.loads(Path("models/export/labels.json").read_text()) == sorted(CLASSES)


@pytest.mark.slow
def test_no_name_ends_a_script_of_dvc(run):
    for path in Path("metrics").rglob("plots/*.csv"):
        assert "<" not in path.read_text()


def test_a_class_that_steers_a_terminal_is_refused(project):
    Path("images/red").rename(Path("images", "\x1b[2J"))
    line = refusal("download")
    assert r"class '\x1b[2J' has control characters in its name; rename it" in line


@pytest.mark.parametrize("name", ["\x07", "\x9b", "\u202e", "\n", "\u2028", "\t", "\u2066", "\x7f"])
def test_so_is_one_of_any_such_letter(name):
    with pytest.raises(UserError, match="has control characters in its name") as error:
        layout_doubts.check_names({"cat", f"do{name}g"})
    assert not UNSEEN.search(str(error.value))


@pytest.mark.parametrize("name", ["=1+1.jpg", "+1.jpg", "-x.jpg", "@SUM(A1).jpg", "\t=1.jpg"])
def test_a_path_is_no_formula_in_the_tables_of_tools(name):
    found = [Prediction(name, np.array([0.25, 0.75]), None), Prediction("dir/=1.jpg", None, "no")]
    text = "".join(rows.as_csv(found, rows.Notes(["a", "b"]), 1, []))
    cells = [row[0] for row in csv.reader(io.StringIO(text))]
    assert cells == ["path", f"./{name}", "dir/=1.jpg"]
    chosen = Prediction(name, np.array([0.25, 0.75]), None)
    assert label_next.table([chosen], ["a", "b"])["path"].tolist() == [f"./{name}"]


def test_numbers_are_no_formulas():
    assert layout_doubts.of_formulas(["-1", "+1", "1", "-0.5", "a=b", "x-y"]) == []
    [said] = layout_doubts.of_formulas(["-1+2", "=x"])
    assert said.startswith("'-1+2' and '=x' begin as formulas do")


TERMINAL = """
import os, pty, sys
def main():
    print("cat/\\x1b]0;owned\\x07\\x9b.jpg\\u202e", "a\\tb")
from thaw.project.cli import run
run(main)
"""


def test_a_terminal_gets_escapes_and_a_pipe_what_was_written():
    import os
    import pty

    command = [sys.executable, "-c", TERMINAL]
    env = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "utf-8"}
    reading, writing = pty.openpty()
    subprocess.run(command, stdout=writing, env=env, check=True)
    seen = os.read(reading, 1000).decode()
    os.close(writing)
    os.close(reading)
    assert seen == "cat/\\x1b]0;owned\\x07\\x9b.jpg\\u202e a\tb\r\n"
    piped = subprocess.run(command, stdout=subprocess.PIPE, env=env, check=True).stdout
    assert piped.decode() == "cat/\x1b]0;owned\x07\x9b.jpg\u202e a\tb\n"
