"""Pass every image once through the frozen backbone.

Reads  data/manifest.csv, data/split.csv (only training images calibrate int8), data/raw/,
       models/backbone.weights.h5
Writes data/features/avg.npy, max.npy: float32 (n, channels), row i belongs to manifest row i
       data/features/map.npy: float32 (n, height, width, channels), with extract.feature_maps
       data/features/provenance.json: the backbone, its weights' digest, sizes and settings
"""

import numpy as np

from thaw.data import manifest, value_range
from thaw.features import arrays
from thaw.features.extract import extract_features
from thaw.features.image_source import ImageSource
from thaw.features.settings import Extract
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone
from thaw.project import files, params, paths
from thaw.project.cli import run
from thaw.project.settings import Runtime


def main() -> None:
    spec, settings = params.load(Backbone, "backbone"), params.load(Extract, "extract")
    decoding, runtime = params.load(Decoding, "images"), params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(decoding, rows)
    images = manifest.image_paths(rows, paths.RAW)
    train = ()
    if settings.precision == "int8":
        train = np.flatnonzero(manifest.read_split(paths.SPLIT, rows) == "train")
    source = ImageSource(images, rows["sha256"].tolist(), decoding, runtime, train)
    with files.replacing(paths.FEATURES) as folder:
        done = extract_features(spec, settings, paths.BACKBONE, source, folder)
        files.write_json(folder / arrays.PROVENANCE_FILE, done.provenance)
    print(f"{done.computed} images passed once, {done.found} were in the feature store")


if __name__ == "__main__":
    run(main)
