"""Mix the images of a training batch with one another, and their labels in the same shares."""

from collections.abc import Callable

import keras
import tensorflow as tf
from keras import layers

from thaw.training.augmentation import begin
from thaw.training.settings import Augmentation

FIRST = 100  # for `begin`: after all layers that augment


def mixes(settings: Augmentation) -> bool:
    """Return whether the images of a training batch are mixed."""
    return settings.policy == "mixed"


def of_batch(
    classes: int, weights: dict[int, float] | None
) -> Callable[[tf.Tensor, tf.Tensor, tf.Tensor], tuple]:
    """Return a function from x (n, ...), its classes int (n,) and a seed to a mixed batch.

    A third of all batches stay as they are; in a third each image is blended with another one
    (MixUp, Zhang and others 2017, arXiv:1710.09412), in a third it gets a part of another one
    (CutMix, Yun and others 2019, arXiv:1905.04899), but where x has no two dimensions of places. x
    may be pixels or activations: of these it is manifold mixup (Verma and others 2018,
    arXiv:1806.05236). Returns x as float32; of each image the share of each class, float32 (n, k),
    or of the second of two, float32 (n,); and its weight in the loss, float32 (n,).

    `weights`: of the classes. Then a mixed image's loss is the mixture of both images' weighted
    losses: the shares are those of the weighted labels, and the weight is their sum.
    """
    with tf.device("CPU"):  # where tf.data calls the function, also beside a GPU
        blend, paste = layers.MixUp(0.2, seed=0), layers.CutMix((1.0, 1.0), seed=0)
        table = tf.constant([weights[each] if weights else 1.0 for each in range(classes)])

    def mix(x, truth, seed):
        begin([blend, paste], seed, first=FIRST)
        shares, planes = tf.one_hot(truth, classes), tf.cast(x, "float32")
        if len(x.shape) != 4:  # a transformer's tokens; the layers take nothing but images
            planes = tf.reshape(planes, (tf.shape(x)[0], -1, 1, x.shape[-1]))
        ways = [lambda: (planes, shares)]
        for layer in (blend, paste if len(x.shape) == 4 else blend):
            ways.append(lambda layer=layer: _mixed(layer, planes, shares))
        mixed, shares = tf.switch_case(tf.cast(seed % len(ways), "int32"), ways)
        weighted = tf.ensure_shape(shares, (None, classes)) * table
        weight = tf.reduce_sum(weighted, axis=1)
        shares = weighted / weight[:, None]
        x = tf.ensure_shape(tf.reshape(mixed, tf.shape(x)), x.shape)
        return x, shares if classes > 2 else shares[:, 1], weight

    return mix


def _mixed(layer: keras.layers.Layer, images, labels) -> tuple:
    found = layer({"images": images, "labels": labels}, training=True)
    return found["images"], found["labels"]
