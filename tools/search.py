"""Look for good settings: `python -m tools.search -S 'head.dropout=interval(0,0.5)' -S
'train_head.learning_rate=tag(log,interval(0.0001,0.01))' --until train_head --trials 20`.

Each next trial is drawn from what the earlier ones have scored on validation (tree-structured
Parzen estimator, Bergstra et al. 2011), or at random; Optuna does that. Each is a DVC experiment.
Once five have ended, one that at some epoch is worse than their median is stopped there, unless
--no-pruning.
The same command goes on where it was interrupted, and ends with so many trials or minutes. Test
pictures have no say. Needs `make extras`.
"""

import argparse
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from math import inf
from pathlib import Path

from stages.lib import files, params, paths
from stages.lib.errors import UserError, run
from tools.lib import experiments, planning, queue, ranking, runs

try:
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend
    from optuna.trial import Trial, TrialState

    from tools.lib import spaces
except ModuleNotFoundError as error:
    raise SystemExit(f"error: tools.search needs {error.name}; `make extras`") from None

STUDIES = Path(".dvc/tmp/search")  # beside DVC's queue; Git ignores it
LOGS = {"train_head": paths.HEAD_LOG, "fine_tune": paths.FINE_TUNE_LOG}
SAMPLERS = {"tpe": optuna.samplers.TPESampler, "random": optuna.samplers.RandomSampler}


def median() -> optuna.pruners.BasePruner:
    """Return what stops a trial behind the median, once five have ended.

    Epoch 0 is before the first, and says nothing.
    """
    return optuna.pruners.MedianPruner(n_startup_trials=5, n_warmup_steps=1)


def open_study(name: str, metric: str, options: argparse.Namespace) -> optuna.Study:
    """Return the study with that name, a new one if there is none.

    What was interrupted is to be tried again, and what is left unread of it counts as failed.
    """
    STUDIES.mkdir(parents=True, exist_ok=True)
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    pruner = optuna.pruners.NopPruner() if options.no_pruning else median()
    study = optuna.create_study(
        storage=JournalStorage(JournalFileBackend(str(STUDIES / f"{name}.log"))),
        study_name=name,
        pruner=pruner,
        direction="minimize" if metric == "loss" else "maximize",
        load_if_exists=True,
    )
    for trial in study.get_trials(states=[TrialState.RUNNING]):
        study.enqueue_trial(trial.params)
        study.tell(trial.number, state=TrialState.FAIL)
    # A sampler begins anew with each start, and should not draw again what it has drawn.
    study.sampler = SAMPLERS[options.sampler](seed=options.seed + len(study.trials))
    return study


def tried(study: optuna.Study) -> int:
    """Return how many trials have ended by themselves or for being behind."""
    return len(study.get_trials(states=[TrialState.COMPLETE, TrialState.PRUNED]))


def logged(file: Path) -> list[tuple[int, float]]:
    """Return epochs and values of a DVCLive table that is being written; [] where there is none."""
    with suppress(FileNotFoundError):
        whole_lines = file.read_text().rpartition("\n")[0].splitlines()[1:]
        rows = (line.split("\t") for line in whole_lines)
        return [(int(epoch), float(value)) for epoch, value in rows]
    return []


def watcher(trials: dict[str, Trial], stage: str, metric: str) -> tuple[Callable, set[str]]:
    """Return what looks at the queue and stops trials that are behind, and who was stopped.

    `trials`: by their experiments' names. What is compared is `metric` on validation, which `stage`
    logs after each epoch.
    """
    stopped: set[str] = set()
    reported = dict.fromkeys(trials, 0)
    log = files.partial_of(LOGS[stage]) / f"plots/metrics/validation/{metric}.tsv"

    def look(opened: queue.LocalCeleryQueue) -> None:
        for name, trial in trials.items():
            folder = None if name in stopped else queue.checkout(opened, name)
            if folder is None:
                continue
            for epoch, value in logged(folder / log)[reported[name] :]:
                trial.report(value, epoch)
                reported[name] += 1
            if trial.should_prune():
                queue.stop(opened, name)
                stopped.add(name)

    return look, stopped


def main() -> None:
    options = arguments()
    space = spaces.parse(options.set_param)
    for key in space.drawn:
        runs.check_same_pictures(key)
    stages = planning.stages(options.until)
    stage, metric = ranking.scored(stages, options.until), ranking.metric(space.drawn)
    for _, _, values in runs.configurations(options.name, space.ends(), options.until):
        experiments.check_local_files(values)
    fresh = runs.fresh_stages()
    of_it = {"space": sorted(options.set_param)}
    name = runs.name_of(options.name, runs.last_commit(), of_it, options.until)
    study = open_study(name, metric, options)
    deadline = time.monotonic() + 60 * (inf if options.minutes is None else options.minutes)
    earlier = [space.changes(trial.params) for trial in study.get_trials() if trial.params]
    known, failed = runs.configurations(options.name, earlier, options.until), []
    while tried(study) < options.trials and time.monotonic() < deadline and not failed:
        count = min(options.jobs, options.trials - tried(study))
        failed = run_batch(study, space, known, count, (stages, stage, metric, fresh), options)
    print(report(study, space, stage, metric))
    if failed:
        raise UserError(
            f"{', '.join(failed)} failed; see `dvc queue logs {failed[0]}`, and run this again to "
            "go on"
        )


def run_batch(
    study: optuna.Study,
    space: "spaces.Space",
    known: list[runs.Configuration],
    count: int,
    about: tuple,
    options: argparse.Namespace,
) -> list[str]:
    """Draw `count` trials, run them and tell the study; return the experiments that failed.

    `known`: the configurations of earlier trials; the new ones are added. The stages of those that
    ended well need not run again.
    """
    stages, stage, metric, fresh = about
    asked = [study.ask(space.drawn) for _ in range(count)]
    new = runs.configurations(
        options.name, [space.changes(trial.params) for trial in asked], options.until
    )
    trials = {}
    for (name, _, _), trial in zip(new, asked):
        trial.set_user_attr("experiment", name)
        trials[name] = trial
    well = runs.ended([name for name, *_ in known])
    ended = [values for name, _, values in known if name in well]
    chosen = planning.plan(new, stages, params.read(), fresh, ended)
    known += new
    runs.announce(chosen, experiments.states(), options.jobs)
    look, stopped = watcher(trials, stage, metric)
    runs.run(chosen, options.until, options.jobs, look)
    well = runs.ended(trials)
    for (name, _, _), trial in zip(new, asked):
        if name in well:
            study.tell(trial, experiments.best(name, stage)[metric])
        else:
            state = TrialState.PRUNED if name in stopped else TrialState.FAIL
            study.tell(trial, state=state)
    queue.forget(sorted(stopped - set(well)))
    return [name for name in trials if name not in well and name not in stopped]


def report(study: optuna.Study, space: "spaces.Space", stage: str, metric: str) -> str:
    """Return the table of the trials that ran to their end, and how many were stopped.

    What was removed since with `dvc exp remove` is left out.
    """
    whole = study.get_trials(states=[TrialState.COMPLETE])
    there = runs.ended({each.user_attrs["experiment"] for each in whole})
    whole = [each for each in whole if each.user_attrs["experiment"] in there]
    stopped = len(study.get_trials(states=[TrialState.PRUNED]))
    lines = [f"{stopped} of {tried(study)} trials were stopped, being worse than the median"]
    if whole:
        changes = {each.user_attrs["experiment"]: space.changes(each.params) for each in whole}
        lines.insert(0, ranking.report(ranking.table(changes, stage, metric), tried(study)))
    return "\n".join(lines)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("-S", "--set-param", action="append", required=True, metavar="KEY=SPACE")
    parser.add_argument("--until", metavar="STAGE", default=ranking.FINE_TUNED)
    parser.add_argument("--trials", type=int, help="20, or no limit with --minutes")
    parser.add_argument("--minutes", type=float, help="begin none after that")
    parser.add_argument("--sampler", choices=SAMPLERS, default="tpe")
    parser.add_argument("--no-pruning", action="store_true", help="let each trial run to its end")
    parser.add_argument("--seed", type=int, default=0)
    runs.add_jobs(parser)
    parser.add_argument("--name", default="search", help="what the experiments' names begin with")
    options = parser.parse_args()
    if options.trials is None:
        options.trials = 20 if options.minutes is None else sys.maxsize
    if options.trials < 1:
        raise UserError("--trials should be at least 1")
    return options


if __name__ == "__main__":
    run(main)
