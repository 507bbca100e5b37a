import re
from html import unescape

import pandas as pd
import pytest
from markdown_it import MarkdownIt

from thaw.export import markdown

NASTY = [
    "a|b",
    "*x*_[1].jpg",
    "<b>&amp;",
    "`q",
    "``",
    "[l](m)",
    "back\\|slash\\",
    "~~1~~ $2$",
    "# h",
]


def shown(text: str, tag: str) -> list[str]:
    """Return what a reader sees in each such element."""
    page = MarkdownIt("commonmark").enable(["table", "strikethrough"]).render(text)
    assert not re.search("<(em|strong|a|s|h1|b)>", page)
    return [unescape(found) for found in re.findall(f"<{tag}[^>]*>(.*?)</{tag}>", page, re.S)]


@pytest.mark.parametrize("text", NASTY)
def test_text_is_shown_as_it_is(text):
    assert shown(markdown.plain(text), "p") == [text]
    assert shown(markdown.code(text), "code") == [text]
    rows = pd.DataFrame([(markdown.plain(text), 1)], columns=["name", "count"])
    assert shown(markdown.table(rows), "td") == [text, "1"]


def test_code_in_a_table():
    for text in ("a|b", "*x*_[1]", "@someone", "<b>&amp;"):
        rows = pd.DataFrame([(markdown.code_cell(text), 1)], columns=["name", "count"])
        assert shown(markdown.table(rows), "td") == [f"<code>{text}</code>", "1"]


def test_lines_become_one():
    assert markdown.plain("a\nb  c") == "a b c"
    assert markdown.code("a\n b") == "`a b`"
    assert markdown.code("") == ""
