"""The images that a person names: files, folders, patterns and addresses."""

import glob
import os
import re
import time
from collections.abc import Iterable
from pathlib import Path

import requests
from urllib3.exceptions import HTTPError

from thaw.images.image_checks import InvalidImage
from thaw.project.encoding import decoded
from thaw.project.errors import UserError
from thaw.sources import fetch, listing

STDIN = "-"
MAX_BYTES = 100_000_000  # of a file at an address
MAX_SECONDS = 60  # to fetch it
TIMEOUT = (5, 15)  # seconds to connect, and between two pieces of the answer


def files(arguments: Iterable[str]) -> list[str]:
    """Return the files that arguments name, in their order: files, folders, patterns as of a shell.

    A folder stands for all files below it, sorted, but for hidden ones and what systems leave.
    Whatever their names, they are judged by their content, as when training. `**` in a pattern
    stands for folders of any depth. Raises UserError for the first argument that names nothing.
    """
    return [file for argument in arguments for file in _named(argument)]


def images(arguments: Iterable[str], lines: Iterable[str]) -> list[str]:
    """Return what `files` does, and addresses (http, https) as they are.

    `-` stands for the paths or addresses in `lines`, one in each. Those that name no file are tried
    without quotation marks around them and with slashes for backslashes, as lists from Windows have
    them. Raises UserError for the first argument that names nothing.
    """
    found = []
    for argument in arguments:
        if argument == STDIN:
            listed = [_as_here(line.rstrip("\n")) for line in lines if line.strip()]
            if not listed:
                raise UserError("standard input names no images; give paths, one a line")
            found += listed
        elif is_address(argument):
            found.append(argument)
        else:
            found += _named(argument)
    return found


def lines_of(data: bytes) -> list[str]:
    """Return the lines of a list in UTF-8 or UTF-16, of any system; names may be of any bytes."""
    try:
        text = decoded(data, "surrogateescape")
    except UnicodeDecodeError:
        raise UserError("standard input is cut off; give a list in UTF-8 or UTF-16") from None
    return re.split("\r\n|\n|\r", text)


def _as_here(line: str) -> str:
    if is_address(line) or os.path.lexists(line):
        return line
    plain = line.strip().strip("\"'")
    slashes = plain.replace("\\", "/")
    return next(
        (each for each in (plain, slashes) if is_address(each) or Path(each).is_file()), line
    )


def _named(argument: str) -> list[str]:
    if os.path.lexists(argument):
        matches = [argument]
    elif glob.has_magic(argument):
        matches = sorted(glob.glob(argument, recursive=True))
        matches = [each for each in matches if not _is_clutter(each, Path(argument).parts)]
        if not matches:
            raise UserError(f"no file matches {argument}")
    else:
        raise UserError(f"no such file or folder: {argument or repr(argument)}")
    # `**` finds some twice
    below = {file: None for each in matches for file in _below(Path(each))}
    if not below:
        raise UserError(f"no files in {argument}")
    return list(below)


def _below(place: Path) -> list[str]:
    return sorted(map(str, listing.files(place))) if place.is_dir() else [str(place)]


def _is_clutter(match: str, asked: tuple[str, ...]) -> bool:
    """Whether a pattern's match is hidden or what systems leave, and not asked for by its name."""
    return any(listing.is_clutter(Path(part)) and part not in asked for part in Path(match).parts)


def is_address(place: str) -> bool:
    return place.startswith(("http://", "https://"))


def fetch_image(url: str, file: Path) -> None:
    """Write what lies at `url` into `file`. Raises InvalidImage with the cause where it fails.

    Errors that may pass are tried again. It gives up after MAX_BYTES or MAX_SECONDS.
    """
    began = time.monotonic()
    try:
        with (
            fetch.new_session(again=1) as session,
            session.get(url, stream=True, timeout=TIMEOUT) as answer,
            open(file, "wb") as opened,
        ):
            answer.raise_for_status()
            while piece := answer.raw.read1(fetch.PIECE, decode_content=False):
                if opened.tell() + len(piece) > MAX_BYTES:
                    raise InvalidImage(f"more than {MAX_BYTES / 1e6:g} MB, so it is not fetched")
                if time.monotonic() > began + MAX_SECONDS:
                    raise InvalidImage(f"not there within {MAX_SECONDS} seconds")
                opened.write(piece)
            if opened.tell() < int(answer.headers.get("Content-Length", 0)):
                raise HTTPError("the answer breaks off")
    except HTTPError:
        raise InvalidImage("the answer breaks off or stands still; try again") from None
    except (requests.RequestException, ValueError) as error:  # the latter for odd addresses
        raise InvalidImage(f"{fetch.cause(error)}; check the address and the network") from None
