"""Pass every picture once through the frozen backbone.

Reads  data/manifest.csv, data/raw/, models/backbone.weights.h5
Writes data/features/avg.npy, max.npy: float32 (n, channels), row i belongs to manifest row i
       data/features/map.npy: float32 (n, height, width, channels), with extract.maps
       data/features/fingerprint.json: the backbone, its weights' digest, sizes and settings
"""

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import (
    backbones,
    engines,
    extraction,
    features,
    files,
    fingerprints,
    manifest,
    params,
    paths,
    pictures,
    store,
)
from stages.lib.determinism import make_deterministic
from stages.lib.errors import run
from stages.lib.runtime import Runtime


def main() -> None:
    spec = params.load(backbones.Backbone, "backbone")
    settings = params.load(features.Extract, "extract")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    images = manifest.image_paths(rows, paths.RAW)
    make_deterministic()
    model = extraction.pooled(backbones.load(spec, paths.BACKBONE), settings.maps)
    forward = engines.forward(model, settings.engine, settings.precision)
    fingerprint = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    fingerprint |= {"engine": settings.engine, "precision": settings.precision}
    shapes = extraction.shapes(model)
    keys = store.keys({**fingerprint, "outputs": list(shapes)}, rows["sha256"])

    def batches(missing):
        chosen = [images[row] for row in missing]
        for part, pixels in pictures.batches(
            chosen, spec.size, decoding, runtime.batch_size, runtime.threads, "extract"
        ):
            yield missing[part], pixels

    with (
        files.replacing(paths.FEATURES) as folder,
        store.Store(runtime.store_file, runtime.store_gigabytes) as kept,
    ):
        done = extraction.extract(forward, shapes, keys, batches, folder, kept)
        files.write_json(folder / features.FINGERPRINT, fingerprint)
    print(f"{done.computed} pictures passed once, {done.found} were in the feature store")


if __name__ == "__main__":
    run(main)
