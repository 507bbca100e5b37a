"""Links in a source: files and folders that lie elsewhere."""

import os
from collections.abc import Callable
from pathlib import Path


def entries(folder: Path, skipped: Callable[[Path], bool] = lambda path: False) -> list[Path]:
    """List all files below a folder, also in linked folders, and the links that lead nowhere else.

    Those are links without a target, and links to a folder that the walk is in already, which would
    go round for ever; neither is entered. Raises OSError for a folder that cannot be listed, unless
    `skipped` says that it does not count.
    """

    def stop(error: OSError) -> None:
        if not skipped(Path(error.filename)):
            raise error

    below = []
    within = {str(folder): (Path(os.path.realpath(folder)),)}  # the true folders on the way
    for root, names, others in os.walk(folder, onerror=stop, followlinks=True):
        below += [Path(root, name) for name in others]
        way = within.pop(root)
        entered = []
        for name in names:
            path = os.path.join(root, name)
            if os.path.islink(path):
                target = Path(os.path.realpath(path))
                if any(each.is_relative_to(target) for each in way):
                    below.append(Path(path))
                    continue
            else:
                target = way[-1] / name
            within[path] = (*way, target)
            entered.append(name)
        names[:] = entered
    return below


def linked_folders(folder: Path) -> list[Path]:
    """List the links to folders below a folder, or the folder itself where it is one."""
    if folder.is_symlink():
        return [folder]
    found = []
    for root, names, _ in os.walk(folder):
        found += [Path(root, name) for name in names if os.path.islink(os.path.join(root, name))]
    return sorted(found)
