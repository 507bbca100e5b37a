"""What a run would see of a source, in seconds: sizes, modes, doubtful images, settings."""

import re
import time
import warnings
from collections import Counter, defaultdict
from pathlib import Path
from statistics import median
from typing import NamedTuple

import pandas as pd
from tqdm import tqdm

from thaw.data import value_range
from thaw.data.inspection import pixel_sha256, turn
from thaw.images import bands, sixteen_bits
from thaw.images.image_checks import InvalidImage, check_kind, opened
from thaw.images.image_files import to_rgb
from thaw.images.loader import prefetch
from thaw.images.settings import Decoding
from thaw.labels.layout import Found
from thaw.project import snapshots
from thaw.sources.settings import Data

SECONDS = 8.0  # to decode pixels in; after that only headers and the files' bytes are compared
TINY = 10  # images of a class that are too few for a score
SIZES = {64: 96, 128: 128}  # median of the shorter sides up to which: backbone.image_size
MOST = 5  # doubtful things of one kind that are named


class Glance(NamedTuple):
    """One image: its size, format and mode, digests, and its largest value if of 16 bits a value.

    mode is Pillow's, with an X for further bands. pixels is "" where the pixels were not decoded;
    largest is None there, and where a value has 8 bits.
    """

    width: int
    height: int
    format: str
    mode: str
    sha256: str
    pixels: str
    largest: int | None


class Survey(NamedTuple):
    """What all images come to; `doubts` are sentences, `invalid` is by path and why."""

    glances: dict[Path, Glance]
    invalid: dict[Path, str]
    doubts: list[str]


def take(
    found: list[Found], root: Path, settings: Data, decoding: Decoding, workers: int
) -> Survey:
    """Glance at all images on `workers` threads, with a progress bar on a terminal.

    Files of 16 bits are taken as with `bits` auto. Raises OSError for a file that cannot be read,
    as a run does.
    """
    decoding = decoding.model_copy(update={"bits": "auto"})
    until = time.monotonic() + SECONDS
    most = settings.max_megapixels * 1e6

    def judge(path: Path) -> Glance | str:
        try:
            return _glance(path, settings.min_side, most, decoding, time.monotonic() < until)
        except InvalidImage as reason:
            return str(reason)

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow's remarks on odd metadata
        outcomes = prefetch(judge, [each.path for each in found], workers)
        bar = tqdm(outcomes, total=len(found), desc="look", unit=" images", disable=None)
        seen = dict(zip([each.path for each in found], bar))
    glances = {path: each for path, each in seen.items() if isinstance(each, Glance)}
    invalid = {path: each for path, each in seen.items() if isinstance(each, str)}
    doubts = _two_classes(found, glances, root) + _small(found)
    doubts += _dark(glances, decoding) + _bands(glances)
    linked = [each.path for each in found if each.path.is_symlink()]
    if linked:
        are = "1 image is a link" if len(linked) == 1 else f"{len(linked)} images are links"
        doubts.append(f"{are}, such as {_inside(linked[0], root)}")
    return Survey(glances, invalid, doubts)


def suggestions(labels: set[str], glances: dict[Path, Glance]) -> dict[str, dict]:
    """Return the settings that fit these images: {section: {key: value}}.

    Photos are taken at 160 pixels and mirrored. Classes of one letter or digit, or with left or
    right in their names, are not mirrored. The bits of files of 16 bits are a number where all were
    decoded.
    """
    sides = [min(each.width, each.height) for each in glances.values()]
    side = median(sides) if sides else 0
    size = 64 if side <= 32 else next((SIZES[most] for most in SIZES if side <= most), 160)
    words = {word for label in labels for word in re.findall(r"[a-z]+", label.lower())}
    signs = all(len(label) == 1 for label in labels)
    flip = "none" if signs or words & {"left", "right", "digit", "letter"} else "horizontal"
    values = [each.largest for each in glances.values() if each.largest is not None]
    known = values and all(each.pixels for each in glances.values())
    bits = sixteen_bits.fitting(max(values)) if known else "auto"
    return {
        "images": {"bits": bits},
        "backbone": {"image_size": size},
        "augmentation": {"flip": flip},
    }


def _glance(path: Path, min_side: int, most: float, decoding: Decoding, decode: bool) -> Glance:
    check_kind(path)
    with opened(path, min_side, most) as image, turn(image):
        pixels, largest = "", None
        facts = (*image.size, image.format, bands.name(image), snapshots.sha256(image.fp))
        if decode:
            rgb, largest = to_rgb(image, decoding), sixteen_bits.largest(image)
            pixels = pixel_sha256(rgb)
        return Glance(*facts, pixels, largest)


def _two_classes(found: list[Found], glances: dict[Path, Glance], root: Path) -> list[str]:
    """Name images that are there under two classes, by their pixels where those are known."""
    same = defaultdict(dict)
    for each in found:
        if each.path in glances:
            glance = glances[each.path]
            for digest in {glance.sha256, glance.pixels} - {""}:
                same[digest].setdefault(each.label, each.path)
    pairs = {tuple(sorted(_inside(path, root) for path in paths.values()))
             for paths in same.values() if len(paths) > 1}  # fmt: skip
    said = [f"{' and '.join(pair)} are the same image under two classes, so both are invalid"
            for pair in sorted(pairs)]  # fmt: skip
    return _shortened(said, "images are under two classes")


def _small(found: list[Found]) -> list[str]:
    """Name classes of few images."""
    counts = Counter(each.label for each in found)
    small = [f"class {label!r} has only {count} image{'s' if count > 1 else ''}"
             for label, count in counts.items() if count < TINY]  # fmt: skip
    return _shortened(small, f"classes have under {TINY} images")


def _dark(glances: dict[Path, Glance], decoding: Decoding) -> list[str]:
    """Say where files of 16 bits hold values of fewer."""
    table = pd.DataFrame([each[3::3] for each in glances.values()], columns=["mode", "largest"])
    values = value_range.largest(table)
    if not len(values) or sixteen_bits.fitting(values.median()) == 16:
        return []
    return [value_range.summary(table, decoding)]


def _bands(glances: dict[Path, Glance]) -> list[str]:
    """Say where a file has bands that may not be what it calls them."""
    clear = sum(each.format == "TIFF" and each.mode in bands.ALPHA for each in glances.values())
    further = sum(each.mode.endswith("X") for each in glances.values())
    said = {
        f"{clear} TIFF images have a band that they call transparency, where images.background "
        "shows through; save them without it if it is another one, such as infrared": clear,
        f"{further} images have bands besides the colours that are not used": further,
    }
    return [each for each, count in said.items() if count]


def _shortened(said: list[str], what: str) -> list[str]:
    if len(said) <= MOST:
        return said
    return [*said[: MOST - 1], f"and {len(said) - MOST + 1} more: {len(said)} {what}"]


def _inside(path: Path, root: Path) -> str:
    return path.relative_to(root).as_posix()
