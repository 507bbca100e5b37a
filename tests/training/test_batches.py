from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from thaw.training.batches import dataset, steps_at_once, train_and_validation, varied


def test_batches_give_each_row_once_in_a_new_order():
    inputs, classes = np.arange(40) * 10, np.arange(40)
    batches = dataset(inputs, classes, np.arange(3, 20), 8, np.random.default_rng(1))
    assert len(batches) == 2  # 17 rows: 8 and 9, none of one
    orders = []
    for _ in range(2):
        parts = list(batches.as_numpy_iterator())
        assert [len(y) for _, y in parts] == [8, 9]
        assert all((x == y * 10).all() for x, y in parts)
        orders.append([y for _, part in parts for y in part])
        assert sorted(orders[-1]) == list(range(3, 20))
    assert orders[0] != orders[1]
    again = dataset(inputs, classes, np.arange(3, 20), 8, np.random.default_rng(1))
    assert [y for _, part in again.as_numpy_iterator() for y in part] == orders[0]


@pytest.mark.parametrize("chunk", [1, 100, 2**24])
def test_batches_are_the_same_however_many_are_read_at_once(chunk, monkeypatch):
    monkeypatch.setattr("thaw.training.batches.CHUNK", chunk)
    inputs = np.random.default_rng(0).normal(size=(50, 3)).astype("float32")
    batches = dataset(inputs, np.arange(50), np.arange(0, 50, 2), 4, np.random.default_rng(1))
    parts = list(batches.as_numpy_iterator())
    assert [len(y) for _, y in parts] == [4, 4, 4, 4, 4, 5]
    assert all(np.array_equal(x, inputs[y]) and (np.diff(y) > 0).all() for x, y in parts)


def test_batches_without_a_generator_keep_their_order():
    batches = dataset(np.arange(40), np.arange(40), np.arange(11), 4)
    assert [y for _, part in batches.as_numpy_iterator() for y in part] == list(range(11))


def test_only_train_trains_and_only_validation_selects():
    inputs = np.arange(101)
    split = pd.Series(np.random.default_rng(0).choice(["train", "validation", "test"], 101))
    settings = SimpleNamespace(batch_size=8, seed=1)
    parts = train_and_validation(inputs, inputs, split, settings)
    for batches, name in zip(parts, ("train", "validation")):
        got = np.concatenate([x for x, _ in batches.as_numpy_iterator()])
        assert sorted(got) == inputs[split == name].tolist()


def test_training_batches_are_augmented_then_mixed_each_by_a_seed_of_its_own():
    inputs, split = np.arange(40.0), pd.Series(["train"] * 33 + ["validation"] * 7)
    plain = train_and_validation(
        inputs, np.arange(40), split, SimpleNamespace(batch_size=4, seed=3)
    )
    assert varied(plain, 3, None, None) is plain
    got = varied(plain, 3, lambda x, seed: x * 10, lambda x, y, seed: (x + 1, y, seed))
    assert got.validation is plain.validation
    assert len(got.train) == len(plain.train) == 8
    assert got.train.options().autotune.enabled is False
    assert len(got.generators) == 2
    seeds = []
    for _ in range(2):
        parts = list(got.train.as_numpy_iterator())
        assert sorted(np.concatenate([y for _, y, _ in parts])) == list(range(33))
        assert all((x == y * 10 + 1).all() for x, y, _ in parts)
        seeds += [seed for _, _, seed in parts]
    assert len(set(seeds)) == 16
    assert 0 <= min(seeds) <= max(seeds) < 2**31
    again = varied(plain, 3, None, lambda x, y, seed: (x, y, seed)).train.as_numpy_iterator()
    assert [seed for *_, seed in again] == seeds[:8]


def test_nothing_tunes_the_data_set():
    """The end of an iterator would wait for the tuner's next turn, up to as long as training."""
    found = dataset(np.zeros((9, 4), "float32"), np.zeros(9, "int32"), np.arange(9), 4)
    assert found.options().autotune.enabled is False


@pytest.mark.parametrize(("shape", "steps"), [((4,), 32), ((1280,), 12), ((224, 224, 3), 1)])
def test_large_inputs_take_fewer_steps_at_once(shape, steps):
    """So that Ctrl-C is heard soon."""
    inputs = np.zeros((64, *shape), "float32")
    found = dataset(inputs, np.zeros(64, "int32"), np.arange(64), 32)
    assert steps_at_once(found, 32) == steps
