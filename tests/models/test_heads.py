import keras
import numpy as np
import pytest

from tests.conftest import head_spec
from thaw.models import heads


def kinds(model: keras.Model) -> list[str]:
    return [type(layer).__name__ for layer in model.layers[1:]]


def test_layers():
    assert kinds(heads.build(head_spec(), (5,), 3)) == ["Dense"]
    assert kinds(heads.build(head_spec(dropout=0.2), (5,), 3)) == ["Dropout", "Dense"]
    two = heads.build(head_spec(hidden=[7, 4], dropout=0.5), (5,), 3)
    assert kinds(two) == ["Dense", "ReLU", "Dropout", "Dense", "ReLU", "Dropout", "Dense"]
    assert [layer.units for layer in two.layers[1::3]] == [7, 4, 3]
    normal = heads.build(head_spec(hidden=[7], batch_normalization=True), (5,), 3)
    assert kinds(normal) == ["Dense", "BatchNormalization", "ReLU", "Dense"]
    linear = heads.build(head_spec(dropout=0.5, batch_normalization=True), (5,), 3)
    assert kinds(linear) == ["Dropout", "BatchNormalization", "Dense"]
    flat = heads.build(head_spec(pooling="flatten"), (2, 3, 5), 3)
    assert kinds(flat) == ["Flatten", "Dense"]
    assert flat.input_shape == (None, 2, 3, 5)


@pytest.mark.parametrize(("classes", "logits"), [(2, 1), (3, 3), (10, 10)])
def test_one_logit_for_two_classes_and_one_per_class_for_more(classes, logits):
    assert heads.build(head_spec(), (5,), classes).output_shape == (None, logits)


def test_load(tmp_path):
    head = heads.build(head_spec(hidden=[7]), (5,), 3)
    head.save_weights(tmp_path / "x.weights.h5")
    again = heads.load(head_spec(hidden=[7]), (5,), 3, tmp_path / "x.weights.h5")
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")
    assert np.array_equal(head.predict(features), again.predict(features))


@pytest.mark.parametrize("classes", [2, 3])
def test_a_head_starts_from_given_weights(classes):
    random = np.random.default_rng(0)
    kernel, bias = random.normal(size=(5, classes)), random.normal(size=classes)
    features = random.normal(size=(4, 5))
    head = heads.build(head_spec(pooling="cls"), (5,), classes)
    heads.start_from(head, kernel, bias)
    logits = features @ kernel + bias
    expected = logits if classes == 3 else logits[:, 1:] - logits[:, :1]
    assert np.allclose(head(features.astype("float32")), expected, atol=1e-5)


def test_penalties_are_in_the_loss():
    features = np.random.default_rng(0).normal(size=(4, 5)).astype("float32")

    def added(**factors) -> tuple[float, keras.Model]:
        keras.utils.set_random_seed(1)
        none = head_spec().regularization
        changed = head_spec(hidden=[7], regularization=none.model_copy(update=factors))
        head = heads.build(changed, (5,), 3)
        head(features, training=True)
        return float(sum(head.losses)), head

    assert added()[1].losses == []
    sums, head = added(kernel_l2=0.5)
    kernels = [head.get_layer(name).kernel.numpy() for name in ("hidden1", "logits")]
    assert sums == pytest.approx(0.5 * sum((kernel**2).sum() for kernel in kernels), rel=1e-5)
    sums, head = added(kernel_l1=0.1)
    assert sums == pytest.approx(0.1 * sum(np.abs(kernel).sum() for kernel in kernels), rel=1e-5)
    sums, head = added(activity_l1=0.3, activity_l2=0.2)
    outputs = np.maximum(features @ head.get_layer("hidden1").kernel.numpy(), 0)
    expected = (0.3 * np.abs(outputs).sum() + 0.2 * (outputs**2).sum()) / len(features)
    assert sums == pytest.approx(expected, rel=1e-4)
