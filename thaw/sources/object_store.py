"""Bring a file or a folder from an object store (s3, gs, az, ...) by fsspec."""

import errno
from pathlib import Path

import fsspec
from fsspec.callbacks import TqdmCallback

from thaw.project.errors import UserError


def fetch(url: str, folder: Path) -> Path:
    """Fetch a file or a folder from an object store (s3, gs, az, ...) into `folder` by fsspec.

    Returns the path of the file or folder there. Raises UserError when the library for this kind of
    address is not installed, and for whatever the store itself has to say.
    """
    scheme = url.split("://")[0]
    try:
        fsspec.get_filesystem_class(scheme)
    except (ImportError, ValueError) as error:
        raise UserError(
            f"addresses of {scheme}:// cannot be read here ({error})",
            "data.source",
            f"install what DVC uses for them, for example `pip install dvc[{scheme}]`",
        ) from None
    target = folder / "objects"
    with TqdmCallback(tqdm_kwargs={"desc": "download", "disable": None}) as progress:
        try:
            store, place = fsspec.url_to_fs(url)
            if not store.isdir(place):
                store.get_file(place, str(target), callback=progress)
                return target
            keys = {key: _inside(target, place, key) for key in store.find(place)}
            if not keys:
                raise UserError(f"{url} is an empty folder", "data.source", "check the address")
            for path in {path.parent for path in keys.values()}:
                path.mkdir(parents=True, exist_ok=True)
            store.get(list(keys), [str(path) for path in keys.values()], callback=progress)
        except UserError:
            raise
        except Exception as error:  # each store raises its own
            if getattr(error, "errno", None) == errno.ENOSPC:
                raise
            said = " ".join(str(error).split()) or type(error).__name__
            raise UserError(f"{url}: {said}; check the address and your rights to it") from None
    return target


def _inside(folder: Path, place: str, key: str) -> Path:
    """Return where an object goes; refuse a key that would leave the folder."""
    parts = Path(key.removeprefix(place).lstrip("/"))
    if parts.is_absolute() or ".." in parts.parts:
        raise UserError(f"{key!r}: this object's name would leave the folder; rename it")
    return folder / parts
