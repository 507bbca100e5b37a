"""A store of features (and converted networks) by content, shared by all checkouts of this user.

What one run computed no other computes again: after more images, in a queued experiment, on
another branch. It can be lost at any time; no result depends on it.
"""

import hashlib
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
from PIL import features as pillow

from thaw.features import store_file
from thaw.features.store_file import StoreFile
from thaw.project import faults, software
from thaw.project.settings import Runtime

AT_ONCE = 500  # keys in one question; SQLite allows 999 in its oldest builds
LARGEST = 5e8  # bytes of a value; SQLite allows 1e9
CHECK = 8  # bytes of SHA-256 over key and value that tell a damaged or misplaced value
PRUNE_TO = 0.9  # of the limit
# Our files that decide the values.
CODE = (
    "images", "models", "features", "training/augmentation.py", "training/frozen_activations.py",
)  # fmt: skip
# Pillow brings its decoders along, but where others build it.
DECODERS = ("avif", "jpg", "jpg_2000", "libjpeg_turbo", "libtiff", "webp")


def keys(provenance: dict, digests: Sequence[str], copies: int | None = None) -> np.ndarray:
    """Return the keys of images, bytes (n,), or of their augmented copies, (n, copies).

    `provenance`: all that the features depend on besides the images and the software, as JSON can
    hold it; `digests`: of the images' files.
    """
    ours, decoders = software.identity(CODE), [*map(pillow.version, DECODERS)]
    prefix = json.dumps({**provenance, **ours, "decoders": decoders}, sort_keys=True)

    def key(*parts: object) -> bytes:
        return hashlib.sha256(" ".join(map(str, (prefix, *parts))).encode()).digest()

    if copies is None:
        return np.array([key(digest) for digest in digests], object)
    rows = [[key(digest, number) for number in range(copies)] for digest in digests]
    return np.array(rows, object).reshape(len(digests), copies)


def open_store(runtime: Runtime) -> "FeatureStore":
    """Return the store that the params name; use it in a `with` block."""
    return FeatureStore(runtime.store_file, runtime.store_gigabytes)


class FeatureStore:
    """Values (bytes) by key (bytes) in an SQLite file of at most `gigabytes`, or none (None).

    Many processes may use it at once. A value that was damaged on the disk counts as missing. When
    the file itself cannot be used, it says so once on stderr and does as if it were empty. A file
    that is damaged is deleted then, one that another program wrote never.
    """

    def __init__(self, path: Path | None, gigabytes: float):
        self.path, self.limit, self.file = path, gigabytes * 1e9, None
        if path:
            self.file = self._guarded(StoreFile, path)

    @property
    def connection(self) -> sqlite3.Connection | None:
        """The connection to the file, or None where there is none that can be used."""
        return self.file and self.file.connection

    @property
    def largest(self) -> float:
        """How many bytes a value may have to be kept; 0 where nothing is."""
        return min(LARGEST, self.limit / 4) if self.connection else 0

    def _guarded(self, act, *arguments):
        """Call `act`; where the file is of no use, go on without it."""
        try:
            return act(*arguments)
        except store_file.UNUSABLE as error:
            self.close(store_file.is_damage(error))
            said = f"{error}; going on without it ({store_file.advice(error, self.path)})"
            print(f"feature store {self.path}: {said}", file=sys.stderr)
            return None

    def get(self, wanted: Sequence[bytes]) -> dict[bytes, bytes]:
        """Return the values of those keys that are there, undamaged."""
        found = {}
        for start in range(0, len(wanted), AT_ONCE):
            if self.connection:
                part = list(wanted[start : start + AT_ONCE])
                found |= self._guarded(self._get, part) or {}
        return found

    def _get(self, wanted: list[bytes]) -> dict[bytes, bytes]:
        marks = ",".join("?" * len(wanted))
        rows = self.connection.execute(
            f"SELECT key, value FROM features WHERE key IN ({marks})", wanted
        ).fetchall()
        with self.connection:
            self.connection.execute(
                f"UPDATE features SET used = ? WHERE key IN ({marks})", [time.time(), *wanted]
            )
        return {key: value[CHECK:] for key, value in rows if value and _is_whole(key, value)}

    def put(self, values: Iterable[tuple[bytes, bytes]]) -> None:
        """Keep values by their keys, in place of earlier ones; then make room where it lacks.

        Values larger than a quarter of the limit, or 500 MB, are not kept.
        """
        if self.connection:
            small = [(key, value) for key, value in values if len(value) <= self.largest]
            self._guarded(self._put, [(key, _check(key, value) + value) for key, value in small])

    def _put(self, values: list[tuple[bytes, bytes]]) -> None:
        with self.connection:
            self.connection.executemany(
                "INSERT OR REPLACE INTO features VALUES (?, ?, ?)",
                [(*each, time.time()) for each in values],
            )
            faults.point("storing")
        faults.point("stored")
        if self.size() > self.limit:
            self.prune(self.limit * PRUNE_TO)

    def size(self) -> int:
        """Return how many bytes of the file are in use."""
        page, pages, free = (
            self.connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("page_size", "page_count", "freelist_count")
        )
        return page * (pages - free)

    def count(self) -> int:
        """Return how many values there are."""
        return self.connection.execute("SELECT COUNT(*) FROM features").fetchone()[0]

    def prune(self, limit: float) -> None:
        """Remove what was not used for longest until no more than `limit` bytes are in use."""
        while self.size() > limit and self.count():
            with self.connection:
                self.connection.execute(
                    "DELETE FROM features WHERE key IN "
                    "(SELECT key FROM features ORDER BY used LIMIT MAX(1, ?))",
                    [self.count() // 20],
                )
        self.connection.executescript("PRAGMA incremental_vacuum")

    def __enter__(self) -> "FeatureStore":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    def close(self, damaged: bool = False) -> None:
        if self.file:
            self.file.close(damaged)
        self.file = None


def _check(key: bytes, value: bytes) -> bytes:
    return hashlib.sha256(key + value).digest()[:CHECK]


def _is_whole(key: bytes, value: bytes) -> bool:
    return _check(key, value[CHECK:]) == value[:CHECK]
