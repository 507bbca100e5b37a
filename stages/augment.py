"""Pass augmented copies of the training images through the frozen backbone.

Reads  data/manifest.csv, data/split.csv, data/raw/, models/backbone.weights.h5
Writes data/augmented_copies/avg.npy, max.npy: float32 (t, copies, channels), a row for each
       training image in the manifest's order; map.npy with extract.feature_maps
       data/augmented_copies/provenance.json: the number of copies, and what they were made with;
       without copies there is nothing but this
"""

from pathlib import Path

from thaw.data import manifest, value_range
from thaw.features import arrays
from thaw.features.settings import Extract
from thaw.project import files, params, paths
from thaw.project.cli import run


def main() -> None:
    settings = params.load(Extract, "extract")
    with files.replacing(paths.AUGMENTED_COPIES) as folder:
        if settings.augmented_copies:
            provenance = extract_copies(settings, folder)
        else:
            folder.mkdir()
            provenance = {}
            print("no augmented copies")
        copies = {"copies": settings.augmented_copies, **provenance}
        files.write_json(folder / arrays.PROVENANCE_FILE, copies)


def extract_copies(settings: Extract, folder: Path) -> dict:
    """Write the features of the augmented copies into `folder`; return their provenance."""
    # Here, since without copies there is nothing to wait for TensorFlow for.
    from thaw.models.tf_setup import make_deterministic  # isort: skip  first, before Keras
    from thaw.features.extract import extract_features
    from thaw.features.image_source import ImageSource
    from thaw.images.settings import Decoding
    from thaw.models.settings import Backbone
    from thaw.project.settings import Runtime
    from thaw.training.augmentation import augmented_copies
    from thaw.training.settings import Augmentation

    augmentation = params.load(Augmentation, "augmentation")
    spec, decoding = params.load(Backbone, "backbone"), params.load(Decoding, "images")
    runtime = params.load(Runtime, "runtime")
    rows = manifest.read(paths.MANIFEST)
    decoding = value_range.of_set(decoding, rows)
    train = rows[manifest.read_split(paths.SPLIT, rows) == "train"]
    images = manifest.image_paths(train, paths.RAW)
    source = ImageSource(images, train["sha256"].tolist(), decoding, runtime, range(len(train)))
    make_deterministic()
    copies = augmented_copies(train["sha256"], settings.augmented_copies, augmentation)
    done = extract_features(spec, settings, paths.BACKBONE, source, folder, copies)
    print(
        f"{settings.augmented_copies} copies of each of {done.computed} training images passed, "
        f"those of {done.found} were in the feature store"
    )
    return {**done.provenance, "split_sha256": files.sha256(paths.SPLIT)}


if __name__ == "__main__":
    run(main)
