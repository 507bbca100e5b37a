"""Pass every picture once through the frozen backbone.

Reads  data/manifest.csv, data/raw/, models/backbone.weights.h5
Writes data/features/avg.npy, max.npy: float32 (n, channels), row i belongs to manifest row i
       data/features/map.npy: float32 (n, height, width, channels), with extract.maps
       data/features/fingerprint.json: the backbone, its weights' digest, sizes and settings
"""

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    backbones,
    extraction,
    features,
    files,
    fingerprints,
    manifest,
    params,
    paths,
    pictures,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def main() -> None:
    spec = params.load(backbones.Backbone, "backbone")
    settings = params.load(features.Extract, "extract")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    images = manifest.image_paths(manifest.read(paths.MANIFEST), paths.RAW)
    make_deterministic()
    model = extraction.pooled(backbones.load(spec, paths.BACKBONE), settings.maps)
    batches = pictures.batches(
        images, spec.size, decoding, runtime.batch_size, runtime.threads, "extract"
    )
    fingerprint = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    with files.replacing(paths.FEATURES) as folder:
        extraction.extract(model, (len(images),), batches, folder)
        files.write_json(folder / features.FINGERPRINT, fingerprint)
    print(f"{len(images)} pictures, {model.count_params():,} weights passed once by each")


if __name__ == "__main__":
    run(main)
