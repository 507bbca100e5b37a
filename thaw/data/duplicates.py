"""Find images that show the same: equal files, equal pixels, near-duplicates, given groups.

Near-duplicates are what is left of one image after another compression or size. They are found by
a perceptual hash: whether each of the 16 x 16 lowest frequencies of a 64 x 64 grey version is above
their median, 256 bits (hackerfactor.com, "Looks Like It", 2011).
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import pandas as pd
from PIL import Image

SIDE = 16  # of the square of frequencies
SHRUNK = 4 * SIDE  # side of the grey version
LEAST_SIDE = 2 * SIDE  # pixels: a smaller image has not that much detail
LEAST_CONTRAST = 2.0  # grey levels, standard deviation: a flatter one has only noise


class Groups(NamedTuple):
    """Which images belong together.

    of: int (n,), equal for rows of one group. near: pairs of rows that join near-duplicates, int
    (k, 2). sought: in how many images those were looked for. note: why not in all, or "".
    """

    of: np.ndarray
    near: np.ndarray
    sought: int
    note: str


def perceptual_hash(image: Image.Image) -> str:
    """Return the perceptual hash as 64 hexadecimal digits; "" where it would tell of noise alone.

    That is so for a side under LEAST_SIDE and for flat images, which would all look alike.
    """
    if min(image.size) < LEAST_SIDE:
        return ""
    grey = image.convert("L").resize((SHRUNK, SHRUNK), Image.Resampling.LANCZOS, reducing_gap=2)
    values = np.asarray(grey)
    if values.std() < LEAST_CONTRAST:
        return ""
    from scipy.fft import dctn  # here, as split only compares

    lowest = dctn(values.astype("float64"))[:SIDE, :SIDE]
    return np.packbits(lowest > np.median(lowest)).tobytes().hex()


def group(manifest: pd.DataFrame, distance: int | None) -> Groups:
    """Join rows of the same group, sha256 or pixel_sha256, and those with phash within `distance`.

    `distance` is the number of differing bits, of 256; None seeks no near-duplicates. Where the
    hash merges what only looks alike (see `_misleads`), near-duplicates are left out as a whole.
    """
    rows, none = len(manifest), np.empty((0, 2), int)
    same = [_links(manifest[column]) for column in ("group", "sha256", "pixel_sha256")]
    if distance is None:
        return Groups(_components(rows, same), none, 0, "near-duplicates are not sought")
    has_hash = manifest["phash"] != ""
    hashed = np.flatnonzero(has_hash & ~manifest["pixel_sha256"].duplicated())
    near = hashed[near_pairs(list(manifest["phash"].iloc[hashed]), distance)]
    if _misleads(near, hashed, manifest["label"]):
        note = "images look too much alike at low detail; near-duplicates are not sought"
        return Groups(_components(rows, same), none, 0, note)
    sought = int(has_hash.sum())
    small = rows - sought
    note = f"near-duplicates are not sought in {small} small or flat images" if small else ""
    return Groups(_components(rows, [*same, near]), near, sought, note)


def near_pairs(hashes: list[str], distance: int) -> np.ndarray:
    """Return pairs of positions that join all hashes (hexadecimal) within `distance` bits.

    int (k, 2). Not all close pairs are among them, but any two that a chain of close pairs joins
    are joined by these, so a thousand frames of one scene cost no million pairs. Of `distance` + 1
    pieces of a hash at least one must be equal in both, so only such pairs are compared (Manku,
    Jain and Das Sarma, WWW 2007).
    """
    if not hashes:
        return np.empty((0, 2), int)
    values, first, inverse = np.unique(hashes, return_index=True, return_inverse=True)
    again = np.flatnonzero(first[inverse] != np.arange(len(hashes)))
    equal = np.stack([first[inverse[again]], again], axis=1)
    data = np.frombuffer(bytes.fromhex("".join(values)), "uint8").reshape(len(values), -1)
    bits, words = np.unpackbits(data, axis=1), data.view("uint64")
    found, of = [np.empty((0, 2), int)], np.arange(len(values))
    for piece in np.array_split(bits, distance + 1, axis=1):
        _, keys = np.unique(piece, axis=0, return_inverse=True)
        for one, other in _equal(keys):
            new = of[one] != of[other]
            one, other = one[new], other[new]
            close = np.bitwise_count(words[one] ^ words[other]).sum(axis=1) <= distance
            if close.any():
                found.append(np.stack([one[close], other[close]], axis=1))
                of = _components(len(values), found)
    return np.concatenate([equal, first[np.concatenate(found)]])


def _equal(keys: np.ndarray) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield all pairs of positions with equal keys, in blocks of at most len(keys)."""
    order = np.argsort(keys, kind="stable")
    starts, step = np.arange(len(keys)), 0
    while len(starts):
        step += 1
        starts = starts[starts + step < len(keys)]
        starts = starts[keys[order[starts]] == keys[order[starts + step]]]
        yield order[starts], order[starts + step]


def _links(column: pd.Series) -> np.ndarray:
    """Return pairs of rows that join all rows of an equal value; "" joins none."""
    rows = pd.Series(range(len(column)), index=column.index)
    first = rows.groupby(column).transform("first")
    return np.stack([first, rows], axis=1)[(column != "") & (first != rows)]


def _components(rows: int, pairs: list[np.ndarray]) -> np.ndarray:
    from scipy.sparse import coo_array  # here, as download only hashes
    from scipy.sparse.csgraph import connected_components

    first, second = np.concatenate(pairs).T
    graph = coo_array((np.ones(len(first), bool), (first, second)), shape=(rows, rows))
    return connected_components(graph, directed=False)[1]


def _misleads(near: np.ndarray, hashed: np.ndarray, labels: pd.Series) -> bool:
    """Tell whether the hash joins images, of the rows `hashed`, that only look alike.

    True near-duplicates share their class, but for a few mistaken labels, and come in small groups.
    So it does mislead when of at least ten pairs half as many cross classes as would by chance, or
    when one group holds a third of at least thirty images.
    """
    label = labels.to_numpy()
    crossing = label[near[:, 0]] != label[near[:, 1]]
    by_chance = 1 - (labels.value_counts(normalize=True) ** 2).sum()
    largest = np.bincount(_components(len(labels), [near])).max()
    return bool(
        (len(near) >= 10 and crossing.mean() > by_chance / 2)
        or (len(hashed) >= 30 and largest > len(hashed) / 3)
    )
