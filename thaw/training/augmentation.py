"""Change training images at random, each by itself, so that no two epochs are the same."""

import functools
import hashlib
from collections.abc import Callable, Sequence

import thaw.models.tf_setup  # noqa: F401  # isort: skip  first; workers of Ray begin here
import keras
import numpy as np
import tensorflow as tf
from keras import layers

from thaw.features.image_source import AugmentedCopies
from thaw.project.errors import UserError
from thaw.training.settings import Augmentation

Augment = Callable[[tf.Tensor, tf.Tensor], tf.Tensor]  # from pixels and a seed to pixels
RATIO = 4 / 3  # of a crop's sides, at most


class RandomResizedCrop(layers.Layer):
    """A part of each image, enlarged to the image's size; Keras 3.15.1 has no layer for it.

    Szegedy and others 2014, arXiv:1409.4842. area: the least part, a fraction of the image.
    """

    def __init__(self, area: float, seed: int):
        super().__init__()
        self.area, self.seed = area, seed
        self.generator = keras.random.SeedGenerator(seed)

    def call(self, pixels, training=False):
        if not training:
            return pixels
        count = tf.shape(pixels)[0]
        drawn = keras.random.uniform((4, count), seed=self.generator)
        area, ratio, top, left = tf.unstack(drawn, num=4)
        side, factor = tf.sqrt(self.area + (1 - self.area) * area), RATIO ** (ratio - 0.5)
        height, width = tf.minimum(side * factor, 1.0), tf.minimum(side / factor, 1.0)
        top, left = top * (1 - height), left * (1 - width)
        boxes = tf.stack([top, left, top + height, left + width], axis=1)
        return tf.image.crop_and_resize(pixels, boxes, tf.range(count), pixels.shape[1:3])


POLICIES = {
    "none": [],
    "light": [
        (RandomResizedCrop, {"area": 0.6}),
        (layers.RandomBrightness, {"factor": 0.1}),
        (layers.RandomContrast, {"factor": 0.2}),
    ],
    # Neither Keras' AugMix, which draws its operations once for all images, when the graph is made,
    # nor RandAugment, which computes all eleven for each image: 22 ms for one of 160 px.
    "strong": [
        (RandomResizedCrop, {"area": 0.35}),
        (layers.RandomBrightness, {"factor": 0.2}),
        (layers.RandomContrast, {"factor": 0.3}),
        # Not RandomSaturation, which leaves 0..255 in Keras 3.15.1.
        (layers.RandomColorDegeneration, {"factor": 0.5}),
        (layers.RandomErasing, {"factor": (0.3, 0.3), "scale": (0.02, 0.2), "fill_value": 127.5}),
    ],
}
POLICIES["mixed"] = POLICIES["strong"]  # of an image alone; `mixing` has the rest


def chain(settings: Augmentation) -> list[layers.Layer]:
    """Return the layers that augment pixels, RGB 0..255 (n, h, w, 3), and only while training.

    rotation is a fraction of a full turn, translation of the side, zoom and shear of the size,
    brightness of 255, contrast of the distance from the mean. Each is drawn evenly from -fraction
    to fraction, for each image anew, by what `begin` gave. Places that come in from outside are
    filled as `fill_mode` says (constant: black). What POLICIES have of `policy` comes last.
    """
    chosen = []

    def add(kind: type, *amounts, **options) -> None:
        chosen.append(kind(*amounts, seed=0, **options))

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
        add(kind, **options)
    return chosen


def begin(chosen: Sequence[layers.Layer], seed: tf.Tensor, first: int = 0) -> None:
    """Let layers draw what they draw for this seed, int64 in 0 to 2**31.

    `first`: number of the first layer. Each number draws something else: with one seed for all just
    those images would be turned to the left that are flipped, and so on.
    """
    for number, layer in enumerate(chosen, first):
        layer.generator.state.assign(tf.stack([seed, number << 20]))


def augments(settings: Augmentation) -> bool:
    """Return whether training images are changed at all."""
    return bool(chain(settings))


def augmented_images(image: np.ndarray, count: int, settings: Augmentation) -> np.ndarray:
    """Return `count` augmented images uint8 (n, h, w, 3) of one image uint8 (h, w, 3), or none."""
    pixels = np.repeat(image[None], count if augments(settings) else 0, axis=0)
    augmented = of_batch(settings)(pixels, tf.constant(0, "int64"))
    return np.clip(np.round(augmented), 0, 255).astype("uint8")


def of_batch(settings: Augmentation) -> Augment:
    """Return a function from a batch's pixels (n, h, w, 3) and its seed to augmented ones, float32.

    The same seed, int64 from 0 to 2**31, gives the same ones again, on any number of threads.
    """
    with tf.device("CPU"):  # where tf.data calls the function, also beside a GPU
        chosen = chain(settings)

    def augment(pixels, seed):
        begin(chosen, seed)
        pixels = tf.cast(pixels, "float32")
        for layer in chosen:
            pixels = layer(pixels, training=True)
        return pixels

    return augment


def by_seed(settings: Augmentation) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Return a function from pixels uint8 (n, h, w, 3) and seeds int64 (n,) to float32 pixels.

    Each image is augmented by its own seed, whatever is beside it in the batch. Seeds: 0 to 2**31.
    """
    augment = of_batch(settings)
    return tf.function(  # the generators have one state, so one image after the other
        lambda *images: tf.map_fn(
            lambda image: augment(image[0][None], image[1])[0], images, parallel_iterations=1,
            fn_output_signature="float32",
        )
    )  # fmt: skip


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
