"""Change training images at random with Keras' own layers, so that no two epochs are the same."""

import functools
import hashlib
from collections.abc import Callable, Sequence

import thaw.models.tf_setup  # noqa: F401  # isort: skip  first; workers of Ray begin here
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from thaw.features.extract import AugmentedCopies
from thaw.project.errors import UserError
from thaw.training.settings import Augmentation

SEEDS = 16  # of one chain, at most
MOVING = (layers.RandomTranslation, layers.RandomZoom)  # what brings places in from outside


def _crop(shift: float, zoom: float) -> list[tuple[type, dict]]:
    """Another part of the image: shifted by that fraction of the side, and enlarged up to `zoom`.

    Keras has no layer for a random resized crop (Szegedy and others 2014, arXiv:1409.4842).
    """
    return [
        (layers.RandomTranslation, {"height_factor": shift, "width_factor": shift}),
        (layers.RandomZoom, {"height_factor": (-zoom, 0.0)}),
    ]


POLICIES = {
    "none": [],
    "light": [
        *_crop(0.08, 0.25),
        (layers.RandomBrightness, {"factor": 0.1}),
        (layers.RandomContrast, {"factor": 0.2}),
    ],
    # Not Keras' AugMix, which draws its operations once for all images, when the graph is made, nor
    # RandAugment, which computes all eleven for each image: 22 ms for one of 160 px.
    "strong": [
        *_crop(0.15, 0.45),
        (layers.RandomBrightness, {"factor": 0.2}),
        (layers.RandomContrast, {"factor": 0.3}),
        # Not RandomSaturation, which leaves 0..255 in Keras 3.15.1.
        (layers.RandomColorDegeneration, {"factor": 0.5}),
        (layers.RandomErasing, {"factor": (0.3, 0.3), "scale": (0.02, 0.2), "fill_value": 127.5}),
    ],
}


def chain(settings: Augmentation, seed: int) -> list[layers.Layer]:
    """Return the layers that augment pixels, RGB 0..255 (n, h, w, 3), and only while training.

    rotation is a fraction of a full turn, translation of the side, zoom and shear of the size,
    brightness of 255, contrast of the distance from the mean. Each is drawn evenly from -fraction
    to fraction, for each image anew. Places that come in from outside are filled as `fill_mode`
    says (constant: black). What POLICIES have of `policy` comes last.
    """
    # One seed for all would turn just those images to the left that are flipped, and so on.
    seeds = map(int, np.random.SeedSequence(seed).generate_state(SEEDS) >> 1)
    chosen = []

    def add(kind: type, *amounts, **options) -> None:
        chosen.append(kind(*amounts, seed=next(seeds), **options))

    fill = {"fill_mode": settings.fill_mode}
    if settings.flip != "none":
        add(layers.RandomFlip, settings.flip)
    if settings.rotation:
        add(layers.RandomRotation, settings.rotation, **fill)
    if settings.translation:
        add(layers.RandomTranslation, settings.translation, settings.translation, **fill)
    if settings.zoom:
        add(layers.RandomZoom, settings.zoom, **fill)
    if settings.shear:
        add(layers.RandomShear, settings.shear, settings.shear, **fill)
    if settings.brightness:
        add(layers.RandomBrightness, settings.brightness)
    if settings.contrast:
        add(layers.RandomContrast, settings.contrast)
    for kind, options in POLICIES[settings.policy]:
        add(kind, **options, **(fill if kind in MOVING else {}))
    return chosen


def augments(settings: Augmentation) -> bool:
    """Return whether training images are changed at all."""
    return bool(chain(settings, 0))


def augmented_images(image: np.ndarray, count: int, settings: Augmentation) -> np.ndarray:
    """Return `count` augmented images uint8 (n, h, w, 3) of one image uint8 (h, w, 3), or none."""
    chosen = chain(settings, 0)
    pixels = np.repeat(image[None], count if chosen else 0, axis=0).astype("float32")
    for layer in chosen:
        pixels = layer(pixels, training=True)
    return np.clip(np.round(pixels), 0, 255).astype("uint8")


def in_front(model: keras.Model, settings: Augmentation, seed: int) -> keras.Model:
    """Return the network that trains: `model` behind the layers that augment training images.

    It shares the layers of `model`, whose own weights stay free of the random generators' state.
    """
    return keras.Sequential([model.input, *chain(settings, seed), model])


def by_seed(settings: Augmentation) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Return a function from pixels uint8 (n, h, w, 3) and seeds int64 (n,) to float32 pixels.

    Each image is augmented by its own seed, whatever is beside it in the batch. Seeds: 0 to 2**31.
    """
    chosen = chain(settings, 0)

    def augment(image):
        pixels, seed = image
        for number, layer in enumerate(chosen):
            layer.generator.state.assign(tf.stack([seed, number << 20]))
        augmented = tf.cast(pixels, "float32")[None]
        for layer in chosen:
            augmented = layer(augmented, training=True)
        return augmented[0]

    return tf.function(  # the generators have one state, so one image after the other
        lambda *images: tf.map_fn(
            augment, images, parallel_iterations=1, fn_output_signature="float32"
        )
    )


def augmented_copies(digests: Sequence[str], count: int, settings: Augmentation) -> AugmentedCopies:
    """Return `count` augmented copies of each image, the same for the same digest of a file.

    Raises UserError when there is no augmentation.
    """
    if not augments(settings):
        raise UserError(
            "augmented copies would be equal, as augmentation changes nothing",
            "extract.augmented_copies",
            "set some of augmentation, or extract.augmented_copies to 0",
        )
    provenance = {"augmentation": settings.model_dump()}
    make = functools.partial(by_seed, settings)
    return AugmentedCopies(make, seeds(digests, count), provenance)


def seeds(digests: Sequence[str], copies: int) -> np.ndarray:
    """Return the seeds of images' copies, int64 (n, copies) in 0 to 2**31, by files' digests."""
    keys = [[f"{digest} {number}" for number in range(copies)] for digest in digests]
    return np.array(
        [
            [int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) >> 1 for key in row]
            for row in keys
        ],
        "int64",
    )
