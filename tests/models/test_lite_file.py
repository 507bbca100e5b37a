import h5py
import keras
import numpy as np
import pytest

import thaw.models.tf_setup  # noqa: F401  first, before Keras
from thaw.models import backbones, lite_file, lite_layers, weights
from thaw.models.settings import Backbone
from thaw.project.errors import UserError


@pytest.fixture(scope="module")
def values() -> dict[str, list[np.ndarray]]:
    found = lite_layers.package_values(0, lite_layers.package_file(0))
    return {name: each for name, each in found.items() if name != "predictions"}


def content(path) -> dict:
    """Return the names in all groups, and the shapes of all values."""
    found = {}
    with h5py.File(path) as file:
        file.visititems(
            lambda name, item: found.update({name: getattr(item, "shape", dict(item.attrs))})
        )
    return found


@pytest.mark.slow
def test_keras_reads_it_and_would_have_written_it(values, tmp_path):
    keras.utils.clear_session()
    model = backbones.build(Backbone(name="EfficientNetLite0", weights=None, image_size=32))
    ours, theirs = tmp_path / "ours.weights.h5", tmp_path / "theirs.weights.h5"
    lite_file.save(0, values, ours)
    weights.load(model, ours)
    assert np.array_equal(model.get_layer("block6d_dwconv").kernel, values["block6d_dwconv"][0])
    assert np.array_equal(model.get_layer("top_bn").moving_variance, values["top_bn"][3])
    weights.save(model, theirs)
    assert content(ours) == content(theirs)
    for path in (ours, theirs):
        found = lite_file.load(0, path)
        assert found.keys() == values.keys()
        for name, each in found.items():
            assert all(map(np.array_equal, each, values[name]))


def test_twice_gives_the_same_bytes(values, tmp_path):
    files = [tmp_path / name for name in ("a.weights.h5", "b.weights.h5")]
    for file in files:
        lite_file.save(0, values, file)
    assert files[0].read_bytes() == files[1].read_bytes()


def test_what_is_not_of_this_network_is_one_line(values, tmp_path):
    file = tmp_path / "x.weights.h5"
    lite_file.save(0, values, file)
    with pytest.raises(
        UserError, match=r"x\.weights\.h5: not the weights of .*lite2 \(layer block"
    ):
        lite_file.load(2, file)
    file.write_bytes(file.read_bytes()[:5000])
    with pytest.raises(UserError, match=r"x\.weights\.h5: not the weights of .*lite0 .* again"):
        lite_file.load(0, file)
