"""What runs of the pipeline have in common, by dvc.yaml and the params of each."""

import json
from collections.abc import Collection, Sequence
from pathlib import Path, PurePosixPath
from typing import NamedTuple

import yaml

from thaw.project.errors import UserError


class Stage(NamedTuple):
    """A stage of dvc.yaml, with the sections of params.yaml that decide it.

    `needs`: the stages that come before it, directly or not, and itself; the sections are of all.
    """

    name: str
    sections: tuple[str, ...]
    needs: frozenset[str]


class Configuration(NamedTuple):
    """One set of params: its experiment's name, its changes {"section.key": value}, all params."""

    name: str
    changes: dict[str, object]
    params: dict


class PlannedRun(NamedTuple):
    """The run of a configuration, with the stages that it is the first to run.

    `wave`: 0, or one more than the last of those runs whose stages it finds done.
    """

    name: str
    changes: dict[str, object]
    stages: tuple[str, ...]
    wave: int


def stages(until: str | None = None, path: Path = Path("dvc.yaml")) -> list[Stage]:
    """Return the stages of dvc.yaml in its order, or those that `until` needs, and itself.

    Raises UserError when there is no such stage.
    """
    given = yaml.safe_load(path.read_text(encoding="utf-8"))["stages"]
    if until is not None and until not in given:
        raise UserError(f"--until {until}: no such stage; there are {', '.join(given)}")
    makers = {str(out): name for name, stage in given.items() for out in map(_path, _outs(stage))}
    above: dict[str, set[str]] = {}
    for name, stage in given.items():
        direct = {
            makers[place]
            for dep in stage.get("deps", ())
            for place in map(str, (PurePosixPath(dep), *PurePosixPath(dep).parents))
            if place in makers
        }
        above[name] = direct.union({name}, *(above[each] for each in direct))
    wanted = [name for name in given if until is None or name in above[until]]
    found = []
    for name in wanted:
        sections = {each for stage in above[name] for each in given[stage].get("params", ())}
        found.append(Stage(name, tuple(sorted(sections)), frozenset(above[name])))
    return found


def _outs(stage: dict) -> list:
    return [*stage.get("outs", ()), *stage.get("metrics", ()), *stage.get("plots", ())]


def _path(out: str | dict) -> PurePosixPath:
    return PurePosixPath(out if isinstance(out, str) else next(iter(out)))


def plan(
    configurations: Sequence[Configuration],
    of: Sequence[Stage],
    base: dict,
    fresh: Collection[str],
    ended: Sequence[dict] = (),
) -> list[PlannedRun]:
    """Order configurations so that each stage is run once for all that share it.

    `of`: the stages to run. `fresh`: those that have been run with the params `base`. `ended`: all
    params of each run that ended well. A configuration runs a stage whose params no other one
    before it had. It comes a wave after those whose stages it takes over, so that no two compute
    the same at the same time.
    """
    owner: dict[str, int] = {}  # of what is run, by _identity: the wave in which it is run
    finished = {_identity(stage, base) for stage in of if stage.name in fresh}
    finished |= {_identity(stage, values) for stage in of for values in ended}
    needs = [{stage.name: _identity(stage, each.params) for stage in of} for each in configurations]
    first: dict[str, int] = {}  # who has it, so that equal ones sort side by side
    for number, needed in enumerate(needs):
        for each in needed.values():
            first.setdefault(each, number)
    runs = []
    for index in sorted(range(len(needs)), key=lambda row: [first[e] for e in needs[row].values()]):
        chosen, needed = configurations[index], needs[index]
        shared = [owner[each] for each in needed.values() if each in owner]
        wave = max(shared, default=-1) + 1
        new = {s: each for s, each in needed.items() if each not in owner and each not in finished}
        owner |= dict.fromkeys(new.values(), wave)
        runs.append(PlannedRun(chosen.name, chosen.changes, tuple(new), wave))
    return sorted(runs, key=lambda run: run.wave)


def _identity(stage: Stage, values: dict) -> str:
    return json.dumps([stage.name, {each: values[each] for each in stage.sections}], sort_keys=True)


def seconds(
    runs: Sequence[PlannedRun], known: dict[str, float], jobs: int, start: float = 0.0
) -> float | None:
    """Return how long the runs will take with so many at a time; None where a stage is unknown.

    `known`: seconds of each stage; `start`: of a run besides its stages. A wave takes as long as
    its longest run, and no less than all of its runs one after the other, divided by `jobs`.
    """
    if any(stage not in known for run in runs for stage in run.stages):
        return None
    total = 0.0
    for wave in {run.wave for run in runs}:
        of_it = [run for run in runs if run.wave == wave]
        each = [start + sum(known[stage] for stage in run.stages) for run in of_it]
        total += max(max(each), sum(each) / jobs)
    return total
