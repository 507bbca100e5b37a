"""What a search may choose from: -S in Hydra's words, as Optuna's distributions.

`interval(0.1,0.5)` is any number between, `int(interval(3,9))` any whole one,
`tag(log,interval(1e-4,1e-2))` one by its logarithm, `range(0,5)` and `choice(a,b)` what Hydra means
by them. The words are those of Hydra's own plugin for Optuna.
"""

import json
from collections.abc import Sequence
from typing import NamedTuple

from dvc.exceptions import InvalidArgumentError
from dvc.utils.hydra import to_hydra_overrides
from hydra.core.override_parser.types import (
    ChoiceSweep,
    IntervalSweep,
    QuotedString,
    RangeSweep,
)
from hydra.errors import HydraException
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)

from thaw.project.errors import UserError

DIGITS = 4


class Space(NamedTuple):
    """Of each param "section.key" how its value is drawn, and the values of those that stay."""

    drawn: dict[str, BaseDistribution]
    fixed: dict[str, object]

    def changes(self, suggested: dict[str, object]) -> dict[str, object]:
        """Return the changes {"section.key": value} that Optuna's values stand for."""
        return self.fixed | {key: _value(drawn) for key, drawn in suggested.items()}

    def ends(self) -> list[dict[str, object]]:
        """Return changes that together have each choice, and both ends of each interval."""
        values = [
            each.choices if isinstance(each, CategoricalDistribution) else (each.low, each.high)
            for each in self.drawn.values()
        ]
        rows = range(max(map(len, values)))
        return [
            self.changes({key: of[min(row, len(of) - 1)] for key, of in zip(self.drawn, values)})
            for row in rows
        ]


def parse(overrides: Sequence[str]) -> Space:
    """Return the space of "section.key=..."; raises UserError where it cannot be understood."""
    drawn, fixed = {}, {}
    try:
        for each in to_hydra_overrides(list(overrides)):
            key, value = each.key_or_group, each.value()
            if each.is_sweep_override():
                drawn[key] = _distribution(key, value)
            else:
                fixed[key] = value
    except (HydraException, InvalidArgumentError, ValueError) as error:
        raise UserError(f"-S: {str(error).splitlines()[0]}; write section.key=value") from None
    if not drawn:
        raise UserError(
            "-S: nothing to choose from; write for example head.dropout=interval(0,0.5)"
        )
    return Space(drawn, fixed)


def _value(drawn: object) -> object:
    """Return what is tried: of numbers the first digits, as more can neither be read nor matter."""
    if isinstance(drawn, str):
        return json.loads(drawn)
    return float(f"{drawn:.{DIGITS}g}") if isinstance(drawn, float) else drawn


def _plain(value: object) -> object:
    """Return an element of a choice without Hydra's own type of quoted text."""
    if isinstance(value, QuotedString):
        return value.text
    if isinstance(value, list):
        return [_plain(each) for each in value]
    if isinstance(value, dict):
        return {_plain(key): _plain(each) for key, each in value.items()}
    return value


def _distribution(key: str, sweep: object) -> BaseDistribution:
    """Return how Optuna draws; of a choice the values as JSON, as it may have lists."""
    if isinstance(sweep, ChoiceSweep):
        return CategoricalDistribution([json.dumps(_plain(value)) for value in sweep.list])
    if isinstance(sweep, RangeSweep):
        numbers = list(sweep.range())
        if not numbers:
            raise UserError(f"-S {key}: this range is empty")
        whole = all(isinstance(each, int) for each in numbers)
        kind = IntDistribution if whole else FloatDistribution
        return kind(numbers[0], numbers[-1], step=sweep.step)
    if isinstance(sweep, IntervalSweep):
        whole = isinstance(sweep.start, int) and isinstance(sweep.end, int)
        kind = IntDistribution if whole else FloatDistribution
        return kind(sweep.start, sweep.end, log="log" in sweep.tags)
    raise UserError(f"-S {key}: write choice(), range() or interval()")
