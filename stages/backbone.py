"""Fix the pretrained weights, so that they are hashed, versioned and pushed like any output.

Reads  backbone.weights: ImageNet's from a package or Keras' download, a file, or none
Writes models/backbone.weights.h5: the network without top
"""

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import backbones, building, files, params, paths
from stages.lib.errors import run


def main() -> None:
    spec = params.load(backbones.Backbone, "backbone")
    with files.scratch(paths.WEIGHTS) as scratch:
        model = building.pretrained(spec, scratch)
    with files.replacing(paths.BACKBONE) as partial:
        model.save_weights(partial)
    print(f"{spec.name}: {model.count_params():,} weights, features {model.output_shape[1:]}")


if __name__ == "__main__":
    run(main)
