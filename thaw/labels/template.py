"""A template such as {split}/{label}/*, and what it reads in a path."""

import re
from collections.abc import Iterable
from pathlib import PurePosixPath

from thaw.labels.split_words import split_of

TOKENS = re.compile(r"(\{\w*\}|\*)")
PLACEHOLDERS = ("{label}", "{split}", "{group}")


class Template:
    """A pattern over a path: {label}, {split}, {group} and * for any text within one folder's name.

    A last part that is * alone also takes all folders below. {split} takes only names with a word
    for a split in them (split_words).
    """

    def __init__(self, template: str) -> None:
        self.template = template
        parts = [part for part in template.split("/") if part not in ("", ".")]
        self.most = _compiled(parts, "")
        self.least = _compiled(parts, "?")

    def match(self, place: PurePosixPath) -> tuple[str, str, str] | None:
        """Return label, split and group ("" for what the template has not), None without a fit."""
        return _read(self.most, place)

    def other_readings(self, places: Iterable[PurePosixPath]) -> list[str]:
        """Say where {label} might as well take less text than it does."""
        if self.most.pattern == self.least.pattern or "{label}" not in self.template:
            return []
        for place in places:
            most, least = _read(self.most, place), _read(self.least, place)
            if most and least and most[0] != least[0]:
                return [
                    f"{place} is of class {most[0]!r} and not {least[0]!r}, since "
                    "{label} takes as much as it can"
                ]
        return []


def _read(pattern: re.Pattern, place: PurePosixPath) -> tuple[str, str, str] | None:
    match = pattern.fullmatch(place.as_posix())
    if not match:
        return None
    values = match.groupdict()
    if "split" in values and not split_of(values["split"]):
        return None
    given = split_of(values.get("split", ""))
    return values.get("label", ""), given, values.get("group", "")


def _compiled(parts: list[str], lazy: str) -> re.Pattern:
    return re.compile("/".join(_pattern(part, lazy) for part in _deep(parts)), re.DOTALL)


def _deep(parts: list[str]) -> list[str]:
    return [*parts[:-1], "**"] if parts[-1:] == ["*"] else parts


def _pattern(part: str, lazy: str) -> str:
    if part == "**":
        return ".+"
    pieces = []
    for token in TOKENS.split(part):
        if token == "*":
            pieces.append(f"[^/]*{lazy}" if part != "*" else "[^/]+")
        elif token in PLACEHOLDERS:
            pieces.append(f"(?P<{token[1:-1]}>[^/]+{lazy if part != token else ''})")
        else:
            pieces.append(re.escape(token))
    return "".join(pieces)
