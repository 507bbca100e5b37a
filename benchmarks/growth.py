"""How cost grows with the data: `python -m benchmarks.growth FOLDER_OR_ARCHIVE`.

Makes folders of 1,000, 4,000 and 16,000 images from the given ones: pieces of them, compressed
anew, so that no two are alike. Runs all stages on each at 160 px, with one epoch of fine-tuning,
and measures seconds, peak memory and what lies on the disk then. Then, with a feature store, 5 %
more images come and extract runs again. `--images 200000` measures another number, and the other
rows in benchmarks/growth.json stay.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import clone
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import save_rows
from thaw.labels import layout
from thaw.project.cli import run

COUNTS = (1000, 4000, 16_000)
PARAMS = {"backbone": {"image_size": 160}, "fine_tune": {"epochs": 1}}


def pieces(found: list[layout.Found], numbers: range, folder: Path) -> None:
    """Write the pieces of images with these numbers, CLASS/NUMBER.jpg: three quarters of a side.

    The n-th piece comes from the n-th image, from the first again after the last, and lies where
    a generator that is seeded with n says.
    """
    for number in tqdm(numbers, desc="pieces", disable=None):
        random, given = np.random.default_rng(number), found[number % len(found)]
        with Image.open(given.path) as image:
            width, height = image.size
            left, top = (int(random.integers(0, side // 4 + 1)) for side in (width, height))
            box = (left, top, left + width * 3 // 4, top + height * 3 // 4)
            (folder / given.label).mkdir(parents=True, exist_ok=True)
            image.convert("RGB").crop(box).save(folder / given.label / f"{number}.jpg")


def measure(count: int, found: list[layout.Found], scratch: Path) -> list[dict]:
    """Return a row for each stage, and one for extract after 5 % more images."""
    images, folder = scratch / f"{count} images", scratch / f"clone {count}"
    pieces(found, range(count), images)
    store = {"runtime": {"store": str(scratch / f"store {count}")}}
    source = {"data": {"source": str(images)}}
    clone.make(folder, PARAMS | source | {"runtime": {"store": None}})
    rows = []

    def step(name: str, stage: str) -> None:
        cost, disk = clone.measure(folder, f"stages.{stage}"), clone.disk(folder, stage)
        rows.append({
            "images": count, "stage": name, "seconds": round(cost.seconds, 2),
            "megabytes": round(cost.megabytes), "disk": round(disk, 1),
        })  # fmt: skip

    for stage in clone.STAGES:
        step(stage, stage)
    clone.change(folder, store)
    step("extract, into the feature store", "extract")
    pieces(found, range(count, count + count // 20), images)
    clone.measure(folder, "stages.download")
    step("extract, 5 % more images", "extract")
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--images", type=int, nargs="+", default=COUNTS)
    options = parser.parse_args()
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as scratch:
        found = layout.find(root).found
        found = [found[row] for row in np.random.default_rng(0).permutation(len(found))]
        for count in options.images:
            save_rows("growth", ("images",), measure(count, found, Path(scratch)))
    print(block("growth"))


if __name__ == "__main__":
    run(main)
