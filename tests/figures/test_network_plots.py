import keras
import numpy as np
import pytest
from keras import layers

from tests.figures.test_image_grid import texts
from thaw.figures import network_plots
from thaw.project.errors import UserError

SIDE = 33


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A network whose first layer doubles one colour each: red, green, blue; then 17, 9, 3 px."""
    pixels = keras.Input((SIDE, SIDE, 3), name="pixels")
    x = layers.Rescaling(2.0, name="scale")(pixels)
    x = first = layers.Conv2D(11, 3, strides=2, padding="same", use_bias=False, name="first")(x)
    x = layers.ReLU(name="early")(x)
    x = layers.ReLU(name="late")(x)
    x = keras.Sequential([layers.MaxPooling2D(2)], name="inside")(x)
    x = layers.Conv2D(5, 1, padding="same", name="second")(x)
    x = layers.AveragePooling2D(2, padding="same", name="third")(x)
    x = layers.AveragePooling2D(2, padding="same", name="tiny")(x)
    network = keras.Model([pixels], x)  # in a list, as for EfficientNetLite
    kernel = np.zeros((3, 3, 3, 11), "float32")
    kernel[1, 1, [0, 1, 2], [0, 1, 2]] = 2.0
    kernel[0, 0, 0, 3] = -0.5
    network.get_layer(first._keras_history.operation.name).set_weights([kernel])
    return network


@pytest.mark.parametrize("order", ["RGB", "BGR"])
def test_kernels_are_drawn_in_the_colours_of_their_weights(network, order):
    figure = network_plots.kernels(network, order)
    assert "".join(texts(figure)[0]).startswith("11 kernels, 3 x 3, of the first layer first")
    images = [image.get_array() for image in figure.axes[0].images]
    assert len(images) == 11
    assert images[0][1, 1].tolist() == ([128, 128, 255] if order == "BGR" else [255, 128, 128])
    assert images[1][1, 1].tolist() == [128, 255, 128]
    assert images[3][0, 0].tolist() == ([128, 128, 0] if order == "BGR" else [0, 128, 128])
    assert (images[4] == 128).all()  # a dead one


def test_more_kernels_than_there_is_room_for():
    pixels = keras.Input((SIDE, SIDE, 3))
    wide = keras.Model(pixels, layers.Conv2D(67, 5)(pixels))
    figure = network_plots.kernels(wide, "RGB")
    assert texts(figure)[0].startswith("64 of 67 kernels, 5 x 5")
    assert len(figure.axes[0].images) == 64


def test_layers_are_the_last_of_each_size_of_feature_map(network):
    chosen = network_plots.layers_to_show(network, "auto")
    assert [layer.name for layer in chosen] == ["late", "second", "third"]
    chosen = network_plots.layers_to_show(network, ["tiny", "early"])
    assert [layer.name for layer in chosen] == ["tiny", "early"]


@pytest.mark.parametrize(
    ("name", "hint"), [("lato", "did you mean late"), ("inside", ""), ("scale", ""), ("x", "tiny")]
)
def test_a_layer_without_feature_maps_is_refused(network, name, hint):
    with pytest.raises(UserError, match=f"'{name}' is no layer of this network") as error:
        network_plots.layers_to_show(network, [name])
    assert error.value.key == "figures.layers"
    assert hint in error.value.hint


def test_feature_maps_are_those_that_vary_most(network):
    random = np.random.default_rng(5)
    image = random.integers(0, 256, (SIDE, SIDE, 3)).astype("uint8")
    image[..., 1] //= 9  # green varies least
    chosen = network_plots.layers_to_show(network, ["first", "second"])
    figure = network_plots.feature_maps(network, image, chosen, "cat")
    assert texts(figure)[1:] == [
        "cat",
        "first: 17 x 17, 8 of 11 feature maps",
        "second: 8 x 8, 5 of 5 feature maps",
    ]
    shown = [np.asarray(image.get_array()) for image in figure.axes[0].images]
    assert len(shown) == 1 + 8 + 5
    assert (shown[0] == image).all()
    sampled = image[::2, ::2].astype(float)
    order = np.argsort(-sampled.std(axis=(0, 1)))
    for place, colour in enumerate(order[:2], 1):
        expected = sampled[..., colour]
        expected = (expected - expected.min()) / np.ptp(expected)
        assert shown[place] == pytest.approx(expected, abs=1e-5)
    assert (shown[8] == 0).all()  # nothing varies there


def test_one_layer_alone(network):
    chosen = network_plots.layers_to_show(network, ["tiny"])
    image = np.zeros((SIDE, SIDE, 3), "uint8")
    assert len(network_plots.feature_maps(network, image, chosen, "").axes[0].images) == 6
