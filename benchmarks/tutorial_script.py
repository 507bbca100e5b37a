"""Transfer learning as the TensorFlow tutorial does it, in one plain script, to compare with.

`python -m benchmarks.tutorial_script FOLDER --size 160`, where FOLDER holds train/CLASS/,
validation/CLASS/ and perhaps test/CLASS/. It follows "Transfer learning and fine-tuning"
(tensorflow.org/tutorials/images): ten epochs of a head on the frozen network with flips and turns,
then ten more with the upper 35 % of its layers unfrozen, at a tenth of the learning rate. The
network is thaw's, so that the weights are the same. So is the unfreezing, which keeps all of
BatchNormalization frozen (the tutorial's own lets its scale and offset train). More than two
classes have a softmax. Prints the accuracy on all images in test/, or else validation/, as JSON.
"""

import argparse
import json
import tempfile
from pathlib import Path
from typing import NamedTuple

import keras
import tensorflow as tf
from keras import layers

from thaw.models import pretrained
from thaw.models.settings import Backbone
from thaw.training import unfreezing

BATCH, LEARNING_RATE, EPOCHS = 32, 1e-4, 10
UNFREEZE = 0.35  # the tutorial unfreezes from layer 100 of 154


class Data(NamedTuple):
    train: tf.data.Dataset
    validation: tf.data.Dataset


def data(folder: Path, size: int, seed: int = 1) -> Data:
    """Return both data sets, decoded anew in each epoch and prefetched, as in the tutorial."""
    return Data(*(images(folder / part, size, seed) for part in ("train", "validation")))


def images(folder: Path, size: int, seed: int = 1) -> tf.data.Dataset:
    """Return the images in CLASS/ of `folder`, in an order of their own each time."""
    return keras.utils.image_dataset_from_directory(
        folder, image_size=(size, size), batch_size=BATCH, seed=seed, verbose=False
    ).prefetch(tf.data.AUTOTUNE)


def without_tuner(found: Data) -> Data:
    """Return data sets whose iterators do not wait for tf.data's tuner when they end.

    In TensorFlow 2.21 it takes turns at growing distances, so that an epoch of 24 s lasts 41.
    """
    options = tf.data.Options()
    options.autotune.enabled = False
    return Data(*(each.with_options(options) for each in found))


def network(backbone: keras.Model, classes: int = 2) -> keras.Model:
    """Return the frozen backbone behind augmentation and under a head, compiled."""
    backbone.trainable = False
    pixels = keras.Input(backbone.input_shape[1:])
    x = layers.RandomRotation(0.2)(layers.RandomFlip("horizontal")(pixels))
    x = layers.GlobalAveragePooling2D()(backbone(x, training=False))
    units, activation = (1, "sigmoid") if classes == 2 else (classes, "softmax")
    x = layers.Dense(units, activation)(layers.Dropout(0.2)(x))
    model = keras.Model(pixels, x)
    compile_(model, keras.optimizers.Adam(LEARNING_RATE))
    return model


def unfreeze(model: keras.Model, backbone: keras.Model, amount: float | str) -> None:
    """Unfreeze the top of the backbone and compile at a tenth of the learning rate."""
    unfreezing.unfreeze(backbone, amount)
    compile_(model, keras.optimizers.RMSprop(LEARNING_RATE / 10))


def compile_(model: keras.Model, optimizer: keras.optimizers.Optimizer) -> None:
    if model.output_shape[-1] == 1:
        loss, accuracy = keras.losses.BinaryCrossentropy(), keras.metrics.BinaryAccuracy
    else:
        loss = keras.losses.SparseCategoricalCrossentropy()
        accuracy = keras.metrics.SparseCategoricalAccuracy
    model.compile(optimizer, loss, metrics=[accuracy("accuracy")])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--name", default="EfficientNetLite0")
    parser.add_argument("--size", type=int, default=160)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--out", type=Path, help="where to write the JSON as well")
    options = parser.parse_args()
    spec = Backbone(name=options.name, weights="imagenet", image_size=options.size)
    with tempfile.TemporaryDirectory() as scratch:
        backbone = pretrained.load(spec, Path(scratch))
    keras.utils.set_random_seed(options.seed)
    train, validation = data(options.folder, options.size, options.seed)
    model = network(backbone, len([*(options.folder / "train").iterdir()]))
    model.fit(train, epochs=EPOCHS, validation_data=validation, verbose=2)
    unfreeze(model, backbone, UNFREEZE)
    model.fit(
        train,
        epochs=2 * EPOCHS,
        initial_epoch=EPOCHS,
        validation_data=validation,
        verbose=2,
    )
    test = options.folder / "test"
    test = images(test, options.size) if test.is_dir() else validation
    found = json.dumps({"accuracy": model.evaluate(test, verbose=0)[1]})
    print(found)
    if options.out:
        options.out.write_text(found, encoding="utf-8")


if __name__ == "__main__":
    main()
