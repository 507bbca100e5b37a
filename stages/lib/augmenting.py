"""Vary training pictures at random, with Keras' own layers, so that no two epochs are the same."""

from typing import Annotated, Literal

import keras
from keras import layers
from pydantic import Field

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
    moved = {"fill_mode": settings.fill, "seed": seed}
    chosen = []
    if settings.flip != "none":
        chosen.append(layers.RandomFlip(settings.flip, seed=seed))
    if settings.rotation:
        chosen.append(layers.RandomRotation(settings.rotation, **moved))
    if settings.shift:
        chosen.append(layers.RandomTranslation(settings.shift, settings.shift, **moved))
    if settings.zoom:
        chosen.append(layers.RandomZoom(settings.zoom, **moved))
    if settings.shear:
        chosen.append(layers.RandomShear(settings.shear, settings.shear, **moved))
    if settings.brightness:
        chosen.append(layers.RandomBrightness(settings.brightness, seed=seed))
    if settings.contrast:
        chosen.append(layers.RandomContrast(settings.contrast, seed=seed))
    return chosen


def in_front(model: keras.Model, settings: Augmentation, seed: int) -> keras.Model:
    """Return the network that trains: `model` behind the layers that vary training pictures.

    It shares the layers of `model`, whose own weights stay free of the random generators' state.
    """
    return keras.Sequential([model.input, *chain(settings, seed), model])
