"""Shards: tar archives of samples, as webdataset has them, and Parquet files with images.

A sample is a few files of one name, such as 0017.jpg and 0017.cls.
"""

import tarfile
from collections import defaultdict
from itertools import islice
from pathlib import Path, PurePosixPath
from urllib.parse import urlsplit

from tqdm import tqdm

from thaw.images.file_kinds import PAGE, POINTER, kind_of
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.sources import archive, listing, parquet
from thaw.sources.archive_kinds import Damaged
from thaw.sources.bounded_writer import Writer
from thaw.sources.settings import Data

FOLDER = "unpacked-shards"  # where shards go, each into a folder of its own name
ENDINGS = (".tar", ".tgz", ".tar.gz", ".parquet")
LABELS = (".cls", ".json", ".txt")  # of the files with a sample's label, the likeliest first
LOOK = 100  # members of a tar that are looked at


def unpacked(root: Path, scratch: Path, settings: Data) -> Path:
    """Return a folder with what the shards in `root` hold; `root` itself where it has none.

    An archive that was unpacked into `scratch` may have been one shard; then it lies in a folder of
    its name. Raises UserError that names a shard which cannot be read. `settings.archive` limits
    all shards together.
    """
    folder, writer = scratch / FOLDER, Writer(settings.archive)
    shards, others = of(root)
    if not shards:
        if not (root.is_relative_to(scratch) and _by_samples(settings) and is_one(root)):
            return root
        folder.mkdir()
        root.rename(folder / name_of(settings.source))
        return folder
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        first = one_line(others[0].relative_to(root))
        print(f"beside shards, so skipped: {first}{more}", flush=True)
    for shard in tqdm(shards, desc="shards", disable=None):
        place = shard.relative_to(root)
        (folder / place).mkdir(parents=True)
        unpack(shard, folder / place, place.as_posix(), settings, writer)
    return folder


def _by_samples(settings: Data) -> bool:
    """Tell whether the settings leave it to the samples what an image's label is."""
    table = settings.labels.table.lower() if settings.labels else ENDINGS[0]
    return "{label}" not in settings.layout and table.endswith(ENDINGS)


def are_in(root: Path) -> bool:
    """Tell whether a source is what `unpacked` made of shards."""
    return root.name == FOLDER


def unpack(path: Path, folder: Path, name: str, settings: Data, writer: Writer) -> None:
    """Unpack one shard, called `name`, into a folder. Raises UserError."""
    if (kind := kind_of(path)) in (PAGE, POINTER):
        raise Damaged(f"{name}: {kind}")
    if parquet.is_parquet(path):
        parquet.unpack(path, folder, name, settings.labels, writer)
    elif name.lower().endswith(".parquet"):
        raise Damaged(f"{name}: damaged Parquet file; fetch it again")
    else:
        archive.unpack_next(path, folder, name, writer)


def of(root: Path) -> tuple[list[Path], list[Path]]:
    """List the shards below a folder, and other files that may be images; both sorted.

    There are no shards where the others are more.
    """
    files = sorted(listing.files(root))
    shards = [path for path in files if path.name.lower().endswith(ENDINGS)]
    others = [*filter(listing.may_be_image, set(files) - set(shards))] if shards else []
    if len(others) > len(shards) or not any(map(_is_shard, shards)):
        return [], []
    return shards, sorted(others)


def _is_shard(path: Path) -> bool:
    """Tell a file of samples, or what should be one and is a pointer to it, from other archives."""
    try:
        return parquet.is_parquet(path) or kind_of(path) == POINTER or _has_samples(path)
    except OSError as error:
        raise UserError(f"{path}: {error.strerror}; fetch it again") from None


def _has_samples(path: Path) -> bool:
    """Tell whether an image among the first members of a tar has a file with its label."""
    endings = defaultdict(set)
    try:
        with tarfile.open(path, tarinfo=archive.Member) as packed:
            for member in islice(packed, LOOK):
                key, ending = key_of(PurePosixPath(member.name))
                endings[key].add(ending)
    except (*archive.DAMAGE, ValueError):
        pass  # what could be read tells
    return any(map(_is_sample, endings.values()))


def _is_sample(endings: set[str]) -> bool:
    return any(map(listing.is_image_by_name, (f"x{each}" for each in endings))) and bool(
        endings & set(LABELS)
    )


def key_of(place: PurePosixPath) -> tuple[PurePosixPath, str]:
    """Return what the files of a sample share, and what is this file's own: from the first dot on.

    That is webdataset's convention.
    """
    name, dot, ending = place.name.partition(".")
    return place.with_name(name) if name else place, f"{dot}{ending}".lower()


def is_one(folder: Path) -> bool:
    """Tell an unpacked shard: its images lie in one folder, half of them or more with labels."""
    places = [PurePosixPath(path.relative_to(folder)) for path in listing.files(folder)]
    images = [place for place in places if listing.is_image_by_name(place.name)]
    if len({place.parent for place in images}) != 1:
        return False
    keys = {key for key, ending in map(key_of, places) if ending in LABELS}
    return sum(key_of(place)[0] in keys for place in images) * 2 >= len(images)


def name_of(source: str) -> str:
    """Return a folder's name for a shard that a path or an address leads to."""
    return PurePosixPath(urlsplit(source).path).name.lstrip(".") or "shard"
