"""Fix the pretrained weights, so that they are hashed, versioned and pushed like any output.

Reads  backbone.weights: ImageNet's from a package or Keras' download, a preset's, a file, or none
Writes models/backbone.weights.h5: the network without top
       models/texts/: what a preset of CLIP, MetaCLIP 2 or SigLIP has for texts, and the digest of
       the weights that it belongs to; of other networks there is nothing but this
"""

from pathlib import Path

from thaw.models import lite_file, lite_layers
from thaw.models.registry import LITE
from thaw.models.settings import Backbone
from thaw.models.text_logits import PROVENANCE_FILE
from thaw.project import files, params, paths
from thaw.project.cli import run


def main() -> None:
    spec = params.load(Backbone, "backbone")
    of_package = spec.name in LITE and spec.weights and spec.weights.file == "imagenet"
    with files.replacing(paths.BACKBONE) as partial, files.replacing(paths.TEXTS) as texts:
        texts.mkdir()
        count = (
            save_of_package(spec, partial) if of_package else save_of_keras(spec, partial, texts)
        )
        files.write_json(texts / PROVENANCE_FILE, {"weights_sha256": files.sha256(partial)})
    print(f"{spec.name}: {count:,} weights, for images of {spec.size} px")


def save_of_package(spec: Backbone, partial: Path) -> int:
    """Save the weights that a package ships; return their number."""
    number = LITE.index(spec.name)
    values = lite_layers.package_values(number, lite_layers.package_file(number))
    del values["predictions"]  # the top
    lite_file.save(number, values, partial)
    return sum(value.size for each in values.values() for value in each)


def save_of_keras(spec: Backbone, partial: Path, texts: Path) -> int:
    """Save the weights of a network that Keras builds, and what it has for texts in a folder.

    Returns the number of weights.
    """
    # Here, since weights of a package have nothing to wait for TensorFlow for.
    import thaw.models.tf_setup  # noqa: F401  first, before Keras
    from thaw.models import preset_network, pretrained, weights

    with files.scratch(paths.WEIGHTS) as scratch:
        model = pretrained.load(spec, scratch, texts)
    weights.save(model, partial, preset_network.provenance(model))
    return model.count_params()


if __name__ == "__main__":
    run(main)
