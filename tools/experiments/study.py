"""An Optuna study of DVC experiments: it goes on where it was left, and stops what is behind."""

import argparse
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
from optuna.trial import Trial, TrialState

from thaw.project import files, paths
from tools.experiments import dvc_queue

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

    `metric`: loss or accuracy. `options`: --sampler, --seed and --no-pruning. A trial that was
    interrupted counts as failed, and is tried again.
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
        whole_lines = file.read_text(encoding="utf-8").rpartition("\n")[0].splitlines()[1:]
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
    values = f"plots/metrics/validation/{metric}.tsv"

    def look(opened: dvc_queue.LocalCeleryQueue) -> None:
        for name, trial in trials.items():
            folder = None if name in stopped else dvc_queue.checkout(opened, name)
            if folder is None:
                continue
            for log in files.partials_of(folder / LOGS[stage]):
                for epoch, value in logged(log / values)[reported[name] :]:
                    trial.report(value, epoch)
                    reported[name] += 1
            if trial.should_prune():
                dvc_queue.stop(opened, name)
                stopped.add(name)

    return look, stopped
