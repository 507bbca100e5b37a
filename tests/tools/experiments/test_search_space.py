import re

import optuna
import pytest

from thaw.project.errors import UserError
from tools.experiments import search_space

FOUR = [
    "train_head.learning_rate=tag(log,interval(0.0001,0.01))",
    "train_head.epochs=int(interval(3,9))",
    "head.hidden=choice([],[64],[64,32])",
    "head.dropout=range(0,0.7,0.3)",
    "train_head.batch_size=7",
]


def test_what_is_drawn_lies_in_the_space():
    space = search_space.parse(FOUR)
    study = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=1))
    drawn = [space.changes(study.ask(space.drawn).params) for _ in range(41)]
    rates = [each["train_head.learning_rate"] for each in drawn]
    assert 0.0001 <= min(rates) < max(rates) <= 0.01
    assert sum(rate < 0.001 for rate in rates) > 10  # by its logarithm: about half of them
    assert all(len(f"{rate:.9g}".strip("0.").split("e")[0]) <= 5 for rate in rates)  # 1.234e-05
    assert {each["train_head.epochs"] for each in drawn} == set(range(3, 10))
    assert {str(each["head.hidden"]) for each in drawn} == {"[]", "[64]", "[64, 32]"}
    assert {each["head.dropout"] for each in drawn} == {0.0, 0.3, 0.6}
    assert {each["train_head.batch_size"] for each in drawn} == {7}


def test_a_choice_may_be_quoted():
    space = search_space.parse(
        ["fine_tune.unfreeze=choice('1 block','2 blocks')", "a.b=choice(['x,y'],{c: 'd'})"]
    )
    assert [each["fine_tune.unfreeze"] for each in space.ends()] == ["1 block", "2 blocks"]
    assert [each["a.b"] for each in space.ends()] == [["x,y"], {"c": "d"}]


def test_the_ends_have_each_choice_and_both_ends():
    ends = search_space.parse(FOUR).ends()
    assert [each["head.hidden"] for each in ends] == [[], [64], [64, 32]]
    assert {each["train_head.learning_rate"] for each in ends} == {0.0001, 0.01}
    assert {each["train_head.epochs"] for each in ends} == {3, 9}
    assert {each["head.dropout"] for each in ends} == {0, 0.6}


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("head.dropout", "-S: "),
        ("head.dropout=0.2", "nothing to choose from"),
        ("head.dropout=interval(0,", "-S: "),
        ("head.dropout=interval(0.5,0.1)", "-S: "),
        ("train_head.learning_rate=tag(log,interval(0,1))", "-S: "),
        ("train_head.epochs=range(5,5)", "-S train_head.epochs: this range is empty"),
        ("head.dropout=glob(*)", "write choice(), range() or interval()"),
    ],
)
def test_mistakes_are_one_line(override, message):
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        search_space.parse([override])
    assert "\n" not in str(raised.value)
