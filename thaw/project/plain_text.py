"""Text that people and programs bring, shown so that it changes nothing around it."""

import re

# Control characters, separators of lines and paragraphs, marks that turn the direction of what
# follows, and bytes that are no UTF-8. Terminals obey some of these, others mislead a reader.
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str, kept: str = "") -> str:
    """Return text with what is UNSEEN as escapes, such as \\x1b, but for the characters `kept`."""
    return UNSEEN.sub(lambda found: found[0] if found[0] in kept else _escape(found[0]), text)


def one_line(text: object) -> str:
    """Return text on one line, with a space for each run of spaces and ends of lines."""
    return visible(" ".join(str(text).split()))


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
