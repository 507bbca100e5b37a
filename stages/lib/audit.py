"""Look at every picture by its content: what it is, and whether it can be used."""

import hashlib
import threading
import warnings
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from typing import NamedTuple

import pandas as pd
from PIL import Image
from tqdm import tqdm

from stages.lib import files
from stages.lib.duplicates import fingerprint
from stages.lib.errors import UserError
from stages.lib.layout import Found
from stages.lib.pictures import Pictures, orientation, strips, to_rgb
from stages.lib.usable import BadPicture, check_kind, opened

FIRST_FRAME = ("GIF", "PNG", "TIFF")  # moving or many pages: the first is the picture
LARGE = 16_000_000  # pixels
one_large_picture = threading.Lock()
NAMED = 3  # bad pictures in an error message


class Facts(NamedTuple):
    """What the manifest says of a picture.

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
    """Inspect every picture and return the manifest and the quarantine, together one row for each.

    manifest: path (below `root`), label, given_split, and the picture's Facts. quarantine: path,
    label, reason. Works on `workers` threads and shows a progress bar on a terminal.
    """

    def judge(path: Path) -> Facts | str:
        try:
            return inspect(path)
        except BadPicture as reason:
            return str(reason)

    with warnings.catch_warnings(), ThreadPoolExecutor(workers) as pool:
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata; the pixels count
        try:
            outcomes = pool.map(judge, [each.path for each in found])
            bar = tqdm(outcomes, total=len(found), desc="audit", unit=" pictures", disable=None)
            outcomes = list(bar)
        finally:
            pool.shutdown(cancel_futures=True)
    good, bad = [], []
    for (path, label, given), outcome in zip(found, outcomes):
        place = [path.relative_to(root).as_posix(), label]
        if isinstance(outcome, str):
            bad.append([*place, outcome])
        else:
            good.append([*place, given, *outcome])
    manifest = pd.DataFrame(good, columns=["path", "label", "given_split", *Facts._fields])
    return manifest, pd.DataFrame(bad, columns=["path", "label", "reason"])


def part_contradictions(
    manifest: pd.DataFrame, quarantine: pd.DataFrame
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Move every picture that is there under two classes from the manifest to the quarantine."""
    classes = manifest.groupby("pixel_sha256")["label"].transform("nunique")
    bad = manifest[classes > 1]
    other = {
        digest: rows.drop_duplicates("label")[["label", "path"]].to_numpy().tolist()
        for digest, rows in bad.groupby("pixel_sha256")
    }
    reasons = []
    for row in bad.itertuples():
        label, path = next(each for each in other[row.pixel_sha256] if each[0] != row.label)
        reasons.append(f"the same picture is under class {label!r} as {path}")
    moved = bad[["path", "label"]].assign(reason=reasons)
    both = pd.concat([quarantine, moved]).sort_values("path", ignore_index=True)
    return manifest[classes <= 1].reset_index(drop=True), both


def refuse(
    found: list[Found], manifest: pd.DataFrame, bad: pd.DataFrame, on_bad: str, max_bad: float
) -> None:
    """Raise UserError when there is more that is bad than the user wants to go on without.

    With `on_bad: fail` that is anything, with quarantine more than the share `max_bad`; and always
    when a class has nothing else.
    """
    first = "; ".join(f"{row.path} ({row.reason})" for row in bad.head(NAMED).itertuples())
    known = f"{first}{' ...' if len(bad) > NAMED else ''}; all are in data/quarantine.csv"
    if len(bad) and on_bad == "fail":
        raise UserError(
            f"{len(bad)} of {len(found)} pictures cannot be used: {known}; mend or remove them, or "
            "set data.on_bad to quarantine in params.yaml"
        )
    if len(bad) > max_bad * len(found):
        raise UserError(
            f"{len(bad)} of {len(found)} pictures cannot be used, more than data.max_bad "
            f"({max_bad:g}) allows: {known}; mend or remove them, or raise it in params.yaml"
        )
    lost = sorted({each.label for each in found} - set(manifest["label"]))
    if lost:
        raise UserError(
            f"class {lost[0]!r} has no usable picture left: {known}; mend them, or remove the class"
        )


def counts(manifest: pd.DataFrame, quarantine: pd.DataFrame, skipped: int) -> dict[str, int]:
    """Return how many files were found (= used + quarantined), skipped, and of special kinds."""
    return {
        "found": len(manifest) + len(quarantine),
        "used": len(manifest),
        "quarantined": len(quarantine),
        "skipped": skipped,
        "more_frames": int((manifest["more_frames"] == "yes").sum()),
        "turned_by_exif": int((manifest["orientation"] != 1).sum()),
    }


def summary(counts: dict[str, int]) -> str:
    """Say in a few lines what `counts` holds."""
    lines = ["{found} pictures found = {used} used + {quarantined} quarantined"]
    if counts["skipped"]:
        lines.append("{skipped} other files skipped: hidden, or not in a class folder")
    if counts["more_frames"]:
        lines.append("{more_frames} have more frames or pages; the first of each is used")
    if counts["turned_by_exif"]:
        lines.append("{turned_by_exif} have an EXIF orientation (see pictures.upright)")
    return "\n".join(lines).format(**counts)


def inspect(path: Path, root: Path, settings: Pictures, min_side: int, max_pixels: int) -> Facts:
    """Decode one file, which lies below `root`, and return its facts.

    Raises BadPicture when it is no file of its own, is not one whole picture of a known format, or
    has a side under `min_side` or more than `max_pixels` (both in pixels, seen before decoding).
    Raises OSError when it cannot be read, and UserError when there is too little memory for it.
    """
    _check_link(path, root)
    check_kind(path)
    with opened(path, min_side, max_pixels) as picture, _turn(picture):
        more = picture.format in FIRST_FRAME and getattr(picture, "is_animated", False)
        rgb = to_rgb(picture, settings)
        return Facts(
            sha256=files.sha256(path),
            pixel_sha256=_pixel_sha256(rgb),
            phash=fingerprint(rgb),
            format=picture.format,
            mode=picture.mode,
            width=rgb.width,
            height=rgb.height,
            orientation=orientation(picture),
            more_frames="yes" if more else "",
        )


def _turn(picture: Image.Image) -> AbstractContextManager:
    """Let large pictures be decoded one at a time; the others at will."""
    width, height = picture.size
    return one_large_picture if width * height > LARGE else nullcontext()


def _check_link(path: Path, root: Path) -> None:
    if path.is_symlink():
        try:
            target = path.resolve(strict=True)
        except (OSError, RuntimeError):
            raise BadPicture("a link that leads nowhere") from None
        if not target.is_relative_to(root.resolve()):
            raise BadPicture("a link that leads out of the source; put the file itself there")


def _pixel_sha256(picture: Image.Image) -> str:
    """Digest the size and the pixels, in strips, as a large picture is not to be there twice."""
    digest = hashlib.sha256("{} x {}".format(*picture.size).encode())
    for box in strips(picture):
        digest.update(picture.crop(box).tobytes())
    return digest.hexdigest()
