"""How fast images are checked and split: `python -m benchmarks.audit FOLDER_OR_ARCHIVE`.

The first contestant is what the stages download and split do after unpacking, up to their tables.
The others are loops on one thread, as in scripts. One decodes each image with Pillow and takes a
digest of the file and imagehash's perceptual hash; the other only decodes. Writes
benchmarks/audit.json.
"""

import argparse
import functools
import hashlib
from pathlib import Path

import imagehash
from PIL import Image

from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import alternate, rates, save
from thaw.data import corrections, duplicates, inspection, splitting, validation
from thaw.data.settings import Split
from thaw.images.settings import Decoding
from thaw.labels import layout
from thaw.project import params
from thaw.project.cli import run
from thaw.project.settings import Runtime


def ours(root: Path) -> dict:
    """Check and split what lies below `root`, with all cores and the settings of params.yaml.

    Returns what metrics/split.json would say.
    """
    inspect = functools.partial(
        inspection.inspect,
        settings=params.load(Decoding, "images"),
        min_side=8,
        max_pixels=64_000_000,
    )
    found = layout.find(root).found
    rows, invalid = validation.check(found, root, inspect, params.load(Runtime, "runtime"))
    corrected = corrections.apply(rows, None, set())
    rows, invalid = validation.part_contradictions(corrected.manifest, invalid)
    settings = params.load(Split, "split")
    groups = duplicates.group(rows, settings.near_duplicates)
    split = splitting.assign(rows, groups, settings)
    return splitting.report(rows, len(invalid), corrected.images, groups, split, settings)


def loop(root: Path) -> None:
    """Decode, digest and hash each image, one after the other."""
    seen = {}
    for found in layout.find(root).found:
        with Image.open(found.path) as image:
            image.load()
            phash = imagehash.phash(image, hash_size=16)
        seen[found.path] = (hashlib.sha256(found.path.read_bytes()).hexdigest(), str(phash))


def decode_only(root: Path) -> None:
    """Decode each image, one after the other."""
    for found in layout.find(root).found:
        with Image.open(found.path) as image:
            image.load()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    with unpacked(options.source) as root:
        contestants = {
            "audit and split": functools.partial(ours, root),
            "loop: Pillow, SHA-256, imagehash": functools.partial(loop, root),
            "loop: Pillow only": functools.partial(decode_only, root),
        }
        seconds = alternate(contestants, options.rounds)
        found = ours(root)
    results = rates(seconds, found["images"]["found"])
    save("audit", results, rounds=options.rounds, found=found)
    print(block("audit"))


if __name__ == "__main__":
    run(main)
