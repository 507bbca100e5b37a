"""Find the image that a cell of a table means: a path, an absolute one, or an id without ending."""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterable
from pathlib import PurePosixPath

from thaw.labels.split_words import split_of
from thaw.project.errors import UserError


class Images:
    """The images of a source by all ways in which tables name them.

    A path may begin at the table's folder or at the source's. Case, and how letters are encoded,
    count where they alone tell two images apart; so do zeros before a number, which spreadsheets
    lose. Of images that a cell may mean alike, those in a folder of the table's own name or split
    are taken: train.csv and trainLabels.csv are of train/.
    """

    def __init__(self, places: Iterable[PurePosixPath], table: PurePosixPath) -> None:
        self.by_name, self.by_number = defaultdict(list), defaultdict(list)
        self.table, self.places = table, {place.as_posix(): place for place in places}
        for _, place in sorted(self.places.items()):
            for name in {place.name, place.stem}:
                self.by_name[_folded(name)].append(place)
                if number := _number(name):
                    self.by_number[number].append(place)

    def find(self, cell: str, numbers: bool = True) -> list[PurePosixPath]:
        """Return the images that a cell may mean: none, one, or several alike.

        Without `numbers` zeros before one count.
        """
        parts = _parts(cell)
        if not parts:
            return []
        beside = "/".join((*self.table.parent.parts, *parts))
        if beside in self.places:
            return [self.places[beside]]
        named = self.by_name.get(_folded(parts[-1]), [])
        if numbers and not named:
            named = self.by_number.get(_number(cell), [])
        fits = [place for place in named if _ends_alike(place, parts)]
        if not fits and _is_absolute(cell) and len(named) == 1:
            fits = named
        same = [place for place in fits if parts[-1] in (place.name, place.stem)] or fits
        whole = [place for place in same if _folded(place.name) == _folded(parts[-1])] or same
        longest = max((min(len(place.parts), len(parts)) for place in whole), default=0)
        fits = [place for place in whole if min(len(place.parts), len(parts)) == longest]
        exact = [place for place in fits if len(place.parts) <= len(parts)]
        own = [place for place in fits if any(map(self._is_own, place.parts[:-1]))]
        for fewer in (exact, own):
            if len(fits) > 1 and len(fewer) == 1:
                fits = fewer
        return fits

    def one(self, cell: str, name: str) -> PurePosixPath | None:
        """Return the image of a cell, None for none. Raises UserError where it may be of two."""
        fits = self.find(cell)
        if len(fits) > 1:
            beside = fits[0].parent == fits[1].parent
            ending = fits[0].suffix if beside else ""
            raise UserError(
                f"{name}: {cell!r} may be {fits[0]} or {fits[1]}", "data.layout",
                f'set this to those that are meant, such as "{fits[0].parent / "*"}{ending}", or '
                "write whole paths",
            )  # fmt: skip
        return fits[0] if fits else None

    def _is_own(self, folder: str) -> bool:
        """Whether a folder is called as the table is, or named for the same split."""
        stem = self.table.stem
        return folder.lower() == stem.lower() or "" != split_of(stem) == split_of(folder)


def _folded(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()


def _number(name: str) -> str:
    """Return a whole number without zeros before it and a fraction of 0, "" for anything else."""
    match = re.fullmatch(r"0*(\d+?)(\.0)?", name)
    return match[1] if match else ""


def _parts(cell: str) -> tuple[str, ...]:
    parts = cell.strip().replace("\\", "/").split("/")
    return tuple(part for part in parts if part not in ("", ".", ".."))


def _is_absolute(cell: str) -> bool:
    return cell.startswith(("/", "\\")) or cell[1:2] == ":" or "://" in cell


def _ends_alike(place: PurePosixPath, parts: tuple[str, ...]) -> bool:
    """Whether one of the two paths is the end of the other; the last names are the same already."""
    count = min(len(place.parts), len(parts))
    return [*map(_folded, place.parts[-count:-1])] == [*map(_folded, parts[-count:-1])]
