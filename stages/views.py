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
    from stages.lib import augmenting, backbones, extraction, pictures
    from stages.lib.determinism import make_deterministic
    from stages.lib.runtime import Runtime

    augmentation = params.load(augmenting.Augmentation, "augmentation")
    spec = params.load(backbones.Backbone, "backbone")
    decoding = params.load(pictures.Pictures, "pictures")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    train = rows[manifest.read_split(paths.SPLIT, rows) == "train"]
    images = manifest.image_paths(train, paths.RAW)
    source = extraction.Source(images, train["sha256"], decoding, runtime)
    make_deterministic()
    views = augmenting.views_of(train["sha256"], settings.views, augmentation)
    done = extraction.run(spec, settings, paths.BACKBONE, source, folder, views)
    print(
        f"{settings.views} views of each of {done.computed} training pictures passed, those of "
        f"{done.found} were in the feature store"
    )
    return {**done.made_with, "split_sha256": files.sha256(paths.SPLIT)}


if __name__ == "__main__":
    run(main)
