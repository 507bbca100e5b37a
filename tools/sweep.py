"""Try many settings: `python -m tools.sweep -S head.dropout=0.1,0.2,0.5 --until train_head`.

-S is that of `dvc exp run`; several values of several keys give all combinations. FILE is another
way to say the same, in YAML: {until: STAGE, params: {section.key: [values]}}. Says first what would
be run and how long that takes; then each combination becomes a DVC experiment, in an order in which
no stage runs twice for what others share, and a table ranks them by their validation loss. Test
images have no say: nothing is tested unless --reveal-test asks for it. Interrupted and started
again, it goes on with what is missing. `python -m tools.search` looks for the best by itself.
"""

import argparse
import itertools
import random
from pathlib import Path

from thaw.project import params
from thaw.project.cli import run
from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, plan, ranking, sweep_runner, trial_scripts
from tools.experiments.plan import Configuration


def read_file(path: Path) -> tuple[str | None, list[dict[str, object]]]:
    """Return until and all combinations of a sweep's YAML file. Raises UserError for other keys."""
    values = params.read(path)
    unknown = sorted(set(values) - {"until", "params"})
    wanted = values.get("params")
    if unknown or not isinstance(wanted, dict):
        raise UserError(f"{path}: should have params, and until at most; see docs/tuning.md")
    lists = [each if isinstance(each, list) else [each] for each in wanted.values()]
    return values.get("until"), [dict(zip(wanted, each)) for each in itertools.product(*lists)]


def read_configurations(
    options: argparse.Namespace,
) -> tuple[str, list[Configuration]]:
    """Return until, and each configuration."""
    until = None
    if options.file:
        until, chosen = read_file(options.file)
    else:
        chosen = dvc_experiments.combinations(options.set_param)
    until = options.until or until or ("evaluate" if options.reveal_test else ranking.FINE_TUNE)
    for key in differing(chosen):
        sweep_runner.check_same_images(key)
    if options.trials:
        chosen = random.Random(options.seed).sample(chosen, min(options.trials, len(chosen)))
    return until, sweep_runner.configurations(options.name, chosen, until)


def differing(chosen: list[dict[str, object]]) -> list[str]:
    """Return the keys that have several values."""
    keys = sorted({key for changes in chosen for key in changes})
    return [key for key in keys if len({str(each.get(key)) for each in chosen}) > 1]


def main() -> None:
    options = arguments()
    until, configurations = read_configurations(options)
    stages = plan.stages(until)
    scored = ranking.scored(stages, until)
    if options.reveal_test and "evaluate" not in {stage.name for stage in stages}:
        raise UserError(f"--reveal-test: --until {until} tests nothing")
    planned = plan.plan(configurations, stages, params.read(), sweep_runner.fresh_stages())
    sweep_runner.announce(planned, dvc_experiments.states(), options.jobs)
    if options.dry:
        return
    for each in configurations:
        dvc_experiments.check_local_files(each.params)
    if options.emit:
        trial_scripts.write(planned, until, options.emit)
        return
    sweep_runner.run(planned, until, options.jobs)
    changes = {each.name: each.changes for each in planned}
    well = sweep_runner.ended(changes)
    if well:
        done = {name: changes[name] for name in well}
        by = ranking.metric(differing(list(changes.values())))
        found = ranking.table(done, scored, by, options.reveal_test)
        print(ranking.report(found, len(well)))
    sweep_runner.check_all_ended(list(changes))


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("file", type=Path, nargs="?", metavar="FILE")
    parser.add_argument("-S", "--set-param", action="append", default=[], metavar="KEY=VALUE,...")
    parser.add_argument("--until", metavar="STAGE", help="the last stage to run; fine_tune")
    parser.add_argument("--trials", type=int, help="try so many of the combinations, at random")
    parser.add_argument("--seed", type=int, default=0, help="of --trials")
    sweep_runner.add_jobs(parser)
    parser.add_argument("--name", default="sweep", help="what the experiments' names begin with")
    parser.add_argument("--dry", action="store_true", help="say what would be run, run nothing")
    parser.add_argument(
        "--emit", type=Path, metavar="DIR", help="write a script for each run, for other machines"
    )
    parser.add_argument("--reveal-test", action="store_true", help="show test scores as well")
    options = parser.parse_args()
    if bool(options.file) == bool(options.set_param):
        raise UserError("give -S KEY=VALUE,... or a file, and not both; --help explains them")
    if options.trials is not None and options.trials < 1:
        raise UserError("--trials should be at least 1")
    return options


if __name__ == "__main__":
    run(main)
