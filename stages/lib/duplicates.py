"""Find pictures that show the same: equal files, equal pixels, near-duplicates, given groups.

Near-duplicates are what is left of one picture after another compression, size or brightness. They
are found by the perceptual hash of imagehash: the signs of the 16 x 16 lowest frequencies of a
64 x 64 grey version against their median, 256 bits (hackerfactor.com, "Looks Like It", 2011).
"""

from collections.abc import Iterator
from typing import NamedTuple

import imagehash
import numpy as np
import pandas as pd
from PIL import Image
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

SIDE = 16  # of the square of frequencies
SHRUNK = 4 * SIDE  # side of the grey version
LEAST_SIDE = 2 * SIDE  # pixels: a smaller picture has not that much detail
LEAST_CONTRAST = 2.0  # grey levels, standard deviation: a flatter one has only noise


class Groups(NamedTuple):
    """Which pictures belong together.

    of: int (n,), equal for rows of one group. near: pairs of rows that are near-duplicates, int
    (k, 2). note: why near-duplicates were not sought in some or all, or "".
    """

    of: np.ndarray
    near: np.ndarray
    note: str


def fingerprint(picture: Image.Image) -> str:
    """Return the perceptual hash as 64 hexadecimal digits; "" where it would tell of noise alone.

    That is so for a side under LEAST_SIDE and for flat pictures, which would all look alike.
    """
    if min(picture.size) < LEAST_SIDE:
        return ""
    grey = picture.convert("L").resize((SHRUNK, SHRUNK), Image.Resampling.LANCZOS, reducing_gap=2)
    if np.asarray(grey).std() < LEAST_CONTRAST:
        return ""
    return str(imagehash.phash(grey, hash_size=SIDE))


def group(manifest: pd.DataFrame, distance: int | None) -> Groups:
    """Join rows of the same group, sha256 or pixel_sha256, and those with phash within `distance`.

    `distance` is the number of differing bits, of 256; None seeks no near-duplicates. Where the
    hash merges what only looks alike (see `_misleads`), near-duplicates are left out as a whole.
    """
    rows, none = len(manifest), np.empty((0, 2), int)
    same = [_links(manifest[column]) for column in ("group", "sha256", "pixel_sha256")]
    if distance is None:
        return Groups(_components(rows, same), none, "near-duplicates are not sought")
    hashed = np.flatnonzero(manifest["phash"] != "")
    near = hashed[near_pairs(list(manifest["phash"].iloc[hashed]), distance)]
    if _misleads(near, manifest["label"]):
        note = "pictures look too much alike at low detail; near-duplicates are not sought"
        return Groups(_components(rows, same), none, note)
    small = rows - len(hashed)
    note = f"near-duplicates are not sought in {small} small or flat pictures" if small else ""
    return Groups(_components(rows, [*same, near]), near, note)


def near_pairs(hashes: list[str], distance: int) -> np.ndarray:
    """Return all pairs of positions whose hexadecimal hashes differ in at most `distance` bits.

    int (k, 2), each pair once. Of `distance` + 1 pieces of a hash at least one must be equal in
    both, so only such pairs are compared (Manku, Jain and Das Sarma, WWW 2007).
    """
    if not hashes:
        return np.empty((0, 2), int)
    data = np.frombuffer(bytes.fromhex("".join(hashes)), "uint8").reshape(len(hashes), -1)
    bits = np.unpackbits(data, axis=1)
    pairs = [np.empty((0, 2), int)]
    for piece in np.array_split(bits, distance + 1, axis=1):
        _, keys = np.unique(piece, axis=0, return_inverse=True)
        for first, second in _equal(keys):
            apart = (bits[first] != bits[second]).sum(axis=1)
            close = np.stack([first, second], axis=1)[apart <= distance]
            pairs.append(np.sort(close, axis=1))
    return np.unique(np.concatenate(pairs), axis=0)


def _equal(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of positions with equal keys, in blocks of at most len(keys)."""
    order = np.argsort(keys, kind="stable")
    for step in range(1, len(keys)):
        same = keys[order[step:]] == keys[order[:-step]]
        if not same.any():
            return
        yield order[:-step][same], order[step:][same]


def _links(column: pd.Series) -> np.ndarray:
    """Return pairs of rows that join all rows of an equal value; "" joins none."""
    rows = pd.Series(range(len(column)), index=column.index)
    first = rows.groupby(column).transform("first")
    return np.stack([first, rows], axis=1)[(column != "") & (first != rows)]


def _components(rows: int, pairs: list[np.ndarray]) -> np.ndarray:
    first, second = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(rows, rows))
    return connected_components(graph, directed=False)[1]


def _misleads(near: np.ndarray, labels: pd.Series) -> bool:
    """Tell whether the hash joins pictures that only look alike.

    True near-duplicates share their class, but for a few mistaken labels, and come in small groups.
    So it does mislead when of at least ten pairs half as many cross classes as would by chance, or
    when one group holds a third of at least thirty pictures.
    """
    label = labels.to_numpy()
    crossing = label[near[:, 0]] != label[near[:, 1]]
    by_chance = 1 - (labels.value_counts(normalize=True) ** 2).sum()
    largest = np.bincount(_components(len(labels), [near])).max()
    return bool(
        (len(near) >= 10 and crossing.mean() > by_chance / 2)
        or (len(labels) >= 30 and largest > len(labels) / 3)
    )
