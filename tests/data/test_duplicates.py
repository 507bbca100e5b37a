import io

import numpy as np
import pandas as pd
import pytest
from PIL import Image, ImageEnhance
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from sklearn.datasets import load_digits, load_sample_images

from thaw.data import duplicates

PHOTOS = [Image.fromarray(image) for image in load_sample_images().images]


def distance(a: str, b: str) -> int:
    return (int(a, 16) ^ int(b, 16)).bit_count()


def again(image: Image.Image, quality: int) -> Image.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=quality)
    return Image.open(buffer)


@pytest.mark.parametrize("photo", PHOTOS)
@pytest.mark.parametrize(
    "change",
    [
        lambda photo: again(photo, 50),
        lambda photo: photo.resize((photo.width // 3, photo.height // 3), Image.Resampling.BICUBIC),
        lambda photo: photo.convert("L"),
        lambda photo: ImageEnhance.Contrast(photo).enhance(0.9),
    ],
    ids=["compressed", "shrunk", "grey", "paler"],
)
def test_what_is_left_of_a_photo_stays_near(photo, change):
    before, after = duplicates.perceptual_hash(photo), duplicates.perceptual_hash(change(photo))
    assert len(before) == 64
    assert distance(before, after) <= 12


def test_other_photos_are_far():
    assert distance(*map(duplicates.perceptual_hash, PHOTOS)) > 80
    mirrored = PHOTOS[0].transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    assert (
        distance(duplicates.perceptual_hash(PHOTOS[0]), duplicates.perceptual_hash(mirrored)) > 80
    )


def test_small_and_flat_images_have_none():
    assert duplicates.perceptual_hash(PHOTOS[0].resize((31, 300))) == ""
    assert duplicates.perceptual_hash(Image.new("RGB", (99, 99), (9, 200, 7))) == ""
    assert duplicates.perceptual_hash(PHOTOS[0].resize((32, 32))) != ""


def hashes(count: int, near: int, seed: int = 0) -> list[str]:
    """Random hashes, and `near` more which differ from the first ones in 0, 1, 2 ... bits."""
    random = np.random.default_rng(seed)
    bits = random.integers(0, 2, (count, 256), "uint8")
    close = bits[:near].copy()
    for row in range(near):
        close[row, random.choice(256, row, replace=False)] ^= 1
    return [np.packbits(row).tobytes().hex() for row in np.concatenate([bits, close])]


@pytest.mark.parametrize("limit", [0, 1, 5, 12, 40])
def test_all_pairs_up_to_the_distance_are_joined(limit):
    some = hashes(61, 45) + hashes(61, 45)[50:70]  # some of them twice
    count = len(some)
    near = [[distance(one, other) <= limit for other in some] for one in some]
    expected = connected_components(np.array(near))[1]
    pairs = duplicates.near_pairs(some, limit)
    assert all(near[one][other] for one, other in pairs)
    joined = coo_array((np.ones(len(pairs)), pairs.T), shape=(count, count))
    assert np.array_equal(connected_components(joined)[1], expected)
    assert len(set(expected)) < 106


def test_thousands_of_near_images_cost_no_million_pairs():
    base, random = hashes(1, 0)[0], np.random.default_rng(0)
    bits = np.unpackbits(np.frombuffer(bytes.fromhex(base), "uint8"))
    many = np.repeat(bits[None], 3000, axis=0)
    many[np.arange(3000), random.integers(0, 256, 3000)] ^= 1  # one bit each: all are near
    some = [np.packbits(row).tobytes().hex() for row in many] * 2
    pairs = duplicates.near_pairs(some, 12)
    assert len(pairs) < 20_000
    joined = coo_array((np.ones(len(pairs)), pairs.T), shape=(6000, 6000))
    assert connected_components(joined)[0] == 1


def test_no_hashes_no_pairs():
    assert duplicates.near_pairs([], 12).shape == (0, 2)
    assert duplicates.near_pairs(hashes(1, 0), 12).shape == (0, 2)
    assert duplicates.near_pairs(hashes(1, 1), 12).tolist() == [[0, 1]]


def table(phash: list[str], labels: list[str] | None = None, **columns) -> pd.DataFrame:
    rows = len(phash)
    unique = [f"{number:064x}" for number in range(rows)]
    values = {"group": [""] * rows, "sha256": unique, "pixel_sha256": unique, **columns}
    return pd.DataFrame({"label": labels or ["a"] * rows, "phash": phash, **values})


def test_rows_are_joined_by_group_file_pixels_and_hash():
    manifest = table(
        hashes(5, 1) + [""] * 3,
        group=["", "", "", "g", "g", "", "", "", ""],
        sha256=list("012245678"),
        pixel_sha256=list("012345088"),
    )
    groups = duplicates.group(manifest, 12)
    # 0 with 5 by hash and with 6 by pixels, 2 with 3 by file, 3 with 4 by group, 7 with 8 by pixels
    sets = pd.Series(range(9)).groupby(groups.of).agg(list).tolist()
    assert sorted(sets) == [[0, 5, 6], [1], [2, 3, 4], [7, 8]]
    assert groups.near.tolist() == [[0, 5]]
    assert groups.note == "near-duplicates are not sought in 3 small or flat images"


def test_none_seeks_no_near_duplicates():
    groups = duplicates.group(table(hashes(3, 2)), None)
    assert len(set(groups.of)) == 5
    assert groups.note == "near-duplicates are not sought"


@pytest.mark.parametrize("side", [8, 32, 64])
def test_digits_do_not_collapse(side):
    digits = load_digits()
    images = [
        Image.fromarray((image * 15).astype("uint8")).resize((side, side), Image.Resampling.BICUBIC)
        for image in digits.images
    ]
    labels = digits.target.astype(str).tolist()
    manifest = table([duplicates.perceptual_hash(each) for each in images], labels)
    groups = duplicates.group(manifest, 12)
    assert len(set(groups.of)) >= 1790
    wide = duplicates.group(manifest, 40)
    assert len(set(wide.of)) >= 1600
    assert groups.note == ("" if side >= 32 else "near-duplicates are not sought in 1797 small or "
                           "flat images")  # fmt: skip


def test_a_hash_that_joins_classes_is_not_used():
    manifest = table(hashes(1, 1) * 20, list("ab") * 20)
    groups = duplicates.group(manifest, 12)
    assert len(set(groups.of)) == 40
    assert "look too much alike at low detail; near-duplicates are not sought" in groups.note


def test_a_hash_that_joins_a_third_of_all_is_not_used():
    manifest = table(hashes(40, 0) + hashes(1, 1, seed=1) * 11)
    assert len(set(duplicates.group(manifest, 12).of)) == 62
    assert len(set(duplicates.group(manifest.iloc[:50], 12).of)) == 41


def test_copies_of_one_file_do_not_hide_the_near_duplicates_of_others():
    manifest = table(hashes(30, 2) + hashes(1, 0, seed=1) * 20)
    for column in ("sha256", "pixel_sha256"):
        manifest.loc[32:, column] = "the same"
    groups = duplicates.group(manifest, 12)
    assert len(set(groups.of)) == 31
    assert groups.near.tolist() == [[0, 30], [1, 31]]
    assert (groups.sought, groups.note) == (52, "")
