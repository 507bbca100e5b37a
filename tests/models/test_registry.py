import inspect

import keras
import numpy as np
import pytest
from keras import applications

from tests import tiny
from thaw.features import frozen_backbone, outputs, store
from thaw.models import backbones, registry, weights
from thaw.training import frozen_activations, layer_blocks

PIXELS = np.random.default_rng(0).integers(0, 256, (2, 96, 96, 3)).astype("uint8")
NAMES = [name for name in registry.NETWORKS if name != tiny.NAME]
FAMILIES = {  # the smallest of each, with the module that has its preprocess_input
    "ConvNeXtTiny": "convnext",
    "DenseNet121": "densenet",
    "EfficientNetV2B0": "efficientnet_v2",
    "InceptionResNetV2": "inception_resnet_v2",
    "InceptionV3": "inception_v3",
    "MobileNet": "mobilenet",
    "MobileNetV2": "mobilenet_v2",
    "MobileNetV3Small": "mobilenet_v3",
    "NASNetMobile": "nasnet",
    "ResNet50": "resnet",
    "ResNet50V2": "resnet_v2",
    "VGG16": "vgg16",
    "VGG19": "vgg19",
    "Xception": "xception",
}

BLOCKS = {  # of residual blocks, dense layers, modules or cells, as their papers have them
    "ConvNeXtTiny": 18,
    "DenseNet121": 58,
    "EfficientNetB0": 16,
    "EfficientNetLite2": 21,
    "EfficientNetV2B0": 21,
    "InceptionResNetV2": 43,
    "InceptionV3": 11,
    "MobileNet": 13,
    "MobileNetV2": 17,
    "MobileNetV3Large": 15,
    "NASNetMobile": 16,
    "ResNet50": 16,
    "ResNet50V2": 16,
    "VGG16": 5,
    "VGG19": 5,
    "Xception": 14,
}


def test_all_of_keras_applications_are_there():
    public = {
        name for name, value in vars(applications).items()
        if name != tiny.NAME and inspect.isfunction(value)
        and "include_top" in inspect.signature(value).parameters
    }  # fmt: skip
    lite = {name for name in registry.NETWORKS if "Lite" in name}
    assert set(NAMES) == public | lite
    assert (len(public), len(lite)) == (40, 3)


def _is_cut_well(model: keras.Model, pixels: np.ndarray) -> bool:
    """Whether the two parts of a cut are the network; NASNet's cells leave no place to cut."""
    parts = frozen_activations.cut_below(model, round(0.65 * len(model.layers)))
    if parts is None:
        return model.name.startswith("nasnet")
    together = parts.top(parts.frozen(pixels.astype("float32"))[frozen_activations.OUTPUT])
    return np.allclose(together, model(pixels.astype("float32")), rtol=1e-4, atol=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", NAMES)
def test_each_network_extracts_at_its_smallest_size(name, tmp_path):
    """Built with random weights; two images go through extract's own path.

    What comes out is Keras' own to 1e-5, but for EfficientNetV2L, whose random weights let Keras
    differ from itself by as much as from any other once the pixels change by a millionth.
    """
    network = registry.NETWORKS[name]
    keras.utils.clear_session()
    model = backbones.network(name, network.smallest)
    assert model.count_params() == network.parameters
    pixels = PIXELS[:, : network.smallest, : network.smallest]
    pooled = backbones.pooled(model, feature_maps=True)
    by_openvino = frozen_backbone.of_model(pooled, {"engine": "openvino", "precision": "float32"})
    keys, nowhere = store.keys({}, ["a", "b"]), store.FeatureStore(None, 1.0)
    folder = tmp_path / "features"
    outputs.write_outputs(by_openvino, keys, lambda rows: [(rows, pixels)], folder, nowhere)
    average, whole = (np.load(folder / f"{kind}.npy") for kind in ("avg", "map"))
    expected = pooled.predict_on_batch(pixels)
    if name != "EfficientNetV2L":
        for got, kind in ((average, "avg"), (whole, "map")):
            assert np.abs(got - expected[kind]).max() < 1e-5 * np.abs(expected[kind]).max()
    assert whole.shape == (2, *model.output_shape[1:])
    assert average.shape == (2, whole.shape[-1])
    assert np.isfinite(whole).all()
    assert average == pytest.approx(whole.mean(axis=(1, 2)), rel=1e-3, abs=1e-5)
    assert not np.array_equal(average[0], average[1])
    assert _is_cut_well(model, pixels)
    found = layer_blocks.of(model)
    assert len(found) == BLOCKS.get(name, len(found))
    assert [layer for block in found for layer in block] == model.layers
    assert all(any(layer.weights for layer in block) for block in found)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_the_preprocessing_is_the_familys_own(name):
    module = getattr(applications, FAMILIES[name])
    size = max(96, registry.NETWORKS[name].smallest)
    theirs = getattr(applications, name)(
        include_top=False, weights=None, input_shape=(size, size, 3)
    )
    ours = backbones.network(name, size)
    weights.copy(theirs, ours)
    pixels = PIXELS.astype("float32")
    expected = theirs.predict(module.preprocess_input(pixels.copy()), verbose=0)
    got = ours.predict(pixels, verbose=0)
    assert got == pytest.approx(expected, rel=1e-3, abs=1e-3 * float(np.abs(expected).max()))


def test_the_torch_kind_is_mean_and_deviation():
    pixels = keras.Input((96, 96, 3))
    got = keras.Model(pixels, backbones.PREPROCESSING["torch"](pixels)).predict(PIXELS, verbose=0)
    expected = (PIXELS / 255 - [0.485, 0.456, 0.406]) / [0.229, 0.224, 0.225]
    assert got == pytest.approx(expected, abs=2e-5)
    theirs = applications.densenet.preprocess_input(PIXELS.astype("float32"))
    assert got == pytest.approx(theirs, abs=2e-5)
