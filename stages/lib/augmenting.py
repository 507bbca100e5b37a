"""Vary training pictures at random, with Keras' own layers, so that no two epochs are the same."""

import hashlib
from collections.abc import Callable, Sequence
from typing import Annotated, Literal

import keras
import numpy as np
import tensorflow as tf
from keras import layers
from pydantic import Field

from stages.lib.errors import UserError
from stages.lib.extraction import Views
from stages.lib.params import Section

Share = Annotated[float, Field(ge=0, le=0.5)]


class Augmentation(Section):
    """How far training pictures are varied; 0 and none for not at all."""

    flip: Literal["none", "horizontal", "vertical", "horizontal_and_vertical"]
    rotation: Share
    shift: Share
    zoom: Share
    shear: Share
    brightness: Share
    contrast: Share
    fill: Literal["nearest", "reflect", "wrap", "constant"]


def chain(settings: Augmentation, seed: int) -> list[layers.Layer]:
    """Return the layers that vary pixels, RGB 0..255 (n, h, w, 3), and only while training.

    rotation is a share of a full turn, shift of the side, zoom and shear of the size; brightness of
    255, contrast of the distance from the mean. Each is drawn evenly from -share to share, for each
    picture anew; places that come in from outside are filled as `fill` says (constant: black).
    """
    # One seed for all would turn just those pictures to the left that are flipped, and so on.
    seeds = map(int, np.random.SeedSequence(seed).generate_state(7) >> 1)
    chosen = []

    def add(kind: type, *amounts, **options) -> None:
        chosen.append(kind(*amounts, seed=next(seeds), **options))

    fill = {"fill_mode": settings.fill}
    if settings.flip != "none":
        add(layers.RandomFlip, settings.flip)
    if settings.rotation:
        add(layers.RandomRotation, settings.rotation, **fill)
    if settings.shift:
        add(layers.RandomTranslation, settings.shift, settings.shift, **fill)
    if settings.zoom:
        add(layers.RandomZoom, settings.zoom, **fill)
    if settings.shear:
        add(layers.RandomShear, settings.shear, settings.shear, **fill)
    if settings.brightness:
        add(layers.RandomBrightness, settings.brightness)
    if settings.contrast:
        add(layers.RandomContrast, settings.contrast)
    return chosen


def varies(settings: Augmentation) -> bool:
    """Return whether training pictures are varied at all."""
    return bool(chain(settings, 0))


def variations(picture: np.ndarray, count: int, settings: Augmentation) -> np.ndarray:
    """Return `count` variations of a picture uint8 (h, w, 3), alike; none where nothing varies."""
    chosen = chain(settings, 0)
    pixels = np.repeat(picture[None], count if chosen else 0, axis=0).astype("float32")
    for layer in chosen:
        pixels = layer(pixels, training=True)
    return np.clip(np.round(pixels), 0, 255).astype("uint8")


def in_front(model: keras.Model, settings: Augmentation, seed: int) -> keras.Model:
    """Return the network that trains: `model` behind the layers that vary training pictures.

    It shares the layers of `model`, whose own weights stay free of the random generators' state.
    """
    return keras.Sequential([model.input, *chain(settings, seed), model])


def by_seed(settings: Augmentation) -> Callable[[np.ndarray, np.ndarray], tf.Tensor]:
    """Return a function from pixels uint8 (n, h, w, 3) and seeds int64 (n,) to float32 pixels.

    Each picture is varied by its own seed, whatever is beside it in the batch. Seeds: 0 to 2**31.
    Raises UserError when nothing is to be varied.
    """
    chosen = chain(settings, 0)
    if not chosen:
        raise UserError(
            "params.yaml [extract.views]: views would be copies, as augmentation varies nothing; "
            "set some of it, or extract.views to 0"
        )

    def vary(picture):
        pixels, seed = picture
        for number, layer in enumerate(chosen):
            layer.generator.state.assign(tf.stack([seed, number << 20]))
        varied = tf.cast(pixels, "float32")[None]
        for layer in chosen:
            varied = layer(varied, training=True)
        return varied[0]

    return tf.function(  # the generators have one state, so one picture after the other
        lambda *pictures: tf.map_fn(
            vary, pictures, parallel_iterations=1, fn_output_signature="float32"
        )
    )


def views_of(digests: Sequence[str], count: int, settings: Augmentation) -> Views:
    """Return `count` views of each picture, always the same for a picture, by its file's digest.

    Raises UserError when nothing is to be varied.
    """
    return Views(by_seed(settings), seeds(digests, count), {"augmentation": settings.model_dump()})


def seeds(digests: Sequence[str], views: int) -> np.ndarray:
    """Return the seeds of pictures' views, int64 (n, views) from 0 to 2**31, by their digests."""
    keys = [[f"{digest} {view}" for view in range(views)] for digest in digests]
    return np.array(
        [
            [int(hashlib.sha256(key.encode()).hexdigest()[:8], 16) >> 1 for key in row]
            for row in keys
        ],
        "int64",
    )
