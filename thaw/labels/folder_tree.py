"""The folders of a source that hold images, and how many: what a layout is inferred from."""

from collections.abc import Iterable
from pathlib import PurePosixPath

from thaw.sources import listing

FEW = 20  # images beside folders are strays where so many times as many are in the folders
NAMED = 3  # folders in a message
MOST_NAMES = 2000  # of images that a folder remembers


class Node:
    """A folder: how many images lie in it (direct) and in all below it, and its folders.

    Folders without images are left out. names are the images' own, up to 2000.
    """

    def __init__(self) -> None:
        self.direct = self.below = 0
        self.folders: dict[str, Node] = {}
        self.names: list[str] = []

    @property
    def deep(self) -> bool:
        """Whether nearly all images lie in its folders, and not in itself."""
        return bool(self.folders) and self.direct * FEW <= self.below


def tree(places: Iterable[PurePosixPath]) -> Node:
    """Return the source's folder with those below it."""
    root = Node()
    for place in places:
        node = root
        for part in place.parts[:-1]:
            node.below += 1
            node = node.folders.setdefault(part, Node())
        if node is root and not listing.is_image_by_name(place.name):
            continue  # a file beside all folders that does not even call itself an image
        node.direct += 1
        if len(node.names) < MOST_NAMES:
            node.names.append(place.name)
    return root


def merged(nodes: Iterable[Node]) -> Node:
    """Return one folder that holds what several hold."""
    whole, inner = Node(), {}
    for node in nodes:
        whole.direct += node.direct
        whole.below += node.below
        whole.names += node.names
        for name, child in node.folders.items():
            inner.setdefault(name, []).append(child)
    whole.folders = {name: merged(children) for name, children in inner.items()}
    return whole


def names_of(names: Iterable[str]) -> str:
    """Say up to three names in words."""
    names = sorted(names)
    if len(names) > NAMED:
        return f"{', '.join(names[:NAMED])} and {len(names) - NAMED} more"
    return " and ".join([", ".join(names[:-1]), names[-1]] if len(names) > 1 else names)


def literal(name: str) -> str:
    """Return a folder's name for a template, * where it has a sign that means something there."""
    return "*" if set(name) & set("{}*") else name


def only(node: Node) -> Node:
    """Return the one folder in a folder."""
    return next(iter(node.folders.values()))
