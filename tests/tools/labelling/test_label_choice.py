import numpy as np
import pytest

from tools.labelling import label_choice

CLUSTERS = 7


def unlabelled(count: int = 200) -> tuple[np.ndarray, np.ndarray]:
    """Images in seven heaps; the first half of each is uncertain."""
    random = np.random.default_rng(0)
    heaps = np.arange(count) % CLUSTERS
    features = np.eye(CLUSTERS)[heaps] + random.normal(0, 0.05, (count, CLUSTERS))
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    first = np.where(np.arange(count) < count // 2, 0.45, 0.9)
    rest = 1 - first
    return np.stack([first, rest * 0.9, rest * 0.1], axis=1), features


def test_the_margin_is_between_the_two_likeliest():
    probabilities = np.array([[0.2, 0.3, 0.5], [0.4, 0.4, 0.2], [1.0, 0.0, 0.0]])
    assert label_choice.margins(probabilities) == pytest.approx([0.2, 0.0, 1.0])


def test_chosen_images_are_uncertain_and_one_of_each_heap():
    probabilities, features = unlabelled()
    chosen = label_choice.choose(probabilities, features, CLUSTERS)
    assert len(set(chosen)) == CLUSTERS
    assert (chosen < 100).all()
    assert sorted(chosen % CLUSTERS) == list(range(CLUSTERS))
    assert np.array_equal(label_choice.choose(probabilities, features, CLUSTERS), chosen)


def test_the_least_certain_come_first_and_a_small_folder_is_taken_whole():
    probabilities, features = unlabelled(23)
    random = np.random.default_rng(1)
    probabilities = random.dirichlet(np.ones(3), 23)
    for count in (5, 23, 50):
        chosen = label_choice.choose(probabilities, features, count)
        assert len(set(chosen)) == min(count, 23)
        assert (np.diff(label_choice.margins(probabilities)[chosen]) >= 0).all()


@pytest.mark.filterwarnings("error")
def test_equal_images_leave_no_place_empty():
    probabilities = np.tile([0.5, 0.5], (40, 1))
    chosen = label_choice.choose(probabilities, np.tile([1.0, 0.0], (40, 1)), 6)
    assert len(set(chosen)) == 6
