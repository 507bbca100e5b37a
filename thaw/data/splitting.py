"""Put each image into train, validation or test by a hash of its content."""

import hashlib
from typing import NamedTuple

import numpy as np
import pandas as pd

from thaw.data import class_minimum
from thaw.data.duplicates import Groups
from thaw.data.manifest import SPLITS
from thaw.data.settings import Split
from thaw.project.errors import UserError

LISTED, FEWEST = 60, 20  # classes in the table of counts: at most all, of more the smallest
EXCLUDED = "excluded"  # from all splits, since others of its group are in one
KEEPS = ("test", "validation", "train")  # which split keeps a group where as many are in each


def position(key: str, seed: int) -> float:
    """Return a key's place in [0, 1): the same for the same key, unrelated to any other's."""
    digest = hashlib.sha256(f"{seed}:{key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def assign(manifest: pd.DataFrame, groups: Groups, settings: Split) -> pd.Series:
    """Return "train", "validation", "test" or "excluded" for each row of the manifest.

    `own_splits` gives each image a split. Where a group then lies in several, the one with most of
    its images keeps them (KEEPS decides between equal ones) and the others are excluded. So no
    group is in two splits. A class with fewer than `min_per_class` images in validation or test
    gets those nearest to the limit of the hash. All other images are in their own split or
    excluded, so no image that is added ever moves another one but these few.

    Raises UserError when a class has too few images for that or lacks one of the source's own
    splits, and with `on_leak: refuse` when these share a group.
    """
    if settings.on_leak == "refuse":
        _check_given(manifest, groups)
    split = keep_one_split(own_splits(manifest, settings), groups.of)
    parts = _cut(manifest, settings).parts
    need = {name: settings.min_per_class if name in parts else 1 for name in SPLITS}
    need["train"] = 1
    of = pd.Series(groups.of, index=manifest.index)
    places = _places(manifest, settings)
    split = class_minimum.fill(manifest["label"], split, of, places, parts, need)
    class_minimum.check(manifest, split, of, parts, need)
    return split


class _Cut(NamedTuple):
    """Which images are cut, of those that the source puts into `given`, and where into which."""

    given: set[str]
    parts: class_minimum.Parts


def _cut(manifest: pd.DataFrame, settings: Split) -> _Cut:
    """Return what is cut of the source's splits.

    Where the source gives no split, or train images only, all are cut at the two fractions. Where
    it gives train and validation only, test is cut off validation; train and test only, validation
    off train.
    """
    given = set(manifest["given_split"])
    if given in ({""}, {"train"}):
        test, both = settings.test, settings.test + settings.validation
        return _Cut(given, {"test": (0, test), "validation": (test, both), "train": (both, 1)})
    if given == {"train", "validation"}:
        test = settings.test_of_validation
        return _Cut({"validation"}, {"test": (0, test), "validation": (test, 1)})
    if given == {"train", "test"}:
        validation = settings.validation
        return _Cut({"train"}, {"validation": (0, validation), "train": (validation, 1)})
    if given != set(SPLITS):
        raise UserError(f"the source has only {', '.join(sorted(given))} images; add train ones")
    return _Cut(set(), {})


def _places(manifest: pd.DataFrame, settings: Split) -> pd.Series:
    """Return the place in [0, 1) of each image: of its group if the source names one, else its own.

    That depends on the file or the group's name and the seed alone.
    """
    key = manifest["sha256"].where(manifest["group"] == "", "group " + manifest["group"])
    return key.map(lambda each: position(each, settings.seed))


def own_splits(manifest: pd.DataFrame, settings: Split) -> pd.Series:
    """Return the split of each image by its own content: "train", "validation" or "test".

    The source's own one, but for what is cut (`_cut`). The part of a class that falls into a split
    varies around the fraction by chance.
    """
    place, cut = _places(manifest, settings), _cut(manifest, settings)
    split = manifest["given_split"].copy()
    is_cut = split.isin(cut.given)
    for name, (low, high) in cut.parts.items():
        split[is_cut & (place >= low) & (place < high)] = name
    return split


def keep_one_split(own: pd.Series, groups: np.ndarray) -> pd.Series:
    """Return `own` with "excluded" for all images of a group but those in its one split."""
    table = pd.DataFrame({"group": groups, "split": own.to_numpy()})
    counts = table.value_counts().rename("images").reset_index()
    counts["rank"] = counts["split"].map(KEEPS.index)
    counts = counts.sort_values(["group", "images", "rank"], ascending=[True, False, True])
    kept = counts.drop_duplicates("group").set_index("group")["split"]
    return own.where(own.to_numpy() == kept[groups].to_numpy(), EXCLUDED)


def counts(labels: pd.Series, split: pd.Series) -> pd.DataFrame:
    """Return the number of images by class (rows, sorted) and split (columns, excluded last)."""
    return pd.crosstab(labels, split).reindex(columns=[*SPLITS, EXCLUDED], fill_value=0)


def table(counts: pd.DataFrame) -> str:
    """Write what `counts` gave, of more than LISTED classes those with the fewest images."""
    counts = counts.rename_axis(index=None, columns=None)
    if len(counts) <= LISTED:
        return counts.to_string()
    few = counts.iloc[np.argsort(counts.sum(axis=1), kind="stable")[:FEWEST]]
    return f"the {FEWEST} classes with the fewest images, of {len(counts):,}:\n{few.to_string()}"


def report(
    manifest: pd.DataFrame, quarantined: int, corrected: pd.DataFrame, groups: Groups,
    split: pd.Series, settings: Split,
) -> dict:  # fmt: skip
    """Return what metrics/split.json says: images, classes, groups and duplicates, as counts.

    corrected: what `corrections.apply` says of images. test_set: a digest of the test images and
    their labels, which is another one where what is tested on has changed.
    divided_groups: how many groups the images' own splits would have divided, before, and how many
    are divided in the end (`after`, always 0). moved_for_min_per_class: how many images are in
    another split than their own.
    """
    own, used = own_splits(manifest, settings), split != EXCLUDED
    left_out = corrected["corrected"] == ""
    relabelled = split[manifest["path"].isin(corrected["path"][~left_out])]
    sizes = np.bincount(groups.of)
    identical = {
        name: int((manifest[column].duplicated(keep=False)).sum())
        for name, column in {"same_file": "sha256", "same_pixels": "pixel_sha256"}.items()
    }
    return {
        "images": {
            "found": len(manifest) + quarantined + int(left_out.sum()),
            "quarantined": quarantined,
            "left_out": int(left_out.sum()),
            "excluded": int((~used).sum()),
            "used": int(used.sum()),
        },
        "relabelled": {part: int((relabelled == part).sum()) for part in (*SPLITS, EXCLUDED)},
        "test_set": _digest(manifest[split == "test"]),
        "moved_for_min_per_class": int((used & (split != own)).sum()),
        "classes": counts(manifest["label"], split).to_dict("index"),
        "groups": {"of_several": int((sizes > 1).sum()), "largest": int(sizes.max())},
        "duplicates": {
            **identical,
            "near": len(np.unique(groups.near)),
            "near_sought_in": groups.sought,
        },
        "divided_groups": {
            "before": _divided(own, groups.of),
            "after": _divided(split[used], groups.of[used]),
        },
    }


def summary(report: dict, note: str) -> str:
    """Say in a few lines what belonged together and what became of it."""
    duplicates, divided = report["duplicates"], report["divided_groups"]
    lines = [
        "{same_file} images are there as the same file more than once, {same_pixels} with the "
        "same pixels, {near} as near-duplicates".format(**duplicates)
    ]
    if divided["before"]:
        lines.append(
            f"{divided['before']} groups would have been in several splits: {divided['after']} "
            f"are, {report['images']['excluded']} images are excluded for that"
        )
    if moved := report["moved_for_min_per_class"]:
        lines.append(f"{moved} images are in another split than by chance (split.min_per_class)")
    return "\n".join([*lines, *([note] if note else [])])


def _digest(rows: pd.DataFrame) -> str:
    """Digest contents and labels, in whatever order and under whatever names."""
    lines = sorted(rows["sha256"] + " " + rows["label"])
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def _divided(split: pd.Series, groups: np.ndarray) -> int:
    """Count the groups that have images in several splits."""
    return int((split.groupby(groups).nunique() > 1).sum())


def _check_given(manifest: pd.DataFrame, groups: Groups) -> None:
    divided = manifest["given_split"].groupby(groups.of).nunique() > 1
    if divided.any():
        first = manifest[groups.of == divided.idxmax()].drop_duplicates("given_split")["path"]
        raise UserError(
            f"{divided.sum()} groups of equal or near images are in two of the source's own "
            f"splits, the first as {first.iloc[0]} and {first.iloc[1]}",
            "split.on_leak",
            "remove one copy of each, or set this to repair",
        )
