"""Bring a file over http(s), with retries and resuming."""

import json
import logging
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import requests
from requests.adapters import HTTPAdapter
from tqdm import tqdm
from urllib3.exceptions import HTTPError, ReadTimeoutError
from urllib3.util import Retry

from thaw.project import faults, files
from thaw.project.errors import UserError
from thaw.sources import redirects

TIMEOUT = (10, 30)  # seconds to connect, and between two pieces of the answer
SLOWEST, WINDOW = 1000, 60  # bytes per second, over so many seconds
REDIRECTS = 5
ATTEMPTS = 5  # to go on with a broken body, without a byte more
PAUSE = 1.0  # seconds before the first of them; doubles each time
PIECE = 1 << 16  # bytes
LARGEST = 10e9  # bytes, where the caller names no other limit
PASSING = (429, 500, 502, 503, 504)  # HTTP errors that may pass

logging.getLogger("urllib3").setLevel(logging.ERROR)  # it gives each retry a line of its own


class _BrokenOff(Exception):
    """The answer began well and did not end well."""


def download(
    url: str, path: Path, sha256: str | None = None, size: int | None = None,
    key: str = "data.sha256", largest: float = LARGEST,
) -> str:  # fmt: skip
    """Fetch `url` into the file `path`, and return its SHA-256 digest (hexadecimal).

    What an interrupted call left is gone on with, and a whole `path` is used again while `sha256`
    or the server says that it is still the same. Errors that may pass and refused connections are
    tried again after growing pauses, and so is a body that breaks off. `key` of params.yaml has
    `sha256`.

    Raises UserError that names the URL and the cause: no answer, an HTTP error, too many redirects,
    a body that stays short or slow, another `size` (bytes) or `sha256` than said, more than
    `largest` bytes, a full disk.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    if not (sha256 and path.is_file() and files.sha256(path) == sha256):
        try:
            with new_session() as session:
                _receive_all(session, url, path, size, largest)
        except requests.RequestException as error:
            raise UserError(f"{url}: {cause(error)}; check the address and the network") from None
    found = files.sha256(path)
    if sha256 and found != sha256:
        files.remove(path)
        raise UserError(
            f"{url}: its SHA-256 is {found} and not {sha256}, so these are other bytes; check the "
            f"address, and {key} in params.yaml"
        )
    return found


def new_session(again: int = 5) -> requests.Session:
    """Return a session that tries up to `again` times more what may pass, and wants files as is."""
    session = redirects.Session()
    session.max_redirects = REDIRECTS
    session.headers["Accept-Encoding"] = "identity"  # so that lengths and ranges are the file's
    retry = Retry(
        total=again, connect=min(again, 2), backoff_factor=PAUSE / 2, status_forcelist=PASSING,
        raise_on_status=False, retry_after_max=60,
    )  # fmt: skip
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(max_retries=retry))
    return session


def _receive_all(
    session: requests.Session, url: str, path: Path, size: int | None, largest: float
) -> None:
    """Ask again and again for what is missing, until `path` is whole or nothing comes any more."""
    partial = path.with_name(f"{path.name}.part")
    failures, most = 0, _length(partial)
    while True:
        try:
            return _receive(session, url, path, partial, size, largest)
        except _BrokenOff as broken:
            failures = 0 if _length(partial) > most else failures + 1
            most = max(most, _length(partial))
            if failures == ATTEMPTS:
                raise UserError(
                    f"{url}: {broken}, {ATTEMPTS} times in a row; run again to go on from there"
                ) from None
            time.sleep(PAUSE * 2**failures)


def _receive(
    session: requests.Session, url: str, path: Path, partial: Path, size: int | None, largest: float
) -> None:
    """Make one request, for the rest where a part is there, and append what comes."""
    seen = path.with_name(f"{path.name}.json")  # of which address and version the part is
    version = _version(seen, url)
    start = _length(partial) if version else 0
    headers = _headers(version, path.is_file(), start)
    with session.get(url, stream=True, timeout=TIMEOUT, headers=headers) as answer:
        if answer.status_code == 304:
            return
        files.remove(path)
        if answer.status_code == 416:
            files.remove(partial)
            raise _BrokenOff("the server refuses to go on")
        answer.raise_for_status()
        if answer.status_code != 206:
            start = 0
        elif not answer.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            files.remove(partial)
            raise _BrokenOff("the server goes on at another place than asked for")
        says = answer.headers.get("Content-Length", "")
        length = start + int(says if says.isdecimal() else 0) or size
        _check_length(url, length, size, start, path.parent)
        _check_limit(url, length or 0, largest)
        tags = {"etag": answer.headers.get("ETag", "")}
        tags["date"] = answer.headers.get("Last-Modified", "")
        files.write_json(seen, {"url": url, **tags})
        bar = tqdm(
            total=length, initial=start, unit="B", unit_scale=True, desc="download", disable=None
        )
        with open(partial, "ab" if start else "wb") as file, bar:
            for _ in _append(answer, file, bar):
                _check_limit(url, file.tell(), largest)
            if length and file.tell() < length:
                raise _BrokenOff(f"the answer breaks off after {file.tell()} of {length} bytes")
            if size and file.tell() != size:
                raise _BrokenOff(f"the answer has {file.tell()} bytes and not {size}")
    files.sync(partial)
    faults.point("received all")
    partial.replace(path)
    faults.point("downloaded")


def _headers(version: dict[str, str], whole: bool, start: int) -> dict[str, str]:
    """Ask if a whole file is still of the server's version, or for the rest from `start` on."""
    headers = {}
    if version and whole:
        headers = {"If-None-Match": version["etag"], "If-Modified-Since": version["date"]}
    elif start and not version["etag"].startswith("W/"):
        headers = {"Range": f"bytes={start}-", "If-Range": version["etag"] or version["date"]}
    return {name: value for name, value in headers.items() if value}


def _append(answer: requests.Response, file: BinaryIO, bar: tqdm) -> Iterator[None]:
    """Write the body as it comes, not decoded: what a server calls packed may be the archive.

    Yields after each piece.
    """
    began, received = time.monotonic(), 0
    try:
        while piece := answer.raw.read1(PIECE, decode_content=False):
            bar.update(file.write(piece))
            received += len(piece)
            faults.point("received a piece")
            yield
            if time.monotonic() > began + WINDOW:
                if received < SLOWEST * WINDOW:
                    raise _BrokenOff(f"under {SLOWEST} bytes a second come")
                began, received = time.monotonic(), 0
    except HTTPError as error:
        stood = isinstance(error, ReadTimeoutError)
        what = "stands still" if stood else "breaks off"
        raise _BrokenOff(f"the answer {what} after {file.tell()} bytes") from None


def _check_limit(url: str, length: int, largest: float) -> None:
    """Raise UserError for more bytes than are fetched; a server need not say how many come."""
    if length > largest:
        raise UserError(
            f"{url}: larger than {largest / 1e9:g} GB, which may be an attack on the disk; check "
            "the address, and of archives data.archive.max_gigabytes in params.yaml"
        )


def _check_length(url: str, length: int | None, size: int | None, start: int, folder: Path) -> None:
    if size and length and length != size:
        raise UserError(
            f"{url}: has {length} bytes and not {size}, so it is another file by now; check the "
            "address"
        )
    free = shutil.disk_usage(folder).free
    if length and length - start > free:
        raise UserError(
            f"{url}: has {length / 1e9:.1f} GB and the disk of {folder} has {free / 1e9:.1f} GB "
            "left; make room"
        )


def _version(seen: Path, url: str) -> dict[str, str]:
    """Return ETag and date of what is there, {} when there is nothing or of another address."""
    try:
        version = json.loads(seen.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    same = version.get("url") == url and (version.get("etag") or version.get("date"))
    return version if same else {}


def _length(path: Path) -> int:
    return path.stat().st_size if path.is_file() else 0


def cause(error: requests.RequestException) -> str:
    """Say in a few words what requests and urllib3 say in many."""
    if isinstance(error, redirects.LeadsInside):
        return str(error)
    if isinstance(error, requests.HTTPError):
        return f"the server answers {error.response.status_code} {error.response.reason}"
    if isinstance(error, requests.TooManyRedirects):
        return f"more than {REDIRECTS} redirects"
    if isinstance(error, requests.Timeout):
        return f"no answer within {TIMEOUT[1]:g} seconds"
    inner = error.args[0] if error.args else error
    reason = getattr(inner, "reason", None) or inner
    return f"no connection ({str(reason).rsplit(': ', 1)[-1]})"
