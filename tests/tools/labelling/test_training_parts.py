import numpy as np
import pytest

from thaw.project.errors import UserError
from tools.experiments.rows import Rows
from tools.labelling import training_parts


def test_parts_are_nested_and_hold_what_was_asked_of_each_class():
    classes = np.repeat([0, 1, 2], [3, 11, 17])
    split = np.where(np.arange(31) % 5 == 4, "test", "train")
    rows = Rows(classes, ["a", "b", "c"], split, np.arange(31))
    small, large = training_parts.draw(rows, [lambda own: 1, lambda own: min(own, 7)], seed=0)
    assert np.bincount(classes[small]).tolist() == [1, 1, 1]
    assert np.bincount(classes[large]).tolist() == [3, 7, 7]
    assert set(small) < set(large) <= set(np.flatnonzero(split == "train"))
    other = training_parts.draw(rows, [lambda own: min(own, 7)], seed=1)[0]
    assert not np.array_equal(other, large)


def test_written_is_mean_and_standard_deviation():
    assert training_parts.written(np.array([[0.5, 0.7], [1.0, 1.0]])) == [
        "0.6000 ± 0.1000",
        "1.0000 ± 0.0000",
    ]


def test_one_draw_is_refused():
    with pytest.raises(UserError, match="--draws should be at least 2"):
        training_parts.check_draws(1)
