"""Find the image that a cell of a table means: a path, an absolute one, or an id without ending."""

from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from thaw.project.errors import UserError


class Images:
    """The images of a source by all ways in which tables name them.

    A path may begin at the table's folder or at the source's. Of images that a cell may mean alike,
    those in a folder of the table's own name are taken: train.csv is of train/.
    """

    def __init__(self, places: Iterable[PurePosixPath], table: PurePosixPath) -> None:
        self.by_name, self.table, self.places = defaultdict(list), table, set(places)
        for place in sorted(self.places):
            self.by_name[place.name].append(place)
            if place.stem != place.name:
                self.by_name[place.stem].append(place)

    def find(self, cell: str) -> list[PurePosixPath]:
        """Return the images that a cell may mean: none, one, or several alike."""
        parts = _parts(cell)
        if not parts:
            return []
        beside = self.table.parent.joinpath(*parts)
        if beside in self.places:
            return [beside]
        named = self.by_name.get(parts[-1], [])
        fits = [place for place in named if _ends_alike(place, parts)]
        if not fits and _is_absolute(cell) and len(named) == 1:
            fits = named
        whole = [place for place in fits if place.name == parts[-1]] or fits
        longest = max((min(len(place.parts), len(parts)) for place in whole), default=0)
        fits = [place for place in whole if min(len(place.parts), len(parts)) == longest]
        exact = [place for place in fits if len(place.parts) <= len(parts)]
        own = [place for place in fits if self.table.stem.lower() in map(str.lower, place.parts)]
        for fewer in (exact, own):
            if len(fits) > 1 and len(fewer) == 1:
                fits = fewer
        return fits

    def one(self, cell: str, name: str) -> PurePosixPath | None:
        """Return the image of a cell, None for none. Raises UserError where it may be of two."""
        fits = self.find(cell)
        if len(fits) > 1:
            raise UserError(
                f"{name}: {cell!r} may be {fits[0]} or {fits[1]}", "data.layout",
                f'set this to the folder that is meant, such as "{fits[0].parent}/*", or write '
                "whole paths",
            )  # fmt: skip
        return fits[0] if fits else None


def _parts(cell: str) -> tuple[str, ...]:
    parts = PurePosixPath(cell.strip().replace("\\", "/")).parts
    return tuple(part for part in parts if part not in ("/", ".", ".."))


def _is_absolute(cell: str) -> bool:
    return cell.startswith(("/", "\\")) or cell[1:2] == ":"


def _ends_alike(place: PurePosixPath, parts: tuple[str, ...]) -> bool:
    """Whether one of the two paths is the end of the other; the last names are the same already."""
    count = min(len(place.parts), len(parts))
    return place.parts[-count:-1] == parts[-count:-1]
