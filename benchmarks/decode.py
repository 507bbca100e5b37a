"""What the size of a photo costs: `python -m benchmarks.decode FOLDER_OR_ARCHIVE --size 160`.

Images of the source are enlarged to photos of 12 megapixels. They are read as the stages read them,
with `images.reducing_gap` 3.0 and with null, which decodes all of each file, and as TensorFlow's
tutorials read them. Writes benchmarks/decode.json, with the mean difference of a pixel between the
first two.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from benchmarks.photos import unpacked
from benchmarks.tables import block
from benchmarks.timing import alternate, rates, save
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.labels import layout
from thaw.project.cli import run

COUNT, SIDES = 8, (4000, 3000)  # pixels
REDUCED, WHOLE = (
    Decoding(
        apply_exif_orientation=True,
        background=[255, 255, 255],
        bits="auto",
        fit="stretch",
        reducing_gap=gap,
    )
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
    reduced, whole = (ImageLoader(options.size, decoding) for decoding in (REDUCED, WHOLE))
    with unpacked(options.source) as root, tempfile.TemporaryDirectory() as scratch:
        photos = [Path(scratch) / f"{number}.jpg" for number in range(COUNT)]
        found = layout.find(root).found
        for photo, given in zip(photos, found[:: len(found) // COUNT]):
            with Image.open(given.path) as image:
                image.convert("RGB").resize(SIDES).save(photo, quality=90)
        contestants = {
            "reducing_gap 3.0": lambda: reduced.stack(photos),
            "reducing_gap null": lambda: whole.stack(photos),
            "TensorFlow": lambda: [by_tensorflow(each, options.size) for each in photos],
        }
        seconds = alternate(contestants, options.rounds)
        difference = np.abs(reduced.stack(photos).astype("float32") - whole.stack(photos)).mean()
    found = {"mean_difference_of_a_pixel": round(float(difference), 2)}
    save("decode", rates(seconds, COUNT), rounds=options.rounds, found=found)
    print(block("decode"))


if __name__ == "__main__":
    run(main)
