"""What the files beside an image say of its label: 0017.cls, 0017.json or 0017.txt."""

import json
from pathlib import Path
from typing import NamedTuple

from thaw.project.errors import UserError
from thaw.sources.settings import USUAL_LABELS

KEY = "data.labels"
LONGEST = 1000  # bytes of a label
LARGEST = 1 << 20  # bytes of a JSON file


class Label(NamedTuple):
    """An image's label, or why it has none."""

    text: str
    fault: str = ""


NONE = Label("", "no label in its shard")


def of_text(path: Path) -> Label:
    """Read a file that holds a label alone: the name or the number of a class."""
    content = _read(path, LONGEST)
    try:
        text = content.decode().strip()
    except UnicodeDecodeError:
        return Label("", f"{path.name} beside it is not UTF-8")
    if len(content) > LONGEST or len(text.splitlines()) > 1:
        return Label("", f"{path.name} beside it is no label but a longer text")
    return Label(text) if text else NONE


def of_json(path: Path, wanted: str | None) -> Label:
    """Read the value of the key `wanted`, else of the one that is usual for labels.

    Raises UserError where several are usual and differ.
    """
    content = _read(path, LARGEST)
    try:
        said = json.loads(content)
    except (ValueError, RecursionError):
        return Label("", f"{path.name} beside it is no JSON")
    said = said if isinstance(said, dict) else {}
    keys = [wanted] if wanted else [key for key in said if key.lower() in USUAL_LABELS]
    values = {key: _text(said.get(key)) for key in keys}
    values = {key: value for key, value in values.items() if value}
    if len(set(values.values())) > 1:
        raise UserError(
            f"{path.name}: which key has the label ({', '.join(values)})?", KEY,
            f'name it: {{table: "*.tar", label: {next(iter(values))}}}',
        )  # fmt: skip
    text = next(iter(values.values()), "")
    if len(text.encode(errors="replace")) > LONGEST or len(text.splitlines()) > 1:
        return Label("", f"{path.name} beside it has no label but a longer text")
    return Label(text) if text else NONE


def agreed(label: Label, other: Path, wanted: str | None) -> Label:
    """Return the label of a .cls, or why not: the JSON `other` has another number."""
    said = of_json(other, wanted)
    if label.text.isdecimal() and said.text.isdecimal() and int(label.text) != int(said.text):
        return Label("", f"two labels: {label.text} in .cls and {said.text} in .json beside it")
    return label


def _read(path: Path, most: int) -> bytes:
    """Read what the longest label, and hence no image's caption or film, takes."""
    with open(path, "rb") as file:
        return file.read(most + 1)


def _text(value: object) -> str:
    """Return a value that may name a class as text, "" for all other."""
    is_label = isinstance(value, str | int) and not isinstance(value, bool)
    return str(value).strip() if is_label and value != -1 else ""
