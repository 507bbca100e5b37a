"""How cost grows with the data: `python -m benchmarks.growth FOLDER_OR_ARCHIVE`.

Makes folders of 1,000, 4,000 and 16,000 images from the given ones: pieces of them, compressed
anew, so that no two are alike. Runs the stages up to train_head on each at 160 px. Measures
seconds, peak memory, and the seconds that DVC adds by hashing and linking, as the difference to a
second run by DVC. Then, with a feature store, 5 % more images come and extract runs again. Writes
benchmarks/growth.json.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from benchmarks import clone
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.labels import layout
from thaw.project.cli import run

COUNTS = (1000, 4000, 16000)
STAGES = ("download", "split", "backbone", "extract", "augment", "train_head")
PARAMS = {"backbone": {"image_size": 160}}


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
    nowhere = {"runtime": {"store": None}}
    source = {"data": {"source": str(images)}}
    clone.make(folder, PARAMS | source | nowhere)
    rows = []
    for stage in STAGES:
        cost = clone.measure(folder, f"stages.{stage}")
        by_dvc = clone.repro(folder, ["--single-item", "--force", stage])
        rows.append({"stage": stage, **cost._asdict(), "dvc": by_dvc - cost.seconds})
    clone.change(folder, store)
    cold = clone.measure(folder, "stages.extract")
    pieces(found, range(count, count + count // 20), images)
    clone.measure(folder, "stages.download")
    more = clone.measure(folder, "stages.extract")
    rows.append({"stage": "extract, into the feature store", **cold._asdict(), "dvc": 0.0})
    rows.append({"stage": "extract, 5 % more images", **more._asdict(), "dvc": 0.0})
    return [{"images": count, **row} for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--counts", type=int, nargs="+", default=COUNTS)
    options = parser.parse_args()
    rows = []
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as scratch:
        found = layout.find(root).found
        found = [found[row] for row in np.random.default_rng(0).permutation(len(found))]
        for count in options.counts:
            rows += measure(count, found, Path(scratch))
    table = pd.DataFrame(rows).round(
        {"seconds": 2, "megabytes": 0, "processor_seconds": 2, "dvc": 2}
    )
    save("growth", table.to_dict("records"))
    print(block("growth"))


if __name__ == "__main__":
    run(main)
