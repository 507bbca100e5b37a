"""Look at every image by its content: what it is, and whether it is valid."""

import hashlib
import threading
import warnings
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image
from tqdm import tqdm

from thaw.data.duplicates import perceptual_hash
from thaw.images.image_checks import InvalidImage, check_kind, opened
from thaw.images.image_files import orientation, strips, to_rgb
from thaw.images.loader import prefetch
from thaw.images.settings import Decoding
from thaw.labels.layout import Found
from thaw.project import files
from thaw.project.errors import UserError
from thaw.sources.settings import Data

FIRST_FRAME = ("GIF", "PNG", "TIFF")  # moving or many pages: the first is the image
ALPHA = ("RGBA", "LA", "PA", "La", "RGBa")  # modes with a band for transparency
LARGE = 16_000_000  # pixels
one_large_image = threading.Lock()
NAMED = 3  # reasons in a message
LISTED = "; all are in data/quarantine.csv"
REPORTS = "data/quarantine.csv names each, metrics/download/quarantine.png shows them"


class Facts(NamedTuple):
    """What the manifest says of an image.

    sha256 is of the file, pixel_sha256 of its size and RGB pixels as they will be used, phash the
    perceptual hash of those (hexadecimal, "" for none). mode is Pillow's; width and height are in
    pixels after turning; orientation is the EXIF value, 1 to 8; more_frames, "yes" or "", tells of
    further frames or pages that are not used.
    """

    sha256: str
    pixel_sha256: str
    phash: str
    format: str
    mode: str
    width: int
    height: int
    orientation: int
    more_frames: str


def check(
    found: list[Found], root: Path, inspect: Callable[[Path], Facts], workers: int
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Inspect every image and return the manifest and the quarantine, together one row for each.

    manifest: path (below `root`), label, given_split, group, and the image's Facts. quarantine:
    path, label, reason. Works on `workers` threads and shows a progress bar on a terminal.
    """

    def judge(path: Path) -> Facts | str:
        try:
            return inspect(path)
        except InvalidImage as reason:
            return str(reason)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; the pixels count
        outcomes = prefetch(judge, [each.path for each in found], workers)
        bar = tqdm(outcomes, total=len(found), desc="audit", unit=" images", disable=None)
        outcomes = list(bar)
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
    return manifest, pd.DataFrame(invalid, columns=["path", "label", "reason"])


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
    known = f"{reasons(invalid)}{LISTED}"
    if len(found) and not len(manifest):
        raise UserError(f"none of the {len(found)} images is valid: {known}; fix them first")
    if len(invalid) and settings.on_invalid == "fail":
        raise UserError(
            f"{len(invalid)} of {len(found)} images are invalid: {known}",
            "data.on_invalid",
            "fix or remove them, or set this to quarantine",
        )
    if len(invalid) > settings.max_invalid * len(found):
        raise UserError(
            f"{len(invalid)} of {len(found)} images are invalid, more than "
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
        f"{paths[0]}{f' and {len(paths) - 1} more' if len(paths) > 1 else ''} ({reason})"
        for reason, paths in zip(invalid["reason"].unique(), groups)
    ]
    return "; ".join(said[:NAMED]) + (" ..." if len(said) > NAMED else "")


def counts(manifest: pd.DataFrame, quarantine: pd.DataFrame, skipped: int) -> dict[str, int]:
    """Return how many files were found (= used + quarantined), skipped, and of special kinds."""
    return {
        "found": len(manifest) + len(quarantine),
        "used": len(manifest),
        "quarantined": len(quarantine),
        "skipped": skipped,
        "more_frames": int((manifest["more_frames"] == "yes").sum()),
        "turned_by_exif": int((manifest["orientation"] != 1).sum()),
        "transparent": int(manifest["mode"].isin(ALPHA).sum()),
    }


def summary(counts: dict[str, int], invalid: pd.DataFrame) -> str:
    """Say in a few lines what `counts` holds, and last which images are left out and why."""
    lines = ["{found} images found = {used} used + {quarantined} quarantined"]
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
    said = "\n".join(lines).format(**counts)
    if not len(invalid):
        return said
    return (
        f"{said}\nLEFT OUT as invalid: {len(invalid)} of {counts['found']} images: "
        f"{reasons(invalid)}\n  {REPORTS}; data.on_invalid: fail stops at them instead"
    )


def inspect(path: Path, settings: Decoding, min_side: int, max_pixels: int) -> Facts:
    """Decode one file, or the one that a link leads to, and return its facts.

    Raises InvalidImage when it is no file, a link that leads nowhere, is not one whole image of a
    known format, or has a side under `min_side` or more than `max_pixels` (both in pixels, seen
    before decoding).
    Raises OSError when it cannot be read, and UserError when there is too little memory for it.
    """
    check_kind(path)
    with opened(path, min_side, max_pixels) as image, turn(image):
        more = image.format in FIRST_FRAME and getattr(image, "is_animated", False)
        rgb = to_rgb(image, settings)
        return Facts(
            sha256=files.sha256(path),
            pixel_sha256=pixel_sha256(rgb),
            phash=perceptual_hash(rgb),
            format=image.format,
            mode=image.mode,
            width=rgb.width,
            height=rgb.height,
            orientation=orientation(image),
            more_frames="yes" if more else "",
        )


def turn(image: Image.Image) -> AbstractContextManager:
    """Let large images be decoded one at a time; the others at will."""
    width, height = image.size
    return one_large_image if width * height > LARGE else nullcontext()


def pixel_sha256(image: Image.Image) -> str:
    """Digest the size and the pixels, in strips, as a large image is not to be there twice."""
    digest = hashlib.sha256("{} x {}".format(*image.size).encode())
    for box in strips(image):
        digest.update(image.crop(box).tobytes())
    return digest.hexdigest()
