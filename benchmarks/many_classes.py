"""Many classes of few images: `python -m benchmarks.many_classes`.

Makes 1,000 classes of 20 images of 32 px, each a noisy copy of its class's pattern, and runs the
whole pipeline on them by `dvc repro` in a clone of the last commit, without a feature store. Writes
benchmarks/many_classes.json: the seconds of each stage and of all, and the peak memory.
"""

import argparse
import json
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks import clone
from benchmarks.tables import block
from benchmarks.timing import save
from thaw.project import paths, timings
from thaw.project.cli import run

SIDE, PATTERN, NOISE = 32, 6, 40


def make_images(folder: Path, classes: int, images: int) -> None:
    """Write CLASS/NUMBER.png. What a class looks like depends on its number alone."""
    for label in tqdm(range(classes), desc="classes", disable=None):
        pattern = np.random.default_rng(label).integers(0, 256, (PATTERN, PATTERN, 3))
        place = folder / f"species {label:04} of a genus with a long name"
        place.mkdir(parents=True)
        for number in range(images):
            noise = np.random.default_rng([label, number]).normal(0, NOISE, pattern.shape)
            pixels = np.clip(pattern + noise, 0, 255).astype("uint8")
            image = Image.fromarray(pixels).resize((SIDE, SIDE), Image.Resampling.BICUBIC)
            image.save(place / f"{number}.png")


def measure(classes: int, images: int, scratch: Path) -> dict:
    source, folder = scratch / "images", scratch / "clone"
    make_images(source, classes, images)
    changes = {"data": {"source": str(source)}, "backbone": {"image_size": SIDE}}
    clone.make(folder, changes | {"runtime": {"store": None}})
    cost = clone.measure(folder, "dvc", "repro", "--quiet")
    scores = json.loads((folder / paths.TEST).read_text(encoding="utf-8"))
    return {
        "classes": classes,
        "images": classes * images,
        "side": SIDE,
        "seconds": round(cost.seconds, 1),
        "megabytes": round(cost.megabytes),
        "stages": {name: round(value, 1) for name, value in timings.last(1, folder).items()},
        "accuracy": {name: scores[name]["accuracy"] for name in ("head", "fine_tuned")},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--classes", type=int, default=1000)
    parser.add_argument("--images", type=int, default=20)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        found = measure(options.classes, options.images, Path(scratch).resolve())
    save("many_classes", found)
    print(block("many_classes"))


if __name__ == "__main__":
    run(main)
