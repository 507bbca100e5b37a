"""Many runs of the pipeline as DVC experiments: their names, what they will cost, and running them.

What was run before of the same commit, under the same name, is not run again.
"""

import argparse
import hashlib
import itertools
import json
from collections import Counter
from collections.abc import Callable, Collection, Sequence
from pathlib import Path

from thaw.project import faults, params, stage_run, timings
from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, dvc_queue, plan
from tools.experiments.plan import Configuration, PlannedRun
from tools.params import check
from tools.revisions import dvc_lock, dvc_repo

DVC_YAML = Path("dvc.yaml")
START = 8.0  # seconds that DVC takes for an experiment besides running its stages
OTHER_IMAGES = ("data.", "split.")


def name_of(prefix: str, commit: str, changes: dict[str, object], until: str) -> str:
    """Return an experiment's name: the same for the same changes of the same commit."""
    text = json.dumps([commit, changes, until], sort_keys=True)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def last_commit() -> str:
    with dvc_repo.opened() as repo:
        return repo.scm.get_rev()


def fresh_stages() -> set[str]:
    """Return the stages that `dvc repro` would not run here. Raises UserError in a changed tree.

    Experiments start from what is in the tree, but their names and what is known of them from the
    last commit.
    """
    with dvc_repo.opened() as repo:
        staged, unstaged, _ = repo.scm.status(untracked_files="no")
        names = {*unstaged, *itertools.chain.from_iterable(staged.values())}
        files = sorted(Path(repo.scm.root_dir, name) for name in names)
        ours = [file for file in files if file.is_relative_to(repo.root_dir)]  # of a larger one
        changed = [file.relative_to(repo.root_dir) for file in ours]
        if changed:
            raise UserError(
                f"{changed[0]} has uncommitted changes; commit them, or `git stash`, so that all "
                "experiments start from one commit"
            )
        stale = {name.split(":")[-1] for name in repo.status()}
    return {stage.name for stage in plan.stages() if not stale & stage.needs}


def check_same_images(key: str) -> None:
    """Raise UserError for a key whose values would be scored on different images."""
    if key.startswith(OTHER_IMAGES):
        raise UserError(f"-S {key}: with several values the scores would be of other images")


def configurations(
    prefix: str, chosen: Sequence[dict[str, object]], until: str
) -> list[Configuration]:
    """Return a configuration for each of the changes. Raises UserError where params do not fit."""
    base, commit, found = params.read(), last_commit(), []
    for changes in chosen:
        values = dvc_experiments.changed(base, changes)
        check(values)
        found.append(Configuration(name_of(prefix, commit, changes, until), changes, values))
    return found


def add_jobs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-j", "--jobs", type=_jobs, default=1, help="experiments at a time")


def _jobs(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a number of experiments, 1 or more")
    return int(text)


def announce(runs: Sequence[PlannedRun], states: dict[str, str], jobs: int) -> None:
    """Say what will be run, and how long that takes."""
    for each in runs:
        changes = ", ".join(f"{key}={value}" for key, value in each.changes.items())
        state = " (done)" if states.get(each.name) == "Success" else ""
        stages = ", ".join(each.stages) or "nothing new"
        print(f"{each.name}  {changes or 'as it is'}: {stages}{state}")
    missing = [each for each in runs if states.get(each.name) != "Success"]
    counts = Counter(stage for each in missing for stage in each.stages)
    stages = ", ".join(f"{stage} {count}x" for stage, count in counts.items())
    seconds = plan.seconds(missing, timings.last(), jobs, START)
    takes = "no earlier run tells how long" if seconds is None else f"{seconds / 60:.1f} minutes"
    print(f"{len(missing)} of {len(runs)} runs to do: {stages or 'no stage'}; {takes}", flush=True)


def run(
    runs: Sequence[PlannedRun],
    until: str,
    jobs: int,
    look: Callable[[dvc_queue.LocalCeleryQueue], None] | None = None,
) -> None:
    """Run what has not ended well, wave by wave; `look` may look at the queue every second.

    Raises UserError where DVC could not save an experiment, or another process uses its queue.
    """
    check_plots(until)
    with stage_run.alone(Path(".dvc")):
        for wave in sorted({each.wave for each in runs}):
            _run_wave([each for each in runs if each.wave == wave], until, jobs, look)


def check_plots(until: str) -> None:
    """Raise UserError when a folder with plots is not in DVC's cache, nor made up to `until`.

    DVC looks into these to save an experiment, and in a clone that was never run they are nowhere.
    """
    made = {stage.name for stage in plan.stages(until)}
    plots = [each for each in params.read(DVC_YAML)["plots"] if isinstance(each, str)]
    locked = dvc_lock.read()
    with dvc_repo.opened() as repo:
        for out in (out for name in locked.keys() - made for out in locked[name].get("outs", ())):
            shown = any(plot.startswith(f"{out['path']}/") for plot in plots)
            if shown and not repo.cache.local.exists(out["md5"]):
                raise UserError(
                    f"{out['path']} is not in DVC's cache, and DVC saves no experiment without; "
                    "`dvc pull` brings it, `dvc repro` makes it"
                )


def _run_wave(runs: Sequence[PlannedRun], until: str, jobs: int, look: Callable | None) -> None:
    """Queue what of these runs has not ended well and is not on its way, and run it."""
    known = dvc_experiments.states()
    missing = [each for each in runs if known.get(each.name) != "Success"]
    dvc_queue.forget([each.name for each in missing if each.name in known])
    known = dvc_experiments.states()
    for each in missing:
        if each.name not in known:
            dvc_experiments.queue(each.name, each.changes, until)
            faults.point("queued")
    if missing:
        dvc_queue.run([each.name for each in missing], min(jobs, len(missing)), look)


def ended(names: Collection[str]) -> list[str]:
    """Return those of the experiments that have ended well."""
    states = dvc_experiments.states()
    return [name for name in names if states.get(name) == "Success"]


def check_all_ended(names: Sequence[str]) -> None:
    """Raise UserError when an experiment has failed."""
    well = ended(names)
    failed = [name for name in names if name not in well]
    if failed:
        raise UserError(
            f"{len(failed)} of {len(names)} runs failed: {', '.join(failed)}; see "
            f"`dvc queue logs {failed[0]}`, and run this again to do them"
        )
