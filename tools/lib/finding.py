"""Find the pictures that a person names on the command line."""

import glob
import os
from collections.abc import Iterable
from pathlib import Path

from stages.lib import layout
from stages.lib.errors import UserError
from tools.lib.addresses import is_address

STDIN = "-"


def files(arguments: Iterable[str]) -> list[str]:
    """Return the files that arguments name, in their order: files, folders, patterns as of a shell.

    Of a folder these are all below it, sorted, but for hidden ones and what systems leave; whatever
    their names, they are judged by their content, as when training. `**` in a pattern stands for
    folders of any depth. Raises UserError for the first argument that names nothing.
    """
    return [file for argument in arguments for file in _named(argument)]


def pictures(arguments: Iterable[str], lines: Iterable[str]) -> list[str]:
    """Return what `files` does, and addresses (http, https) as they are.

    `-` stands for the paths or addresses in `lines`, one in each, which are taken as they are.
    Raises UserError for the first argument that names nothing.
    """
    found = []
    for argument in arguments:
        if argument == STDIN:
            listed = [line.rstrip("\n") for line in lines if line.strip()]
            if not listed:
                raise UserError("standard input names no pictures; give paths, one a line")
            found += listed
        elif is_address(argument):
            found.append(argument)
        else:
            found += _named(argument)
    return found


def _named(argument: str) -> list[str]:
    if os.path.lexists(argument):
        hits = [argument]
    elif glob.has_magic(argument):
        hits = sorted(glob.glob(argument, recursive=True))
        hits = [hit for hit in hits if not _is_clutter(hit, Path(argument).parts)]
        if not hits:
            raise UserError(f"no file matches {argument}")
    else:
        raise UserError(f"no such file or folder: {argument or repr(argument)}")
    below = {file: None for hit in hits for file in _below(Path(hit))}  # `**` finds some twice
    if not below:
        raise UserError(f"no files in {argument}")
    return list(below)


def _below(place: Path) -> list[str]:
    return sorted(map(str, layout.files(place))) if place.is_dir() else [str(place)]


def _is_clutter(hit: str, asked: tuple[str, ...]) -> bool:
    """Whether a pattern's hit is hidden or what systems leave, and not asked for by its name."""
    return any(layout.is_clutter(Path(part)) and part not in asked for part in Path(hit).parts)
