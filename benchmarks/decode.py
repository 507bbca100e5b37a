"""What the size of a photo costs: `python -m benchmarks.decode FOLDER_OR_ARCHIVE --size 160`.

Pictures of the source are enlarged to photos of 12 megapixels and read as the stages read them,
with `pictures.reducing_gap` 3.0 and with null, which decodes all of each file; and as TensorFlow's
tutorials do it. Writes benchmarks/decode.json, with the mean difference of a pixel between the
first two.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import stages.lib.quiet  # noqa: F401  first, before TensorFlow
from benchmarks.photos import unpacked
from benchmarks.timing import alternate, report
from stages.lib import layout, pictures
from stages.lib.errors import run

COUNT, SIDES = 8, (4000, 3000)  # pixels
REDUCED, WHOLE = (
    pictures.Pictures(upright=True, background=[255, 255, 255], reducing_gap=gap)
    for gap in (3.0, None)
)


def by_tensorflow(path: Path, size: int):
    import tensorflow as tf

    pixels = tf.io.decode_jpeg(tf.io.read_file(str(path)), channels=3)
    return tf.image.resize(pixels, (size, size)).numpy()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("source", type=Path)
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    size = options.size
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as scratch:
        photos = [Path(scratch) / f"{number}.jpg" for number in range(COUNT)]
        found = layout.find(root)[0]
        for photo, given in zip(photos, found[:: len(found) // COUNT]):
            with Image.open(given.path) as picture:
                picture.convert("RGB").resize(SIDES).save(photo, quality=90)
        contestants = {
            "reducing_gap 3.0": lambda: [pictures.load(each, size, REDUCED) for each in photos],
            "reducing_gap null": lambda: [pictures.load(each, size, WHOLE) for each in photos],
            "TensorFlow": lambda: [by_tensorflow(each, size) for each in photos],
        }
        seconds = alternate(contestants, options.rounds)
        ways = (contestants[name]() for name in ("reducing_gap 3.0", "reducing_gap null"))
        first, second = (np.array(values, "float32") for values in ways)
    differs = {"mean_difference_of_a_pixel": round(float(np.abs(first - second).mean()), 2)}
    print(report(seconds, COUNT, "photos", differs, Path("benchmarks/decode.json")))
    print(f"\na pixel differs by {differs['mean_difference_of_a_pixel']} of 255 in the mean")


if __name__ == "__main__":
    run(main)
