"""Open an HDF5 file that others made, and let it lead nowhere else.

The values of such a file may lie in other files of this machine (external links, external storage,
virtual data sets), and a small file may declare values of any size.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import h5py

MOST = 100_000  # objects in a file; the largest network's weights have about 4,000


@contextmanager
def opened(path: Path) -> Iterator[h5py.File]:
    """Give the file, once all in it is seen to lie in itself, for reading.

    So no data set in it takes more memory than the file takes on the disk. Raises ValueError that
    names what is otherwise, before any value is read, and OSError when it is no HDF5 file.
    """
    with h5py.File(path, "r") as file:
        check(file)
        yield file


def check(file: h5py.File) -> None:
    """Raise ValueError for a link or a data set that leads out of the file, or is not whole."""
    waiting, seen = [file], set()
    while waiting:
        group = waiting.pop()
        for name in group:
            if not isinstance(group.get(name, getlink=True), h5py.HardLink):
                raise ValueError(f"{name} is a link, which may lead out of the file")
            found = group[name]
            place = h5py.h5o.get_info(found.id).addr
            if place in seen:  # groups may hold one another
                continue
            seen.add(place)
            if len(seen) > MOST:
                raise ValueError(f"more than {MOST} objects")
            if isinstance(found, h5py.Group):
                waiting.append(found)
            elif isinstance(found, h5py.Dataset):
                _check_values(name, found)


def _check_values(name: str, values: h5py.Dataset) -> None:
    layout = values.id.get_create_plist()
    if layout.get_external_count() or layout.get_layout() == h5py.h5d.VIRTUAL:
        raise ValueError(f"the values of {name} lie in other files")
    if layout.get_layout() == h5py.h5d.CHUNKED:
        raise ValueError(f"the values of {name} are packed; save them without compression")
    declared, held = (values.size or 0) * values.dtype.itemsize, values.id.get_storage_size()
    if declared != held or held > values.file.id.get_filesize():
        raise ValueError(f"{name} declares {declared} bytes, which the file has not")


def classic_values(file: h5py.File) -> list[tuple[str, h5py.Dataset]]:
    """Return the values of all layers of a classic file as (layer's name, values), not yet read.

    They are in the order of the layers; [] for a file of another kind.
    """
    group = file.get("model_weights", file)
    return [
        (layer, group[layer][weight])
        for layer in _names(group, "layer_names")
        for weight in _names(group[layer], "weight_names")
    ]


def _names(group: h5py.Group, attribute: str) -> list[str]:
    """Return a list of names, which Keras cuts into NAME0, NAME1, ... where it is long."""
    parts = [group.attrs[attribute]] if attribute in group.attrs else []
    while f"{attribute}{len(parts)}" in group.attrs:
        parts.append(group.attrs[f"{attribute}{len(parts)}"])
    names = [name for part in parts for name in part]
    return [name.decode() if isinstance(name, bytes) else str(name) for name in names]
