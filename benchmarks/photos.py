"""The images that a benchmark is given on the command line."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.sources import archive
from thaw.sources.settings import ArchiveLimits

LIMITS = ArchiveLimits(max_gigabytes=100.0, max_ratio=1000.0, max_members=10**7)


@contextmanager
def unpacked(source: Path) -> Iterator[Path]:
    """Give the folder `source`, or one with what the archive `source` holds, for the block."""
    if source.is_dir():
        yield source
        return
    with tempfile.TemporaryDirectory() as scratch:
        archive.unpack(source, Path(scratch), LIMITS, source.name)
        yield Path(scratch)
