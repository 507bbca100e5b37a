"""Check all images of a set by their content: which are valid, and what to say of the others."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pandas as pd
from tqdm import tqdm

from thaw.data import value_range
from thaw.data.corrections import Corrected
from thaw.data.inspection import Facts
from thaw.images.bands import ALPHA
from thaw.images.image_checks import InvalidImage
from thaw.images.loader import prefetch
from thaw.images.settings import Decoding
from thaw.labels.layout import Found
from thaw.project import engine
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from thaw.project.settings import Runtime
from thaw.sources.settings import Data

NAMED = 3  # reasons in a message
LISTED = "; all are in data/quarantine.csv"
REPORTS = "data/quarantine.csv names each, metrics/download/quarantine.png shows them"


def check(
    found: list[Found], root: Path, inspect: Callable[[Path], Facts], runtime: Runtime
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inspect every image and return the manifest and the quarantine, together one row for each.

    manifest: path (below `root`), label, given_split, group, and the image's Facts, but `largest`
    only where any image has one. quarantine: path, label, reason. Shows a progress bar on a
    terminal. `inspect` can be pickled.
    """
    task = functools.partial(judge, inspect=inspect, runtime=runtime)
    outcomes = [None] * len(found)
    for rows, judged in engine.map_shards(task, [(each.path,) for each in found], runtime):
        outcomes[rows] = judged
    valid, invalid = [], []
    for (path, label, given, group), outcome in zip(found, outcomes):
        place = [path.relative_to(root).as_posix(), label]
        if isinstance(outcome, str):
            invalid.append([*place, outcome])
        else:
            valid.append([*place, given, group, *outcome])
    manifest = pd.DataFrame(
        valid, columns=["path", "label", "given_split", "group", *Facts._fields]
    )
    if not any(manifest["largest"].astype(str)):
        manifest = manifest.drop(columns="largest")
    return manifest, pd.DataFrame(invalid, columns=["path", "label", "reason"])


def judge(
    items: Sequence[tuple[Path]], _: None, inspect: Callable[[Path], Facts], runtime: Runtime
) -> list[Facts | str]:
    """Return the facts of each image, or why it is invalid; works on this host's threads."""

    def one(path: Path) -> Facts | str:
        try:
            return inspect(path)
        except InvalidImage as reason:
            return str(reason)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; the pixels count
        outcomes = prefetch(one, [path for (path,) in items], runtime.threads)
        return [*tqdm(outcomes, total=len(items), desc="audit", unit=" images", disable=None)]


def check_alike(
    found: list[Found], root: Path, inspect: Callable[[Path, Decoding], Facts],
    decoding: Decoding, runtime: Runtime,
) -> tuple[pd.DataFrame, pd.DataFrame]:  # fmt: skip
    """Do as `check` does, with all files of 16 bits a value decoded alike.

    With `bits` auto each is first inspected at its own bits. When those of the whole set are known,
    the ones that differ are inspected again.
    """
    first = functools.partial(inspect, settings=decoding)
    manifest, invalid = check(found, root, first, runtime)
    settled = value_range.of_set(decoding, manifest)
    differ = value_range.decoded_otherwise(manifest, decoding, settled)
    if len(differ):
        paths = {root / path for path in manifest.loc[differ, "path"]}
        chosen = [each for each in found if each.path in paths]
        again, _ = check(chosen, root, functools.partial(inspect, settings=settled), runtime)
        manifest.loc[differ, again.columns] = again.to_numpy()
    return manifest, invalid


def with_unlabelled(
    quarantine: pd.DataFrame, unlabelled: Mapping[Path, str], root: Path
) -> pd.DataFrame:
    """Add the images that have no class, and why, to the quarantine; their label is ""."""
    rows = [(path.relative_to(root).as_posix(), "", why) for path, why in unlabelled.items()]
    return pd.concat([quarantine, pd.DataFrame(rows, columns=quarantine.columns)])


def part_contradictions(
    manifest: pd.DataFrame, quarantine: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move every image that is there under two classes from the manifest to the quarantine."""
    classes = manifest.groupby("pixel_sha256")["label"].transform("nunique")
    invalid = manifest[classes > 1]
    other = {
        digest: rows.drop_duplicates("label")[["label", "path"]].to_numpy().tolist()
        for digest, rows in invalid.groupby("pixel_sha256")
    }
    reasons = []
    for row in invalid.itertuples():
        label, path = next(each for each in other[row.pixel_sha256] if each[0] != row.label)
        reasons.append(f"the same image is under class {label!r} as {path}")
    moved = invalid[["path", "label"]].assign(reason=reasons)
    both = pd.concat([quarantine, moved]).sort_values("path", ignore_index=True)
    return manifest[classes <= 1].reset_index(drop=True), both


def refuse(
    found: list[Found], manifest: pd.DataFrame, invalid: pd.DataFrame, settings: Data
) -> None:
    """Raise UserError when there is more that is invalid than the user wants to go on without.

    With `on_invalid: fail` that is anything, with quarantine more than the fraction `max_invalid`;
    and always when a class has nothing else.
    """
    images = len(found) + int((invalid["label"] == "").sum())  # those without a class, too
    known = f"{reasons(invalid)}{LISTED}"
    if images and not len(manifest):
        raise UserError(f"none of the {images} images is valid: {known}; fix them first")
    if len(invalid) and settings.on_invalid == "fail":
        raise UserError(
            f"{len(invalid)} of {images} images are invalid: {known}",
            "data.on_invalid",
            "fix or remove them, or set this to quarantine",
        )
    if len(invalid) > settings.max_invalid * images:
        raise UserError(
            f"{len(invalid)} of {images} images are invalid, more than "
            f"{settings.max_invalid:g} of all: {known}",
            "data.max_invalid",
            "fix or remove them, or raise this",
        )
    lost = sorted({each.label for each in found} - set(manifest["label"]))
    if lost:
        of_class = reasons(invalid[invalid["label"] == lost[0]])
        raise UserError(
            f"class {lost[0]!r} has no valid image left: {of_class}; fix them, or remove the class"
        )


def reasons(invalid: pd.DataFrame) -> str:
    """Say why images are invalid: the first reasons, each with an image and how many more."""
    groups = [rows["path"].tolist() for _, rows in invalid.groupby("reason", sort=False)]
    said = [
        f"{one_line(paths[0])}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} "
        f"({one_line(reason)})"
        for reason, paths in zip(invalid["reason"].unique(), groups)
    ]
    return "; ".join(said[:NAMED]) + (" ..." if len(said) > NAMED else "")


def counts(
    manifest: pd.DataFrame, quarantine: pd.DataFrame, corrected: Corrected, skipped: int
) -> dict[str, int]:
    """Return how many files were found, skipped, corrected, and of special kinds.

    found = used + quarantined + left_out (by corrections).
    """
    left_out = corrected.left_out
    return {
        "found": len(manifest) + len(quarantine) + left_out,
        "used": len(manifest),
        "quarantined": len(quarantine),
        "left_out": left_out,
        "relabelled": len(corrected.images) - left_out,
        "kept": corrected.kept,
        "skipped": skipped,
        "more_frames": int((manifest["more_frames"] == "yes").sum()),
        "turned_by_exif": int((manifest["orientation"] != 1).sum()),
        "transparent": int(manifest["mode"].str.rstrip("X").isin(ALPHA).sum()),
        "further_bands": int(manifest["mode"].str.endswith("X").sum()),
    }


def summary(counts: dict[str, int], invalid: pd.DataFrame, notes: list[str]) -> str:
    """Say in a few lines what `counts` holds, and last which images are left out and why.

    `notes`: what else is to be said, "" for nothing.
    """
    lines = ["{found} images found = {used} used + {quarantined} quarantined"]
    if counts["left_out"]:
        lines[0] += " + {left_out} left out by corrections"
    if counts["left_out"] or counts["relabelled"] or counts["kept"]:
        lines.append(
            "corrections: {relabelled} relabelled, {left_out} left out, {kept} kept; "
            "data/corrected.csv has the first two"
        )
    if counts["skipped"]:
        lines.append("{skipped} other files skipped: hidden, tables, notes, or not in the layout")
    if counts["more_frames"]:
        lines.append("{more_frames} have more frames or pages; the first of each is used")
    if counts["turned_by_exif"]:
        lines.append("{turned_by_exif} have an EXIF orientation (images.apply_exif_orientation)")
    if counts["transparent"]:
        lines.append(
            "{transparent} have a band that their files call transparency; images.background shows "
            "through there"
        )
    if counts["further_bands"]:
        lines.append(
            "{further_bands} have bands besides the colours, such as infrared, that are not used"
        )
    said = "\n".join([*(each.format(**counts) for each in lines), *filter(None, notes)])
    if not len(invalid):
        return said
    return (
        f"{said}\nLEFT OUT as invalid: {len(invalid)} of {counts['found']} images: "
        f"{reasons(invalid)}\n  {REPORTS}; data.on_invalid: fail stops at them instead"
    )
