import pytest

from tests.imports import ROOT
from tools import param_docs

TEXT = """# what it is all about

first:
  # How many, at least 1;
  # more are better.
  count: 3
  # A section in it.
  inner:
    # True or not.
    flag: true

# of the second
second:
  # Its name.
  name: x
"""


def test_the_page_is_current():
    page = param_docs.page((ROOT / "params.yaml").read_text())
    assert page == (ROOT / "docs/params.md").read_text(), "run `python -m tools.param_docs`"


def test_comments_belong_to_the_key_below_them():
    assert param_docs.comments(TEXT) == {
        "first": "",
        "first.count": "How many, at least 1; more are better.",
        "first.inner": "A section in it.",
        "first.inner.flag": "True or not.",
        "second": "of the second",
        "second.name": "Its name.",
    }


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        ({"type": "boolean"}, "`true`, `false`"),
        ({"type": "integer", "minimum": 1}, "whole number at least 1"),
        (
            {"anyOf": [{"type": "number", "exclusiveMinimum": 0, "maximum": 1}, {"type": "null"}]},
            "number > 0, at most 1 or `null`",
        ),
        ({"enum": ["a", "b"], "type": "string"}, "`a`, `b`"),
        ({"type": "array", "items": {"type": "integer"}}, "list, each whole number"),
        ({"type": "object", "additionalProperties": {"type": "number"}}, "names, each number"),
    ],
)
def test_what_is_allowed_in_words(schema, words):
    assert param_docs.allowed(schema) == words
