import keras
import numpy as np
import pytest

from stages.lib import heads


def spec(**changes) -> heads.Head:
    return heads.Head(**{"pooling": "avg", "hidden": [], "dropout": 0.0} | changes)


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers[1:]]


def test_layers():
    assert kinds(heads.build(spec(), (5,), 3)) == ["Dense"]
    assert kinds(heads.build(spec(dropout=0.2), (5,), 3)) == ["Dropout", "Dense"]
    two = heads.build(spec(hidden=[7, 4], dropout=0.5), (5,), 3)
    assert kinds(two) == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.units for layer in two.layers[1::2]] == [7, 4, 3]
    assert [layer.activation.__name__ for layer in two.layers[1::2]] == ["relu", "relu", "linear"]
    flat = heads.build(spec(pooling="flatten"), (2, 3, 5), 3)
    assert kinds(flat) == ["Flatten", "Dense"]
    assert flat.input_shape == (None, 2, 3, 5)


@pytest.mark.parametrize(("classes", "logits"), [(2, 1), (3, 3), (10, 10)])
def test_one_logit_for_two_classes_and_one_per_class_for_more(classes, logits):
    assert heads.build(spec(), (5,), classes).output_shape == (None, logits)


def test_load(tmp_path):
    head = heads.build(spec(hidden=[7]), (5,), 3)
    head.save_weights(tmp_path / "x.weights.h5")
    again = heads.load(spec(hidden=[7]), (5,), 3, tmp_path / "x.weights.h5")
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    assert np.array_equal(head.predict(features), again.predict(features))
