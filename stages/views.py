"""Pass augmented copies of the training pictures through the frozen backbone.

Reads  data/manifest.csv, data/split.csv, data/raw/, models/backbone.weights.h5
Writes data/views/avg.npy, max.npy: float32 (t, extract.views, channels), a row for each training
       picture in the manifest's order; map.npy with extract.maps
       data/views/fingerprint.json: the number of views, and what they were made with; without views
       there is nothing but this
"""

from pathlib import Path

from stages.lib import features, files, manifest, params, paths
from stages.lib.errors import run


def main() -> None:
    settings = params.load(features.Extract, "extract")
    with files.replacing(paths.VIEWS) as folder:
        if settings.views:
            made_with = extract(settings, folder)
        else:
            folder.mkdir()
            made_with = {}
            print("no views")
        files.write_json(folder / features.FINGERPRINT, {"views": settings.views, **made_with})


def extract(settings: features.Extract, folder: Path) -> dict:
    """Write the features of `settings.views` views into `folder`; return their fingerprint."""
    # Here, since without views there is nothing to wait for TensorFlow for.
    import stages.lib.quiet  # noqa: F401  first, before Keras
    from stages.lib import augmenting, backbones, engines, extraction, fingerprints, pictures, store
    from stages.lib.determinism import make_deterministic
    from stages.lib.runtime import Runtime

    augmentation = params.load(augmenting.Augmentation, "augmentation")
    spec = params.load(backbones.Backbone, "backbone")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    train = rows[manifest.read_split(paths.SPLIT, rows) == "train"]
    images = manifest.image_paths(train, paths.RAW)
    make_deterministic()
    vary = augmenting.by_seed(augmentation)
    seeds = augmenting.seeds(train["sha256"], settings.views)
    model = extraction.pooled(backbones.load(spec, paths.BACKBONE), settings.maps)
    forward = engines.forward(model, settings.engine, settings.precision)
    made_with = fingerprints.with_weights(backbones.fingerprint(spec, decoding), paths.BACKBONE)
    made_with |= {"engine": settings.engine, "precision": settings.precision}
    made_with |= {"augmentation": augmentation.model_dump()}
    shapes = extraction.shapes(model)
    keys = store.keys({**made_with, "outputs": list(shapes)}, train["sha256"], settings.views)

    def batches(missing):
        chosen = [images[row] for row in missing]
        for part, pixels in pictures.batches(
            chosen, spec.size, decoding, runtime.batch_size, runtime.threads, "views"
        ):
            for view in range(settings.views):
                place = missing[part], view
                yield place, vary(pixels, seeds[place]).numpy()

    with store.Store(runtime.store_file, runtime.store_gigabytes) as kept:
        done = extraction.extract(forward, shapes, keys, batches, folder, kept)
    print(
        f"{settings.views} views of each of {done.computed} training pictures passed, those of "
        f"{done.found} were in the feature store"
    )
    return {**made_with, "split_sha256": files.sha256(paths.SPLIT)}


if __name__ == "__main__":
    run(main)
