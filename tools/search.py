"""Look for good settings: `python -m tools.search -S 'head.dropout=interval(0,0.5)' -S
'train_head.learning_rate=tag(log,interval(0.0001,0.01))' --until train_head --trials 20`.

Each next trial is drawn from what the earlier ones have scored on validation (tree-structured
Parzen estimator, Bergstra et al. 2011), or at random; Optuna does that. Each is a DVC experiment.
Once five have ended, a trial that is worse than their median at some epoch is stopped there, unless
--no-pruning. The same command goes on where it was interrupted, and ends with so many trials or
minutes. Test images have no say. Needs `make extras`.
"""

import argparse
import sys
import time
from math import inf
from typing import NamedTuple

from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, dvc_queue, plan, ranking, sweep_runner
from tools.experiments.plan import Configuration

try:
    import optuna
    from optuna.trial import TrialState

    from tools.experiments import search_space
    from tools.experiments.study import SAMPLERS, open_study, tried, watcher
except ModuleNotFoundError as error:
    raise SystemExit(f"error: tools.search needs {error.name}; `make extras`") from None


class Search(NamedTuple):
    """A study, the space that it draws from, and the stages that each trial runs.

    fresh: the stages that have been run with params.yaml as it is. options: of the command line.
    """

    study: optuna.Study
    space: search_space.Space
    stages: list[plan.Stage]
    fresh: set[str]
    options: argparse.Namespace

    @property
    def scored(self) -> str:
        """The stage whose scores count."""
        return ranking.scored(self.stages, self.options.until)

    @property
    def metric(self) -> str:
        """What is compared on validation: loss or accuracy."""
        return ranking.metric(self.space.drawn)


def main() -> None:
    options = arguments()
    search = begin(options)
    study, space = search.study, search.space
    deadline = time.monotonic() + 60 * (inf if options.minutes is None else options.minutes)
    earlier = [space.changes(trial.params) for trial in study.get_trials() if trial.params]
    known, failed = sweep_runner.configurations(options.name, earlier, options.until), []
    while tried(study) < options.trials and time.monotonic() < deadline and not failed:
        count = min(options.jobs, options.trials - tried(study))
        new, failed = run_batch(search, known, count)
        known += new
    print(report(search))
    if failed:
        raise UserError(
            f"{', '.join(failed)} failed; see `dvc queue logs {failed[0]}`, and run this again to "
            "go on"
        )


def begin(options: argparse.Namespace) -> Search:
    """Open the study that the command line asks for. Raises UserError for what cannot be run."""
    space = search_space.parse(options.set_param)
    for key in space.drawn:
        sweep_runner.check_same_images(key)
    stages = plan.stages(options.until)
    ranking.scored(stages, options.until)
    for each in sweep_runner.configurations(options.name, space.ends(), options.until):
        dvc_experiments.check_local_files(each.params)
    fresh = sweep_runner.fresh_stages()
    wanted = {"space": sorted(options.set_param)}
    name = sweep_runner.name_of(options.name, sweep_runner.last_commit(), wanted, options.until)
    study = open_study(name, ranking.metric(space.drawn), options)
    return Search(study, space, stages, fresh, options)


def run_batch(
    search: Search, known: list[Configuration], count: int
) -> tuple[list[Configuration], list[str]]:
    """Draw `count` trials, run them and tell the study; return them, and the names that failed.

    `known`: the configurations of earlier trials. The stages of those that ended well need not run
    again.
    """
    study, options = search.study, search.options
    asked = [study.ask(search.space.drawn) for _ in range(count)]
    changes = [search.space.changes(trial.params) for trial in asked]
    new = sweep_runner.configurations(options.name, changes, options.until)
    trials = {each.name: trial for each, trial in zip(new, asked)}
    for name, trial in trials.items():
        trial.set_user_attr("experiment", name)
    well = sweep_runner.ended([each.name for each in known])
    ended = [each.params for each in known if each.name in well]
    chosen = plan.plan(new, search.stages, params.read(), search.fresh, ended)
    sweep_runner.announce(chosen, dvc_experiments.states(), options.jobs)
    look, stopped = watcher(trials, search.scored, search.metric)
    sweep_runner.run(chosen, options.until, options.jobs, look)
    well = sweep_runner.ended(trials)
    for each, trial in zip(new, asked):
        if each.name in well:
            study.tell(trial, dvc_experiments.best(each.name, search.scored)[search.metric])
        else:
            state = TrialState.PRUNED if each.name in stopped else TrialState.FAIL
            study.tell(trial, state=state)
    dvc_queue.forget(sorted(stopped - set(well)))
    return new, [name for name in trials if name not in well and name not in stopped]


def report(search: Search) -> str:
    """Return the table of the trials that ran to their end, and how many were stopped.

    What was removed since with `dvc exp remove` is left out.
    """
    study = search.study
    whole = study.get_trials(states=[TrialState.COMPLETE])
    there = sweep_runner.ended({each.user_attrs["experiment"] for each in whole})
    whole = [each for each in whole if each.user_attrs["experiment"] in there]
    stopped = len(study.get_trials(states=[TrialState.PRUNED]))
    lines = [f"{stopped} of {tried(study)} trials were stopped, being worse than the median"]
    if whole:
        changes = {
            each.user_attrs["experiment"]: search.space.changes(each.params) for each in whole
        }
        found = ranking.table(changes, search.scored, search.metric)
        lines.insert(0, ranking.report(found, tried(study)))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-S", "--set-param", action="append", required=True, metavar="KEY=SPACE")
    parser.add_argument("--until", metavar="STAGE", default=ranking.FINE_TUNE)
    parser.add_argument("--trials", type=int, help="20, or no limit with --minutes")
    parser.add_argument("--minutes", type=float, help="begin none after that")
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
    parser.add_argument("--no-pruning", action="store_true", help="let each trial run to its end")
    parser.add_argument("--seed", type=int, default=0)
    sweep_runner.add_jobs(parser)
    parser.add_argument("--name", default="search", help="what the experiments' names begin with")
    options = parser.parse_args()
    if options.trials is None:
        options.trials = 20 if options.minutes is None else sys.maxsize
    if options.trials < 1:
        raise UserError("--trials should be at least 1")
    return options


if __name__ == "__main__":
    run(main)
