"""How fast pictures are audited and split: `python -m benchmarks.audit FOLDER_OR_ARCHIVE`.

The first contestant is what the stages download and split do after unpacking, until the tables are
ready to be written. Beside it, on one thread as scripts do it: a loop that decodes each picture
with Pillow and takes a digest of the file and imagehash's perceptual hash, and one that only
decodes. Writes benchmarks/audit.json.
"""

import argparse
import functools
import hashlib
import json
import os
from pathlib import Path

import imagehash
from PIL import Image

from benchmarks.photos import unpacked
from benchmarks.timing import alternate, report
from stages.lib import audit, duplicates, layout, manifest, params, pictures, splitting
from stages.lib.errors import run


def ours(root: Path) -> dict:
    """Audit and split what lies below `root`, with all cores and the settings of params.yaml.

    Returns what metrics/split.json would say.
    """
    inspect = functools.partial(
        audit.inspect,
        root=root,
        settings=params.load(pictures.Pictures, "pictures"),
        min_side=8,
        max_pixels=64_000_000,
    )
    found, _ = layout.find(root)
    good, bad = audit.check(found, root, inspect, os.cpu_count() or 1)
    good, bad = audit.part_contradictions(good, bad)
    good = manifest.with_groups(good, None)
    settings = params.load(splitting.Split, "split")
    groups = duplicates.group(good, settings.near_duplicates)
    split = splitting.assign(good, groups, settings)
    return splitting.report(good, len(bad), groups, split, settings)


def loop(root: Path) -> None:
    """Decode, digest and hash each picture, one after the other."""
    seen = {}
    for found in layout.find(root)[0]:
        with Image.open(found.path) as picture:
            picture.load()
            phash = imagehash.phash(picture, hash_size=16)
        seen[found.path] = (hashlib.sha256(found.path.read_bytes()).hexdigest(), str(phash))


def decode_only(root: Path) -> None:
    """Decode each picture, one after the other."""
    for found in layout.find(root)[0]:
        with Image.open(found.path) as picture:
            picture.load()


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
    count = found["pictures"]["found"]
    print(report(seconds, count, "pictures", found, Path("benchmarks/audit.json")))
    print("found:", json.dumps({key: found[key] for key in ("pictures", "groups", "duplicates")}))


if __name__ == "__main__":
    run(main)
