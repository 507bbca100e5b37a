"""The section `data` of params.yaml: where images come from, and what labels them."""

import os
import re
from pathlib import Path, PurePosixPath
from typing import Annotated, Literal

from pydantic import AfterValidator, BeforeValidator, Field

from thaw.project.params import Digest, Section


def _check_outside(source: str) -> str:
    outputs = [Path(name).resolve() for name in ("data", "models", "metrics")]
    place = Path(os.path.expanduser(source)).resolve()
    if "://" not in source and any(place.is_relative_to(out) for out in outputs):
        raise ValueError("should lie outside of data/, models/ and metrics/, which DVC replaces")
    return source


def _check_template(layout: str) -> str:
    """Refuse a template of paths that thaw/labels/layout.py cannot read."""
    tokens, known = re.findall(r"\{.*?\}", layout), ("{label}", "{split}", "{group}")
    for token in tokens:
        if token not in known:
            raise ValueError(f"{token} is no placeholder; known are {', '.join(known)} and *")
        if tokens.count(token) > 1:
            raise ValueError(f"{token} should be there once")
    if layout != "auto" and not tokens and "*" not in layout:
        raise ValueError('should be auto, or a template such as "{split}/{label}/*"')
    if "}{" in layout:
        raise ValueError("two placeholders need a sign between them")
    if layout.startswith("/") or ".." in layout.split("/"):
        raise ValueError("should begin at the source's folder")
    return layout


# usual names of a column of labels, in small letters
USUAL_LABELS = {"label", "labels", "class", "category", "target", "breed", "species", "diagnosis"}


class ArchiveLimits(Section):
    """What an archive may grow to, so that a small one cannot fill the disk."""

    max_gigabytes: Annotated[float, Field(gt=0)]
    max_ratio: Annotated[float, Field(gt=1)]
    max_members: Annotated[int, Field(gt=0)]


def _table_alone(labels: object) -> object:
    """Let the name of a table stand for it with columns that are found by themselves."""
    if labels is not None and not isinstance(labels, str | dict):
        raise ValueError("should be null, the name of a table, or table: and what columns it has")
    return {"table": labels} if isinstance(labels, str) else labels


def _check_column(name: object) -> object:
    if name is not None and (not isinstance(name, str) or not name):
        raise ValueError("should be the name of a column, in quotes where it is a number")
    return name


def _check_columns(names: object) -> object:
    several = names if isinstance(names, list) and names and None not in names else [names]
    for name in several:
        _check_column(name)
    return names


Column = Annotated[str | None, BeforeValidator(_check_column)]  # None: found by itself


def _check_choice(name: object) -> object:
    return name if name == "" else _check_column(name)


Choice = Annotated[str | None, BeforeValidator(_check_choice)]  # "" for no column


class Labels(Section):
    """A table in the source, and the names of its columns where they cannot be told by themselves.

    label: several columns where each is of one class (one-hot). split, group: "" for none.
    """

    table: Annotated[str, Field(min_length=1)]
    path: Column = None
    label: Annotated[str | list[str] | None, BeforeValidator(_check_columns)] = None
    split: Choice = None
    group: Choice = None


def _check_watched(corrections: str | None) -> str | None:
    """Refuse a file that DVC would not notice a change of."""
    parts = PurePosixPath(corrections or "images/corrections.csv").parts
    if parts[:1] != ("images",) or ".." in parts or not parts[-1].endswith(".csv"):
        raise ValueError("should be a .csv in images/, which DVC watches, or null")
    return corrections


class Data(Section):
    """Where the images come from, and what to do with invalid or mislabelled ones."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_check_outside)]
    sha256: Digest | None
    layout: Annotated[str, AfterValidator(_check_template)]
    labels: Annotated[Labels | None, BeforeValidator(_table_alone)]
    corrections: Annotated[str | None, AfterValidator(_check_watched)]
    on_invalid: Literal["fail", "quarantine"]
    max_invalid: Annotated[float, Field(ge=0, le=1)]
    min_side: Annotated[int, Field(ge=1)]
    max_megapixels: Annotated[float, Field(gt=0)]
    archive: ArchiveLimits
