"""Write what archives hold into a folder: nothing outside of it, and no more than is allowed."""

import re
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from thaw.project import faults
from thaw.project.errors import UserError
from thaw.sources.settings import ArchiveLimits

RATIO_FROM = 1 << 26  # bytes unpacked: up to that, blank images may well be packed tightly
PIECE = 1 << 20  # bytes
LONGEST = 4096  # letters of a path, as of Linux
DRIVE = re.compile("[A-Za-z]:")  # of Windows, before a path


class Writer:
    """Writes the members of archives and counts what they come to, of all of them together."""

    def __init__(self, limits: ArchiveLimits) -> None:
        self.limits, self.packed = limits, 0
        self.members = self.written = 0
        self.folders: set[int] = set()  # hashes of all that members are or lie in

    def begin(self, name: str, packed: int, folder: Path) -> None:
        """Go on with an archive of `packed` bytes, called `name`, that goes into `folder`."""
        self.name, self.folder, self.note = name, folder, ""
        self.packed += packed

    def target(self, name: str, is_folder: bool) -> Path:
        """Return where the next member goes, or refuse it. Both kinds of slash part a name."""
        if len(name) > LONGEST:
            raise UserError(
                f"{self.name}: member {name[:40]!r}... has a name that no disk takes; pack it again"
            )
        parts = PurePosixPath(name.replace("\\", "/"))
        self._count(parts.parts if is_folder else parts.parts[:-1], is_folder)
        if parts.is_absolute() or ".." in parts.parts or DRIVE.match(name):
            raise UserError(
                f"{self.name}: member {name!r} would leave the folder; pack it again without"
            )
        return self.folder / parts

    def _count(self, folders: tuple[str, ...], is_folder: bool) -> None:
        """Count a member with the folders that it implies: a few bytes of it may be thousands."""
        self.members += not is_folder
        place = hash(self.folder)
        for part in folders:
            place = hash((place, part))
            self.folders.add(place)
        if self.members + len(self.folders) > self.limits.max_members:
            self._refuse(f"more than {self.limits.max_members} files and folders", "max_members")

    def write(self, target: Path, source: BinaryIO) -> None:
        """Copy a member to its place."""
        target.parent.mkdir(parents=True, exist_ok=True)
        with source, open(target, "xb") as file:
            while piece := source.read(PIECE):
                self.written += len(piece)
                if self.written > self.limits.max_gigabytes * 1e9:
                    self._refuse(f"over {self.limits.max_gigabytes:g} GB unpacked", "max_gigabytes")
                if self.written > max(RATIO_FROM, self.limits.max_ratio * self.packed):
                    self._refuse(
                        f"over {self.limits.max_ratio:g} times its size unpacked", "max_ratio"
                    )
                file.write(piece)
        faults.point(f"unpacked {target.name}")

    def _refuse(self, what: str, key: str) -> None:
        raise UserError(
            f"{self.name}: {what}, which may be an attack on the disk; raise data.archive.{key} in "
            "params.yaml if it is not"
        )
