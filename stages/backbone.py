"""Fix the pretrained weights, so that they are hashed, versioned and pushed like any output.

Reads  backbone.weights: ImageNet's from a package or Keras' download, a file, or none
Writes models/backbone.weights.h5: the network without top
"""

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.models import pretrained, weights
from thaw.models.settings import Backbone
from thaw.project import files, params, paths
from thaw.project.cli import run


def main() -> None:
    spec = params.load(Backbone, "backbone")
    with files.scratch(paths.WEIGHTS) as scratch:
        model = pretrained.load(spec, scratch)
    with files.replacing(paths.BACKBONE) as partial:
        weights.save(model, partial)
    print(f"{spec.name}: {model.count_params():,} weights, features {model.output_shape[1:]}")


if __name__ == "__main__":
    run(main)
