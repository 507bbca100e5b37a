"""Bring the pictures of `data.source` to where they can be read: a name, a path, an address."""

from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, StringConstraints

from stages.lib import archive, files, transfer
from stages.lib.errors import UserError
from stages.lib.named_sources import NAMED, Named, write_digits
from stages.lib.params import Section

KEY = "params.yaml [data.source]"
Digest = Annotated[str, StringConstraints(pattern="^[0-9a-f]{64}$")]


def _check_outside(source: str) -> str:
    outputs = [Path(name).resolve() for name in ("data", "models", "metrics")]
    if "://" not in source and any(Path(source).resolve().is_relative_to(out) for out in outputs):
        raise ValueError("should lie outside of data/, models/ and metrics/, which DVC replaces")
    return source


class Data(Section):
    """Where the pictures come from, and what to do with files that are no usable ones."""

    source: Annotated[str, Field(min_length=1), AfterValidator(_check_outside)]
    sha256: Digest | None
    groups: Annotated[str, Field(min_length=1)] | None
    on_bad: Literal["fail", "quarantine"]
    max_bad: Annotated[float, Field(ge=0, le=1)]
    min_side: Annotated[int, Field(ge=1)]
    max_megapixels: Annotated[float, Field(gt=0)]
    archive: archive.Limits


def fetch(settings: Data, scratch: Path, downloads: Path) -> Path:
    """Return the folder that holds the pictures, in class folders, of `settings.source`.

    A folder of the user's is returned as it is. All else is unpacked or written into `scratch`, an
    empty folder; what comes over http(s) is kept in `downloads` until the caller removes it.
    Raises UserError when there is no such source, or it has another SHA-256 than `settings` say.
    """
    source = settings.source
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
        found = transfer.download(source, downloads / "archive", settings.sha256)
        _announce(source, found, settings.sha256)
        path = downloads / "archive"
    elif "://" in source:
        path = transfer.fetch_objects(source, scratch)
        if path.is_dir():
            _refuse_digest(settings)
            return path
        _check_digest(path, settings.sha256, source)
    else:
        path = Path(source)
        _check_there(path)
        _check_digest(path, settings.sha256, source)
    _unpack(path, folder, settings, source)
    return folder


def _refuse_digest(settings: Data) -> None:
    if settings.sha256:
        raise UserError(
            f"params.yaml [data.sha256]: {settings.source!r} is no single file, so it has no such "
            "digest; set data.sha256 to null"
        )


def _own_folder(path: Path) -> Path:
    own = Path("pictures").resolve()
    if path.absolute().is_relative_to(own) and not path.resolve().is_relative_to(own):
        raise UserError(
            f"{KEY}: {str(path)!r} is a link, and DVC follows none to see changes; put the folder "
            "itself there, or name the place that it leads to"
        )
    if Path("data").resolve().is_relative_to(path.resolve()):
        raise UserError(
            f"{KEY}: {str(path)!r} contains this project's outputs; name the folder that holds the "
            "class folders"
        )
    return path


def _named(named: Named, settings: Data, folder: Path, downloads: Path) -> Path:
    wanted = settings.sha256 or named.sha256
    path = downloads / "archive"
    print(f"{settings.source}: {named.size / 1e6:.0f} MB from {named.url}", flush=True)
    found = transfer.download(named.url, path, wanted, named.size)
    _announce(named.url, found, wanted)
    _unpack(path, folder, settings, named.url)
    return named.arrange(folder)


def _unpack(path: Path, folder: Path, settings: Data, source: str) -> None:
    try:
        archive.unpack(path, folder, settings.archive, source)
    except archive.Damaged:
        if path != Path(settings.source):
            files.remove(path)  # what was downloaded, so that the next run fetches it again
        raise


def _announce(url: str, found: str, wanted: str | None) -> None:
    if not wanted:
        print(f"{url} has no known digest; to accept these bytes only, put into params.yaml:")
        print(f"  sha256: {found}", flush=True)


def _check_digest(path: Path, wanted: str | None, source: str) -> None:
    if wanted and (found := files.sha256(path)) != wanted:
        raise UserError(
            f"{source}: its SHA-256 is {found} and not {wanted}, so these are other bytes; check "
            "the file, and data.sha256 in params.yaml"
        )


def _check_there(path: Path) -> None:
    if path.is_file():
        return
    if path.with_name(f"{path.name}.dvc").is_file():
        raise UserError(f"{KEY}: {str(path)!r} is not here yet; run `dvc pull {path}.dvc`")
    known = ["digits", *NAMED]
    near = get_close_matches(str(path), known, n=1)
    hint = f"did you mean {near[0]}?" if near else f"names are {', '.join(known)}"
    raise UserError(
        f"{KEY}: {str(path)!r} is no known name and neither a folder, an archive nor an address; "
        f"check the path ({hint})"
    )
