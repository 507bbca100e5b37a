"""How cost grows with images and classes: `python -m benchmarks.many_classes`.

Makes images of 32 px, each a noisy copy of its class's pattern: 1,000 and 16,000 of 2 classes, and
16,000 of 100 and of 1,000 classes. Runs all stages on each in a clone of the last commit, with
three epochs for the head, one of fine-tuning and no feature store, and measures seconds and peak
memory. `--images 200000 --classes 100` measures another size, and the other rows in
benchmarks/many_classes.json stay.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import save_rows
from thaw.project.cli import run

SIDE, PATTERN, NOISE = 32, 6, 40
SIZES = ((1000, 2), (16_000, 2), (16_000, 100), (16_000, 1000))
PARAMS = {
    "backbone": {"image_size": SIDE},
    "train_head": {"epochs": 3},
    "fine_tune": {"epochs": 1},
    "runtime": {"store": None},
}


def make_images(folder: Path, images: int, classes: int) -> None:
    """Write CLASS/NUMBER.png. What a class looks like depends on its number alone."""
    for label in tqdm(range(classes), desc="classes", disable=None):
        pattern = np.random.default_rng(label).integers(0, 256, (PATTERN, PATTERN, 3))
        place = folder / f"species {label:04} of a genus with a long name"
        place.mkdir(parents=True)
        for number in range(images // classes):
            noise = np.random.default_rng([label, number]).normal(0, NOISE, pattern.shape)
            pixels = np.clip(pattern + noise, 0, 255).astype("uint8")
            image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            image.save(place / f"{number}.png")


def measure(images: int, classes: int, scratch: Path) -> list[dict]:
    """Return a row for each stage."""
    source, folder = scratch / "images", scratch / "clone"
    make_images(source, images, classes)
    clone.make(folder, PARAMS | {"data": {"source": str(source)}})
    rows = []
    for stage in clone.STAGES:
        cost = clone.measure(folder, f"stages.{stage}")
        rows.append({
            "images": images, "classes": classes, "stage": stage,
            "seconds": round(cost.seconds, 2), "megabytes": round(cost.megabytes),
        })  # fmt: skip
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int)
    parser.add_argument("--classes", type=int, default=100)
    options = parser.parse_args()
    sizes = [(options.images, options.classes)] if options.images else SIZES
    for size in sizes:
        with tempfile.TemporaryDirectory() as scratch:
            rows = measure(*size, Path(scratch).resolve())
        save_rows("many_classes", ("images", "classes"), rows)
    print(block("many_classes"))


if __name__ == "__main__":
    run(main)
