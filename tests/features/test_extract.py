import keras
import numpy as np
import pytest

from thaw.features import arrays, frozen_backbone, store
from thaw.features.outputs import write_outputs
from thaw.images import loader
from thaw.models import backbones


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((12, 12, 3))
    return keras.Model(pixels, keras.layers.Conv2D(5, 3, strides=4, activation="relu")(pixels))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (17, 12, 12, 3)).astype("uint8")


def extract(backbone, pixels, folder, batch_size=8, feature_maps=False, engine="tensorflow"):
    model = backbones.pooled(backbone, feature_maps)
    network = frozen_backbone.of_model(model, {"engine": engine, "precision": "float32"})

    def batches(missing):
        for part in loader.slices(len(missing), batch_size):
            yield missing[part], pixels[missing[part]]

    keys = store.keys({}, [str(row) for row in range(len(pixels))])
    write_outputs(network, keys, batches, folder, store.FeatureStore(None, 1.0))


def test_row_i_is_image_i(backbone, pixels, tmp_path):
    extract(backbone, pixels, tmp_path / "features", feature_maps=True)
    feature_map = backbone.predict(pixels.astype("float32"), verbose=0)
    expected = {"avg": feature_map.mean(axis=(1, 2)), "max": feature_map.max(axis=(1, 2))}
    expected["flatten"] = feature_map
    for pooling, values in expected.items():
        got = arrays.load(tmp_path / "features", pooling, 17)
        assert isinstance(got, np.memmap)
        assert (got.shape, got.dtype) == (values.shape, np.float32)
        assert got == pytest.approx(values, rel=1e-5, abs=1e-4)


def test_the_batch_size_changes_no_byte(backbone, pixels, tmp_path):
    files = []
    for size in (4, 8, 16):  # 17 images: the tail of one joins its neighbour
        extract(backbone, pixels, tmp_path / str(size), size, engine="openvino")
        files.append((tmp_path / str(size) / "avg.npy").read_bytes())
    assert files[0] == files[1] == files[2]
