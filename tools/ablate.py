"""Switch off one ingredient at a time and see what each contributes: `python -m tools.ablate`.

Runs one DVC experiment with everything that params.yaml has, and one without each ingredient, as
tools.sweep does: what they share is run once, and what was run before of the same commit is not run
again. Prints how each scores on validation. The test images have no say here. What fine-tuning
contributes needs no run of its own: it is the difference between the head and the fine-tuned
network of the first.
"""

import argparse

import pandas as pd

from thaw.project import params
from thaw.project.cli import run
from tools.experiments import dvc_experiments, plan, ranking, sweep_runner
from tools.params import check

# What switches each ingredient off; it is on when any of these keys has another value.
INGREDIENTS = {
    "augmentation": {
        "augmentation.policy": "none",
        "augmentation.flip": "none",
        "augmentation.rotation": 0.0,
        "augmentation.translation": 0.0,
        "augmentation.zoom": 0.0,
        "augmentation.shear": 0.0,
        "augmentation.brightness": 0.0,
        "augmentation.contrast": 0.0,
        "extract.augmented_copies": 0,
    },
    "augmented-copies": {"extract.augmented_copies": 0},
    "dropout": {"head.dropout": 0.0},
    "batch-normalization": {"head.batch_normalization": False},
    "l1": {"head.regularization.kernel_l1": 0.0, "head.regularization.activity_l1": 0.0},
    "l2": {"head.regularization.kernel_l2": 0.0, "head.regularization.activity_l2": 0.0},
    "weight-decay": {"train_head.weight_decay": 0.0, "fine_tune.weight_decay": 0.0},
    "label-smoothing": {"loss.label_smoothing": 0.0},
    "class-weights": {"loss.class_weights": "none"},
    "layer-decay": {"fine_tune.layer_decay": 1.0},
}
EVERYTHING = "everything"
FINE_TUNING = "fine-tuning"


def ingredients(values: dict) -> dict[str, dict[str, object]]:
    """Return what of INGREDIENTS is on in the params `values`: {name: {key: off}}."""
    found = {}
    for name, off in INGREDIENTS.items():
        differing = {key: value for key, value in off.items() if _at(values, key) != value}
        if differing:
            found[name] = differing
    return found


def _at(values: dict, key: str) -> object:
    for name in key.split("."):
        values = values[name]
    return values


def results(names: dict[str, str]) -> pd.DataFrame:
    """Return accuracy and loss on validation without each ingredient, and without fine-tuning.

    `names`: of each ingredient's experiment.
    """
    scores = {name: dvc_experiments.best(each, ranking.FINE_TUNE) for name, each in names.items()}
    scores[FINE_TUNING] = dvc_experiments.best(names[EVERYTHING], ranking.TRAIN_HEAD)
    return pd.DataFrame(scores).T[["accuracy", "loss"]]


def table(scores: pd.DataFrame, validation: int) -> str:
    """Return what is printed: each ingredient's contribution, the largest first."""
    everything = scores.loc[EVERYTHING]
    without = scores.drop(EVERYTHING)
    shown = pd.DataFrame(
        {
            "without": without.index,
            "accuracy": without["accuracy"].map("{:.4f}".format),
            "contributes": (everything["accuracy"] - without["accuracy"]),
            "loss": without["loss"].map("{:.4f}".format),
        }
    ).sort_values("contributes", ascending=False)
    shown["contributes"] = shown["contributes"].map("{:+.4f}".format)
    accuracy = everything["accuracy"]
    chance = dvc_experiments.chance(accuracy, validation)
    return (
        f"everything: accuracy {accuracy:.4f}, loss {everything['loss']:.4f} on {validation} "
        f"validation images\n{shown.to_string(index=False)}\n"
        f"differences under {chance:.4f} may well be chance"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--dry", action="store_true", help="say what would be run, run nothing")
    sweep_runner.add_jobs(parser)
    options = parser.parse_args()
    values = params.read()
    check(values)
    chosen = {EVERYTHING: {}} | ingredients(values)
    until = ranking.FINE_TUNE
    wanted = [
        configuration
        for name, off in chosen.items()
        for configuration in sweep_runner.configurations(f"ablate-{name}", [off], until)
    ]
    planned = plan.plan(wanted, plan.stages(until), values, sweep_runner.fresh_stages())
    sweep_runner.announce(planned, dvc_experiments.states(), options.jobs)
    if options.dry:
        return
    dvc_experiments.check_local_files(values)
    sweep_runner.run(planned, until, options.jobs)
    names = {name: configuration.name for name, configuration in zip(chosen, wanted)}
    sweep_runner.check_all_ended(list(names.values()))
    print(table(results(names), dvc_experiments.validation_images(names[EVERYTHING])))


if __name__ == "__main__":
    run(main)
