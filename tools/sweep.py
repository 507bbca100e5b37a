"""Try many settings: `python -m tools.sweep -S head.dropout=0.1,0.2,0.5 --until train_head`.

-S is that of `dvc exp run`; several values of several keys give all combinations. FILE is another
way to say the same, in YAML: {until: STAGE, params: {section.key: [values]}}. Says first what would
be run and how long that takes; then each combination becomes a DVC experiment, in an order in which
no stage runs twice for what others share, and a table ranks them by their validation loss. Test
pictures have no say: nothing is tested unless --reveal-test asks for it. Interrupted and started
again, it goes on with what is missing.
"""

import argparse
import hashlib
import itertools
import json
import random
from collections import Counter
from pathlib import Path

import pandas as pd
from dvc.repo import Repo

from stages.lib import params, timings
from stages.lib.errors import UserError, run
from tools.lib import experiments, planning, queue
from tools.params import check

HEAD, FINE_TUNED = "train_head", "fine_tune"
INCOMPARABLE = ("loss.", "head.penalty")  # what is part of the loss itself
OTHER_PICTURES = ("data.", "split.")
START = 8.0  # seconds that DVC takes for an experiment besides running its stages


def read_file(path: Path) -> tuple[str | None, list[dict[str, object]]]:
    """Return until and all combinations of a sweep's YAML file. Raises UserError for other keys."""
    values = params.read(path)
    unknown = sorted(set(values) - {"until", "params"})
    wanted = values.get("params")
    if unknown or not isinstance(wanted, dict):
        raise UserError(f"{path}: should have params, and until at most; see README")
    lists = [each if isinstance(each, list) else [each] for each in wanted.values()]
    return values.get("until"), [dict(zip(wanted, each)) for each in itertools.product(*lists)]


def name_of(prefix: str, commit: str, changes: dict[str, object], until: str) -> str:
    """Return an experiment's name: the same for the same changes of the same commit."""
    text = json.dumps([commit, changes, until], sort_keys=True)
    return f"{prefix}-{hashlib.sha256(text.encode()).hexdigest()[:8]}"


def last_commit() -> str:
    with Repo() as repo:
        return repo.scm.get_rev()


def fresh_stages() -> set[str]:
    """Return the stages that `dvc repro` would not run here. Raises UserError in a changed tree.

    Experiments start from what is in the tree, but their names and what is known of them from the
    last commit.
    """
    with Repo() as repo:
        staged, unstaged, _ = repo.scm.status(untracked_files="no")
        changed = sorted({*unstaged, *itertools.chain.from_iterable(staged.values())})
        if changed:
            raise UserError(
                f"{changed[0]} has uncommitted changes; commit them, or `git stash`, so that all "
                "experiments start from one commit"
            )
        stale = {name.split(":")[-1] for name in repo.status()}
    return {stage.name for stage in planning.stages() if not stale & stage.needs}


def table(runs: list[planning.Run], stage: str, reveal: bool) -> pd.DataFrame:
    """Return a row for each experiment with what `stage` scored on validation, the best first.

    That is the one of the lowest loss; where settings of the loss itself were tried, whose losses
    say different things, the one of the highest accuracy.
    """
    rows = []
    for each in runs:
        best = experiments.read(f"metrics/{stage}/metrics.json", each.name)["best"]
        row = {"experiment": each.name, **each.changes}
        row |= {"accuracy": best["accuracy"], "loss": best["loss"], "epoch": best["epoch"]}
        if reveal:
            row["test"] = experiments.read("metrics/test.json", each.name)["fine_tuned"]["accuracy"]
        rows.append(row)
    found = pd.DataFrame(rows)
    if any(key.startswith(INCOMPARABLE) for key in found.columns):
        return found.sort_values("accuracy", ascending=False, kind="stable")
    return found.sort_values("loss", kind="stable")


def report(found: pd.DataFrame, validation: int) -> str:
    """Return what is printed; `validation` is the number of pictures that they are scored on."""
    best = found.iloc[0]
    chance = experiments.chance(best["accuracy"], validation)
    formats = {"accuracy": "{:.4f}".format, "loss": "{:.4f}".format, "test": "{:.4f}".format}
    return (
        f"{found.to_string(index=False, formatters=formats)}\n"
        f"{len(found)} configurations tried on {validation} validation pictures;\nthe best of many "
        f"flatters itself, and differences in accuracy under {chance:.4f} may well be chance\n"
        f"`dvc exp apply {best['experiment']}` takes the first into the workspace"
    )


def announce(runs: list[planning.Run], states: dict[str, str], jobs: int) -> None:
    """Say what will be run, and how long that takes."""
    for each in runs:
        changes = ", ".join(f"{key}={value}" for key, value in each.changes.items())
        state = " (done)" if states.get(each.name) == "Success" else ""
        print(f"{each.name}  {changes}: {', '.join(each.stages) or 'nothing new'}{state}")
    missing = [each for each in runs if states.get(each.name) != "Success"]
    counts = Counter(stage for each in missing for stage in each.stages)
    stages = ", ".join(f"{stage} {count}x" for stage, count in counts.items())
    seconds = planning.seconds(missing, timings.last(), jobs, START)
    takes = "no earlier run tells how long" if seconds is None else f"{seconds / 60:.1f} minutes"
    print(f"{len(missing)} of {len(runs)} runs to do: {stages or 'no stage'}; {takes}", flush=True)


def main() -> None:
    options = arguments()
    until, configurations = read_configurations(options)
    stages = planning.stages(until)
    names = {stage.name for stage in stages}
    if HEAD not in names:
        raise UserError(f"--until {until}: nothing is scored by then; take {HEAD} or a later one")
    if options.reveal_test and "evaluate" not in names:
        raise UserError(f"--reveal-test: --until {until} tests nothing")
    runs = planning.plan(configurations, stages, params.read(), fresh_stages())
    announce(runs, experiments.states(), options.jobs)
    if options.dry:
        return
    for _, _, values in configurations:
        experiments.check_source(values["data"]["source"])
    for wave in sorted({each.wave for each in runs}):
        run_wave([each for each in runs if each.wave == wave], until, options.jobs)
    finish(runs, names, options.reveal_test)


def read_configurations(options: argparse.Namespace) -> tuple[str, list[tuple]]:
    """Return until, and of each configuration its name, its changes and all params with them."""
    until = None
    if options.file:
        until, chosen = read_file(options.file)
    else:
        chosen = experiments.combinations(options.set_param)
    until = options.until or until or ("evaluate" if options.reveal_test else FINE_TUNED)
    for key in sorted({key for changes in chosen for key in changes}):
        if key.startswith(OTHER_PICTURES) and len({str(each.get(key)) for each in chosen}) > 1:
            raise UserError(f"-S {key}: with several values the scores would be of other pictures")
    if options.trials:
        chosen = random.Random(options.seed).sample(chosen, min(options.trials, len(chosen)))
    base, commit, configurations = params.read(), last_commit(), []
    for changes in chosen:
        values = experiments.changed(base, changes)
        check(values)
        configurations.append((name_of(options.name, commit, changes, until), changes, values))
    return until, configurations


def finish(runs: list[planning.Run], stages: set[str], reveal: bool) -> None:
    """Print what came out. Raises UserError when a run has failed."""
    states = experiments.states()
    ended = [each for each in runs if states.get(each.name) == "Success"]
    if ended:
        validation = experiments.validation_pictures(ended[0].name)
        last = FINE_TUNED if FINE_TUNED in stages else HEAD
        print(report(table(ended, last, reveal), validation))
    failed = [each.name for each in runs if states.get(each.name) != "Success"]
    if failed:
        raise UserError(
            f"{len(failed)} of {len(runs)} runs failed: {', '.join(failed)}; see "
            f"`dvc queue logs {failed[0]}`, and run this again to do them"
        )


def run_wave(runs: list[planning.Run], until: str, jobs: int) -> None:
    """Queue what of these runs has not ended well and is not on its way, and run it."""
    known = experiments.states()
    missing = [each for each in runs if known.get(each.name) != "Success"]
    queue.forget([each.name for each in missing if each.name in known])
    known = experiments.states()
    for each in missing:
        if each.name not in known:
            experiments.queue(each.name, each.changes, until)
    if missing:
        queue.run([each.name for each in missing], min(jobs, len(missing)))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE,...")
    parser.add_argument("--until", metavar="STAGE", help="the last stage to run; fine_tune")
    parser.add_argument("--trials", type=int, help="try so many of the combinations, at random")
    parser.add_argument("--seed", type=int, default=0, help="of --trials")
    parser.add_argument("-j", "--jobs", type=int, default=1, help="experiments at a time")
    parser.add_argument("--name", default="sweep", help="what the experiments' names begin with")
    parser.add_argument("--dry", action="store_true", help="say what would be run, run nothing")
    parser.add_argument("--reveal-test", action="store_true", help="show test scores as well")
    options = parser.parse_args()
    if bool(options.file) == bool(options.set_param):
        raise UserError("give -S KEY=VALUE,... or a file, and not both; --help explains them")
    if options.jobs < 1 or (options.trials is not None and options.trials < 1):
        raise UserError("--jobs and --trials should be at least 1")
    return options


if __name__ == "__main__":
    run(main)
