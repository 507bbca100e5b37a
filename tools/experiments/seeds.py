"""How far the scores of one set of settings vary by the seeds of its training."""

import pandas as pd

from thaw.project import params
from thaw.project.errors import UserError
from tools.experiments import dvc_experiments, plan, sweep_runner

KEYS = ("train_head.seed", "fine_tune.seed")
UNTIL = "evaluate"


def report(count: int, jobs: int) -> str:
    """Train with `count` seeds, 1, 2, ..., as DVC experiments; return the table of their scores.

    What was run before of this commit is not run again. The split stays as it is. Raises UserError
    for fewer than two, in a tree with uncommitted changes, and when a run fails.
    """
    if count < 2:
        raise UserError(f"--seeds {count}: should be at least 2")
    changes = [dict.fromkeys(KEYS, seed) for seed in range(1, count + 1)]
    chosen = sweep_runner.configurations("seeds", changes, UNTIL)
    stages = plan.stages(UNTIL)
    planned = plan.plan(chosen, stages, params.read(), sweep_runner.fresh_stages())
    sweep_runner.announce(planned, dvc_experiments.states(), jobs)
    dvc_experiments.check_local_files(params.read())
    sweep_runner.run(planned, UNTIL, jobs)
    sweep_runner.check_all_ended([each.name for each in chosen])
    return table({each.changes[KEYS[0]]: scores(each.name) for each in chosen})


def scores(name: str) -> dict[str, float]:
    """Return accuracy and loss of an experiment, of both phases on validation and test images."""
    test = dvc_experiments.read("metrics/test.json", name)
    found = {}
    for model, stage in (("head", "train_head"), ("fine_tuned", "fine_tune")):
        validation = dvc_experiments.best(name, stage)
        for part, values in (("validation", validation), ("test", test[model])):
            found |= {f"{model} {part} {what}": values[what] for what in ("accuracy", "loss")}
    return found


def table(found: dict[int, dict[str, float]]) -> str:
    """Return a column for each seed, then mean, standard deviation and range of each score."""
    rows = pd.DataFrame(found)
    kinds = {"mean": rows.mean(axis=1), "std": rows.std(axis=1)}
    kinds["range"] = rows.max(axis=1) - rows.min(axis=1)
    named = rows.rename(columns="seed {}".format).assign(**kinds)
    return named.to_string(float_format="{:.4f}".format)
