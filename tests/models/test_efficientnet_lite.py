import zipfile
from pathlib import Path

import keras
import numpy as np
import pytest
from PIL import Image

from tests.imports import ROOT
from thaw.models import efficientnet_lite, lite_layers
from thaw.models.torch_checkpoint import read_state_dict
from thaw.project.errors import UserError
from tools import imagenet

PHOTOS = ROOT.parent / "shared/datasets/cats_and_dogs_filtered.zip"


@pytest.fixture(scope="module")
def package() -> Path:
    return lite_layers.package_file(0)


@pytest.fixture(scope="module")
def lite0() -> keras.Model:
    return imagenet.build("EfficientNetLite0")


@pytest.mark.parametrize(("number", "count"), [(0, 4_694_024), (1, 5_470_344), (2, 6_150_168)])
def test_every_tensor_of_the_package_is_used_once(number, count):
    tensors = read_state_dict(lite_layers.package_file(number))
    wanted = {n: t.size for n, t in tensors.items() if not n.endswith("num_batches_tracked")}
    model = imagenet.build(f"EfficientNetLite{number}")
    assert model.count_params() == sum(wanted.values()) == count
    assert len(model.weights) == len(wanted)


def test_kernels_are_turned_to_keras_axes(lite0, package):
    tensors = read_state_dict(package)
    stem = tensors["_conv_stem.weight"]
    assert lite0.get_layer("stem_conv").kernel[1, 2, 0, 5] == stem[5, 0, 1, 2]
    depthwise = tensors["_blocks.3._depthwise_conv.weight"]
    assert lite0.get_layer("block3a_dwconv").kernel[4, 1, 77, 0] == depthwise[77, 0, 4, 1]
    variance = tensors["_blocks.15._bn2.running_var"]
    assert np.array_equal(lite0.get_layer("block7a_project_bn").moving_variance, variance)


def test_shapes_and_names():
    model = efficientnet_lite.build(0, keras.Input((64, 96, 3)))
    assert model.output_shape == (None, 2, 3, 1280)
    names = lite_layers.block_names(0)
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
    model = efficientnet_lite.build(0, keras.Input((32, 32, 3)))
    (tmp_path / "x.pth").write_bytes(package.read_bytes()[:100_000])
    with pytest.raises(
        UserError, match=r"x\.pth: not a .* than the file holds; install its package"
    ):
        efficientnet_lite.load_package_weights(0, model, tmp_path / "x.pth")


@pytest.mark.skipif(not PHOTOS.is_file(), reason="the real photos are not here")
@pytest.mark.parametrize(
    "number", [0, *(pytest.param(each, marks=pytest.mark.slow) for each in (1, 2))]
)
def test_real_cats_are_called_cats(number):
    model = imagenet.build(f"EfficientNetLite{number}")
    with zipfile.ZipFile(PHOTOS) as photos:
        names = [name for name in photos.namelist() if "/validation/cats/" in name][:20]
        pixels = []
        for name in names:
            with photos.open(name) as file, Image.open(file) as image:
                pixels.append(
                    image.convert("RGB").resize(model.input_shape[1:3], Image.Resampling.BILINEAR)
                )
    best = model.predict(np.stack(pixels), verbose=0).argmax(axis=1)
    assert np.isin(best, [281, 282, 283, 284, 285]).sum() >= 12  # the five kinds of house cats
    assert number or np.isin(best, [281, 282, 285]).sum() >= 10
