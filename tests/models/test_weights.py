import warnings

import keras
import numpy as np
import pytest

from thaw.models import weights
from thaw.project.errors import UserError


def model(units: int = 3) -> keras.Model:
    return keras.Sequential([keras.Input((4,)), keras.layers.Dense(units, name="x")], name="small")


def test_all_weights_are_set(tmp_path):
    source, target = model(), model()
    source.save_weights(tmp_path / "a.weights.h5")
    weights.load(target, tmp_path / "a.weights.h5")
    for ours, theirs in zip(target.get_weights(), source.get_weights(), strict=True):
        assert np.array_equal(ours, theirs)


def test_other_shapes_and_half_a_file_are_refused(tmp_path):
    model(5).save_weights(tmp_path / "a.weights.h5")
    with pytest.raises(UserError, match=r"a\.weights\.h5: not the weights of this small"):
        weights.load(model(), tmp_path / "a.weights.h5")
    half = (tmp_path / "a.weights.h5").read_bytes()[:1000]
    for name in ("b.weights.h5", "b.keras"):
        (tmp_path / name).write_bytes(half)
        with pytest.raises(UserError, match="not the weights of this small"):
            weights.load(model(), tmp_path / name)


def test_what_keras_only_warns_of_is_refused(monkeypatch):
    target = model()
    monkeypatch.setattr(target, "load_weights", lambda _: warnings.warn("skipped", stacklevel=1))
    with pytest.raises(UserError, match=r"not the weights of this small \(skipped\)"):
        weights.load(target, "x.weights.h5")


def network(filters: int = 4, blocks: int = 2, top: bool = False) -> keras.Model:
    """A little network of convolutions, with BatchNormalization and perhaps a dense top."""
    keras.utils.set_random_seed(filters + blocks)
    x = pixels = keras.Input((8, 8, 3))
    for number in range(blocks):
        x = keras.layers.Conv2D(filters, 3, name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{number}")(x)
    if top:
        x = keras.layers.Dense(7, name="fc")(keras.layers.Flatten(name="flat")(x))
    return keras.Model(pixels, x, name="little")


# .weights.h5 says nothing of the order of layers, so that a top could not be told
@pytest.mark.parametrize(
    ("ending", "top"),
    [(".weights.h5", False), (".h5", False), (".h5", True), (".keras", False), (".keras", True)],
)
def test_pretrained_weights_of_every_kind(tmp_path, ending, top):
    source, target = network(top=top), network()
    target.set_weights([np.zeros_like(value) for value in target.get_weights()])
    path = tmp_path / f"x{ending}"
    source.save_weights(path) if ending == ".weights.h5" else source.save(path)
    weights.load_pretrained(target, path)
    for name in ("conv0", "norm0", "conv1", "norm1"):
        pair = (each.get_layer(name).get_weights() for each in (target, source))
        for ours, theirs in zip(*pair, strict=True):
            assert np.array_equal(ours, theirs)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (
            network(5),
            r"layer conv0 has a weight of shape \(3, 3, 3, 4\), the file's layer conv0 \(3, ",
        ),
        (network(blocks=1), "the file ends before layer conv1"),
        (network(blocks=3), "the file goes on with layer conv2, which is no top"),
    ],
)
@pytest.mark.parametrize("ending", [".h5", ".keras"])
def test_the_first_layer_that_differs_is_named(tmp_path, source, message, ending):
    source.save(tmp_path / f"x{ending}")
    target = network()
    before = target.get_weights()
    with pytest.raises(UserError, match=f"not the weights of this little .{message}"):
        weights.load_pretrained(target, tmp_path / f"x{ending}")
    assert all(np.array_equal(*pair) for pair in zip(before, target.get_weights()))


def test_another_network_in_keras_3s_own_kind_is_refused(tmp_path):
    network(5).save_weights(tmp_path / "x.weights.h5")
    with pytest.raises(UserError, match=r"not the weights of this little .layer conv0 has weights"):
        weights.load_pretrained(network(), tmp_path / "x.weights.h5")


def test_normalization_computes_with_the_weights_that_are_set(tmp_path):
    def model():
        pixels = keras.Input((2, 2, 3))
        return keras.Model(pixels, keras.layers.Normalization(name="norm")(pixels), name="norm")

    source, target = model(), model()
    source.get_layer("norm").adapt(np.random.default_rng(0).normal(5, 2, (99, 2, 2, 3)))
    source.save(tmp_path / "x.h5")
    pixels = np.ones((1, 2, 2, 3), "float32")
    expected = source.predict(pixels, verbose=0)
    weights.load_pretrained(target, tmp_path / "x.h5")
    assert target.predict(pixels, verbose=0) == pytest.approx(expected)
    copied = model()
    weights.copy(source, copied)
    assert copied.predict(pixels, verbose=0) == pytest.approx(expected)


def test_code_in_a_file_is_not_run(tmp_path):
    def code(x):
        (tmp_path / "run").touch()
        return x

    pixels = keras.Input((8, 8, 3))
    inner = network()
    hostile = keras.layers.Lambda(code, output_shape=(8, 8, 3))(pixels)
    keras.Model(pixels, inner(hostile)).save(tmp_path / "x.keras")
    (tmp_path / "run").unlink(missing_ok=True)
    target = network()
    target.set_weights([np.zeros_like(value) for value in target.get_weights()])
    weights.load_pretrained(target, tmp_path / "x.keras")
    assert all(map(np.array_equal, target.get_weights(), inner.get_weights()))
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("ending", [".weights.h5", ".h5", ".keras"])
def test_a_truncated_file_is_refused(tmp_path, ending):
    path = tmp_path / f"x{ending}"
    network().save_weights(path) if ending == ".weights.h5" else network().save(path)
    path.write_bytes(path.read_bytes()[:-900])
    with pytest.raises(UserError, match="not the weights of this little"):
        weights.load_pretrained(network(), path)


def test_a_pickle_is_refused(tmp_path):
    np.save(tmp_path / "x.npy", np.array([{"a": 1}]), allow_pickle=True)
    with pytest.raises(UserError, match=r"x\.npy: not the weights .* \(neither HDF5 nor .keras\)"):
        weights.load_pretrained(network(), tmp_path / "x.npy")


def test_the_fingerprint_travels_with_the_weights(tmp_path):
    paths = [tmp_path / name for name in ("a.weights.h5", "b.weights.h5")]
    source = network()
    for path in paths:
        weights.save(source, path, {"b": 1, "a": {"c": [2]}})
    assert weights.read_provenance(paths[0]) == {"a": {"c": [2]}, "b": 1}
    assert paths[0].read_bytes() == paths[1].read_bytes()
    weights.load(network(), paths[0])
    network().save_weights(paths[0])
    assert weights.read_provenance(paths[0]) == {}
    paths[0].write_bytes(paths[1].read_bytes()[:500])
    for path in (paths[0], tmp_path / "none.weights.h5"):
        with pytest.raises(UserError, match="is missing or damaged; let `dvc repro` make it again"):
            weights.read_provenance(path)
