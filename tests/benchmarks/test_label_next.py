import numpy as np
import pytest

from benchmarks import label_next


def test_the_labels_needed_lie_between_two_that_were_measured():
    labels, accuracy = np.array([10, 20, 40]), np.array([0.5, 0.7, 0.8])
    found = [label_next.needed(labels, accuracy, target) for target in (0.4, 0.6, 0.7, 0.75)]
    assert found == [10, 15, 20, 30]


@pytest.mark.parametrize("order", label_next.ORDERS)
def test_labelling_goes_on_until_the_whole_pool_is_labelled(order):
    random, classes = np.random.default_rng(0), np.arange(111) % 3
    features = (np.eye(5)[classes] + random.normal(0, 0.3, (111, 5))).astype("float32")
    pool = np.arange(0, 111, 2)
    curve = label_next.replay(order, features, classes, pool, seed=0)
    assert list(curve) == [12, 22, 32, 42, 52, 56]
    assert curve[56] == pytest.approx(
        label_next.head(features[pool], classes[pool]).score(features[1::2], classes[1::2])
    )
    assert curve[56] > 0.7
