import keras
import numpy as np
import pytest
import tensorflow as tf

from thaw.features import tensorflow_engine
from thaw.models import backbones
from thaw.models.settings import Backbone
from thaw.training import processor_form, unfreezing

# A network of each family that has convolutions; a small one in the fast suite.
FAMILIES = (
    "EfficientNetLite0", "EfficientNetB0", "EfficientNetV2B0", "MobileNet", "MobileNetV2",
    "MobileNetV3Small", "ResNet50", "ResNet50V2", "DenseNet121", "InceptionV3", "InceptionResNetV2",
    "Xception", "NASNetMobile", "VGG16", "ConvNeXtTiny",
)  # fmt: skip
FAST = ("MobileNet",)


def network(name: str) -> keras.Model:
    """The network with random weights, whose normalization does something."""
    keras.utils.set_random_seed(1)
    side = 75 if "ception" in name else 32
    backbone = backbones.build(Backbone(name=name, weights=None, image_size=side))
    random = np.random.default_rng(1)
    for layer in backbone.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            for weight in layer.weights:
                low, high = (
                    (0.5, 1.5) if weight.name in ("gamma", "moving_variance") else (-0.2, 0.2)
                )
                weight.assign(random.uniform(low, high, weight.shape))
    return backbone


def gradients(model: keras.Model, variables, pixels, direction) -> list[np.ndarray]:
    @tf.function
    def of():
        with tf.GradientTape() as tape:
            value = tf.reduce_sum(model(pixels, training=True) * direction)
        return tape.gradient(value, variables)

    return [np.array(each) for each in of()]


@pytest.mark.parametrize(
    "name",
    [pytest.param(name, marks=() if name in FAST else pytest.mark.slow) for name in FAMILIES],
)
def test_values_and_gradients_are_those_of_the_plain_form(name):
    plain = network(name)
    unfreezing.unfreeze(plain, "all")
    arranged = processor_form.arrange(plain)
    assert {id(each) for each in arranged.variables} == {id(each) for each in plain.variables}
    random = np.random.default_rng(2)
    pixels = random.uniform(0, 255, (3, *plain.input_shape[1:])).astype("float32")
    for layer in plain.layers:
        if isinstance(layer, keras.layers.Dropout):
            layer.rate = 0.0
    expected, value = plain(pixels), arranged(pixels)
    scale = float(tf.reduce_max(tf.abs(expected)))
    assert np.abs(value - expected).max() <= 1e-5 * scale
    direction = random.normal(size=expected.shape).astype("float32")
    variables = [each.value for each in plain.trainable_variables]
    before = gradients(plain, variables, pixels, direction)
    after = gradients(arranged, variables, pixels, direction)
    largest = max(np.abs(each).max() for each in before)
    for ours, theirs in zip(after, before, strict=True):
        assert np.abs(ours - theirs).max() <= 1e-4 * largest


def test_on_a_gpu_the_network_stays_as_it_is(monkeypatch):
    pixels = keras.Input((8, 8, 3))
    plain = keras.Model(pixels, keras.layers.Conv2D(5, 1)(pixels))
    assert processor_form.arrange(plain) is not plain
    monkeypatch.setattr(tensorflow_engine, "gpus", lambda: ["GPU:0"])
    assert processor_form.arrange(plain) is plain


class Block(keras.layers.Layer):
    def __init__(self, **options):
        super().__init__(**options)
        self.norm = keras.layers.BatchNormalization()

    def build(self, shape):
        self.norm.build(shape)

    def call(self, x):
        return self.norm(x)


def test_a_fresh_layer_trains_no_more_than_the_first():
    block = Block()
    block.build((None, 3))
    assert len(processor_form.fresh(block).trainable_weights) == 2
    block.norm.trainable = False
    made = processor_form.fresh(block)
    assert made.trainable
    assert made.trainable_weights == []
