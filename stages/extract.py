"""Pass every picture once through the frozen backbone.

Reads  data/manifest.csv, data/raw/, models/backbone.weights.h5
Writes data/features/avg.npy, max.npy: float32 (n, channels), row i belongs to manifest row i
       data/features/map.npy: float32 (n, height, width, channels), with extract.maps
       data/features/fingerprint.json: the backbone, its weights' digest, sizes and settings
"""

from stages.lib import backbones, extraction, features, files, manifest, params, paths, pictures
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def main() -> None:
    spec = params.load(backbones.Backbone, "backbone")
    settings = params.load(features.Extract, "extract")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    images = manifest.image_paths(rows, paths.RAW)
    source = extraction.Source(images, rows["sha256"], decoding, runtime)
    with files.replacing(paths.FEATURES) as folder:
        done = extraction.run(spec, settings, paths.BACKBONE, source, folder)
        files.write_json(folder / features.FINGERPRINT, done.made_with)
    print(f"{done.computed} pictures passed once, {done.found} were in the feature store")


if __name__ == "__main__":
    run(main)
