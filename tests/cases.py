"""Small inputs in the shapes that people's folders, archives and tables have."""

import io
import os
import tarfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

RANDOM = np.random.default_rng(7)
POINTER = "version https://git-lfs.github.com/spec/v1\noid sha256:{:064}\nsize 9\n"


def image(ending: str = "PNG") -> bytes:
    """An image of noise, of odd sides."""
    file = io.BytesIO()
    Image.fromarray(RANDOM.integers(0, 255, (13, 11, 3), dtype="uint8")).save(file, ending)
    return file.getvalue()


def draw(root: Path, *folders: str, count: int = 12, name: str = "{}.png") -> None:
    for folder in folders:
        (root / folder).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            (root / folder / name.format(number)).write_bytes(image())


def named_like_their_class(root: Path, folder: str, count: int = 30, sign: str = "") -> list[str]:
    """Draw catN.png and dogN.png into one folder; return their names without ending."""
    for label in ("cat", "dog"):
        draw(root, folder, count=count, name=f"{label}{sign}{{}}.png")
    return [f"{label}{sign}{number}" for number in range(count) for label in ("cat", "dog")]


class Coded(zipfile.ZipInfo):
    """A member of a zip whose name is in an encoding that the archive does not tell."""

    def __init__(self, name: str, encoding: str) -> None:
        super().__init__()
        self.filename, self.encoding = name, encoding

    def _encodeFilenameFlags(self) -> tuple[bytes, int]:
        return self.filename.encode(self.encoding), 0


def zipped(root: Path, names: list[str], encoding: str = "utf-8", to: str = "pets.zip") -> Path:
    """Pack an image under each name."""
    root.mkdir(parents=True, exist_ok=True)
    with zipfile.ZipFile(root / to, "w") as archive:
        for name in names:
            archive.writestr(Coded(name, encoding), b"" if name.endswith("\\") else image())
    return root / to


def tarred(root: Path, names: list[str]) -> Path:
    with tarfile.open(root / "pets.tar", "w") as archive:
        for name in names:
            member, content = tarfile.TarInfo(name), image()
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return root / "pets.tar"


def pets(*labels: str, form: str = "{}/{}.png", count: int = 12) -> list[str]:
    return [form.format(label, number) for label in labels or ("cat", "dog")
            for number in range(count)]  # fmt: skip


def link_into_a_cache(root: Path) -> Path:
    """Class folders of links to files elsewhere, as DVC's cache and snapshots have them."""
    draw(root, "cache", count=24, name="{:032x}")
    for number, name in enumerate(pets()):
        place = root / "pets" / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(os.path.relpath(root / f"cache/{number:032x}", place.parent))
    return root / "pets"
