import pytest

from thaw.project.plain_text import one_line, visible

SHOWN = {
    "a\x1b[2Jb": r"a\x1b[2Jb",
    "a\x07\x08b": r"a\x07\x08b",
    "a\x9b31mb": r"a\x9b31mb",
    "a\x7fb": r"a\x7fb",
    "gnp\u202egpj.exe": r"gnp\u202egpj.exe",
    "a\u2066b\u2069": r"a\u2066b\u2069",
    "a\udcffb": r"a\udcffb",
}


@pytest.mark.parametrize("text", SHOWN)
def test_what_steers_a_terminal_or_misleads_is_an_escape(text):
    assert visible(text) == one_line(text) == SHOWN[text]


@pytest.mark.parametrize("text", ["käse 猫 🐈", "می\u200cخواهم", "a\\x1b", "👩\u200d🔬", "<b>|`"])
def test_other_letters_stay(text):
    assert visible(text) == one_line(text) == text


def test_lines():
    assert visible("a\nb\tc\rd\x85\u2028") == r"a\nb\tc\rd\x85\u2028"
    assert visible("a\nb\tc\rd", kept="\n\t") == "a\nb\tc\\rd"
    assert one_line(" a\n b\t\u2028c\r\n") == "a b c"
