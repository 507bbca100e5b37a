"""Bring the images of `data.source` to where they can be read: a name, a path, an address."""

import os
from difflib import get_close_matches
from pathlib import Path

from thaw.project import files
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.sources import archive, fetch, links, object_store
from thaw.sources.datasets import NAMED, Named, write_digits
from thaw.sources.settings import Data

KEY = "data.source"


def fetch_source(settings: Data, scratch: Path, downloads: Path) -> Path:
    """Return the folder that holds the images, in class folders, of `settings.source`.

    A folder of the user's is returned as it is. All else is unpacked or written into `scratch`, an
    empty folder; what comes over http(s) is kept in `downloads` until the caller removes it.
    Raises UserError when there is no such source, or it has another SHA-256 than `settings` say.
    """
    source = os.path.expanduser(settings.source)
    folder = scratch / "unpacked"
    folder.mkdir()
    is_folder = Path(source).is_dir()
    if source == "digits" or is_folder:
        _refuse_digest(settings)
    if source == "digits":
        write_digits(folder)
        return folder
    if is_folder:
        return _own_folder(Path(source))
    if source in NAMED:
        return _named(NAMED[source], settings, folder, downloads)
    if source.startswith(("http://", "https://")):
        path = downloads / "archive"
        largest = settings.archive.max_gigabytes * 1e9
        found = fetch.download(source, path, settings.sha256, largest=largest)
        _unpack(path, folder, settings, source)
        _announce(source, found, settings.sha256)
        return folder
    elif "://" in source:
        path = object_store.fetch(source, scratch)
        if path.is_dir():
            _refuse_digest(settings)
            return path
        check_digest(path, settings.sha256, source)
    else:
        path = Path(source)
        _check_there(path)
        check_digest(path, settings.sha256, source)
    _unpack(path, folder, settings, source)
    return folder


def _refuse_digest(settings: Data) -> None:
    if settings.sha256:
        raise UserError(
            f"{settings.source!r} is no single file, so it has no such digest",
            "data.sha256",
            "set data.sha256 to null",
        )


def _own_folder(path: Path) -> Path:
    if Path("data").resolve().is_relative_to(path.resolve()):
        raise UserError(
            f"{str(path)!r} contains this project's outputs",
            KEY,
            "name the folder that holds the class folders",
        )
    if path.absolute().is_relative_to(Path("images").absolute()):
        _say_what_dvc_does_not_see(links.linked_folders(path))
    return path


def _say_what_dvc_does_not_see(folders: list[Path]) -> None:
    if folders:
        more = f" and {len(folders) - 1} more are links" if len(folders) > 1 else " is a link"
        print(
            f"{folders[0]}{more} to folders, and DVC does not look there: after a change in them "
            "run `dvc repro --force download && dvc repro`"
        )


def _named(named: Named, settings: Data, folder: Path, downloads: Path) -> Path:
    wanted = settings.sha256 or named.sha256
    path = downloads / "archive"
    print(f"{settings.source}: {named.size / 1e6:.0f} MB from {named.url}", flush=True)
    found = fetch.download(named.url, path, wanted, named.size)
    _unpack(path, folder, settings, named.url)
    _announce(named.url, found, wanted)
    return named.arrange(folder)


def _unpack(path: Path, folder: Path, settings: Data, source: str) -> None:
    try:
        note = archive.unpack(path, folder, settings.archive, source)
    except archive.Damaged:
        if path != Path(source):
            files.remove(path)  # what was downloaded, so that the next run fetches it again
        raise
    if note:
        print(one_line(note), flush=True)


def _announce(url: str, found: str, wanted: str | None) -> None:
    if not wanted:
        print(f"{url} has no known digest; to accept these bytes only, put into params.yaml:")
        print(f"  sha256: {found}", flush=True)


def check_digest(path: Path, wanted: str | None, source: str, key: str = "data.sha256") -> None:
    """Raise UserError when a file has another SHA-256 than `wanted`, which `key` has, if any."""
    if wanted and (found := files.sha256(path)) != wanted:
        raise UserError(
            f"{source}: its SHA-256 is {found} and not {wanted}, so these are other bytes",
            key,
            "check the file and this key",
        )


def _check_there(path: Path) -> None:
    if path.is_file():
        return
    if path.with_name(f"{path.name}.dvc").is_file():
        raise UserError(f"{str(path)!r} is not here yet", KEY, f"run `dvc pull {path}.dvc`")
    known = ["digits", *NAMED]
    near = get_close_matches(str(path), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"names are {', '.join(known)}"
    raise UserError(
        f"{str(path)!r} is no known name and neither a folder, an archive nor an address",
        KEY,
        f"check the path ({hint})",
    )
