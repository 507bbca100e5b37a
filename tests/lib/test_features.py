import keras
import numpy as np
import pytest

from stages.lib import engines, extraction, features, pictures, store
from stages.lib.errors import UserError


@pytest.fixture(scope="module")
def backbone() -> keras.Model:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((12, 12, 3))
    return keras.Model(pixels, keras.layers.Conv2D(5, 3, strides=4, activation="relu")(pixels))


@pytest.fixture(scope="module")
def pixels() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (17, 12, 12, 3)).astype("uint8")


def extract(backbone, pixels, folder, batch_size=8, maps=False):
    model = extraction.pooled(backbone, maps)
    forward, shapes = engines.forward(model, "tensorflow", "float32"), extraction.shapes(model)

    def batches(missing):
        for part in pictures.slices(len(missing), batch_size):
            yield missing[part], pixels[missing[part]]

    keys = store.keys({}, [str(row) for row in range(len(pixels))])
    extraction.extract(forward, shapes, keys, batches, folder, store.Store(None, 1.0))


def test_row_i_is_picture_i(backbone, pixels, tmp_path):
    extract(backbone, pixels, tmp_path / "features", maps=True)
    feature_map = backbone.predict(pixels.astype("float32"), verbose=0)
    expected = {"avg": feature_map.mean(axis=(1, 2)), "max": feature_map.max(axis=(1, 2))}
    expected["flatten"] = feature_map
    for pooling, values in expected.items():
        got = features.load(tmp_path / "features", pooling, 17)
        assert isinstance(got, np.memmap)
        assert (got.shape, got.dtype) == (values.shape, np.float32)
        assert got == pytest.approx(values, rel=1e-5, abs=1e-4)


def test_the_batch_size_changes_no_byte(backbone, pixels, tmp_path):
    files = []
    for size in (4, 8, 16):  # 17 pictures: the tail of one joins its neighbour
        extract(backbone, pixels, tmp_path / str(size), size)
        files.append((tmp_path / str(size) / "avg.npy").read_bytes())
    assert files[0] == files[1] == files[2]


def test_features_that_are_missing_or_of_another_manifest_are_refused(backbone, pixels, tmp_path):
    extract(backbone, pixels, tmp_path / "f")
    with pytest.raises(UserError, match=r"\[head.pooling\]: 'flatten' needs .* extract.maps"):
        features.load(tmp_path / "f", "flatten", 17)
    with pytest.raises(UserError, match=r"holds 17 rows of float32 instead of 16"):
        features.load(tmp_path / "f", "avg", 16)
    with pytest.raises(UserError, match=r"avg\.npy is missing; run `dvc repro extract`"):
        features.load(tmp_path / "none", "avg", 17)
    np.save(tmp_path / "f" / "avg.npy", np.zeros((17, 5)))
    with pytest.raises(UserError, match=r"rows of float64"):
        features.load(tmp_path / "f", "avg", 17)
    np.save(tmp_path / "f" / "avg.npy", np.array([{}] * 17), allow_pickle=True)
    with pytest.raises(UserError, match=r"not a \.npy file \(Array can't be memory-mapped"):
        features.load(tmp_path / "f", "avg", 17)
    (tmp_path / "f" / "avg.npy").write_bytes(b"")
    with pytest.raises(UserError, match=r"not a \.npy file"):
        features.load(tmp_path / "f", "avg", 17)


def test_varied_gives_a_picture_or_one_of_its_views():
    plain = np.arange(10, dtype="float32")[:, None]
    rows = np.array([1, 4, 7])
    views = np.stack([plain[rows] + 0.1, plain[rows] + 0.2], axis=1)
    varied = features.Varied(plain, views, rows, seed=1)
    got = np.stack([varied[rows] for _ in range(300)])[..., 0]
    for place, row in enumerate(rows):
        values, counts = np.unique(got[:, place].round(1), return_counts=True)
        assert values == pytest.approx([row, row + 0.1, row + 0.2])
        assert counts.min() > 60  # of 300, a third each
