"""DVC experiments as the tools use them: what may be changed, queued, run and read back."""

import json
import math
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import dvc.api
from dvc.exceptions import DvcException, InvalidArgumentError
from dvc.utils.hydra import get_hydra_sweeps, to_hydra_overrides
from hydra.errors import HydraException
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException
from scmrepo.exceptions import SCMError

from thaw.project.errors import UserError
from tools.revisions import dvc_repo

SHORT = {"train_head": "head_", "fine_tune": ""}  # what the names of a stage's metrics begin with


def combinations(overrides: Sequence[str]) -> list[dict[str, object]]:
    """Return each combination of the values in "section.key=a,b" as {"section.key": value}.

    Raises UserError for what `-S` does not understand.
    """
    try:
        sweeps = (
            get_hydra_sweeps({"params.yaml": list(overrides)})
            if overrides
            else [{"params.yaml": []}]
        )
        return [
            {each.key_or_group: each.value() for each in to_hydra_overrides(sweep["params.yaml"])}
            for sweep in sweeps
        ]
    except (HydraException, InvalidArgumentError) as error:
        raise UserError(f"-S: {str(error).splitlines()[0]}; write section.key=value") from None


def changed(values: dict, changes: dict[str, object]) -> dict:
    """Return params with the changes {"section.key": value} in them.

    Raises UserError for a key that leads into something that has no keys.
    """
    merged = OmegaConf.create(values)
    for key, value in changes.items():
        try:
            OmegaConf.update(merged, key, value, force_add=True)
        except OmegaConfBaseException as error:
            raise UserError(f"-S {key}: {str(error).splitlines()[0]}") from None
    return OmegaConf.to_container(merged)


def override(key: str, value: object) -> str:
    """Return a change as `dvc exp run -S` reads it."""
    return f"{key}={_quoted(value)}"


def _quoted(value: object) -> str:
    if isinstance(value, str):
        return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
    if isinstance(value, dict):
        pairs = (f"{_escaped(str(key))}:{_quoted(each)}" for key, each in value.items())
        return "{" + ",".join(pairs) + "}"
    if isinstance(value, list):
        return "[" + ",".join(map(_quoted, value)) + "]"
    return json.dumps(value)


def _escaped(key: str) -> str:
    return "".join(f"\\{letter}" if letter in "\\()[]{}:=, \t" else letter for letter in key)


def dvc_command(*arguments: str, environment: dict[str, str] | None = None) -> None:
    """Run DVC and let it be seen. Raises UserError when it fails."""
    command = [sys.executable, "-m", "dvc", *arguments]
    environment = {**os.environ, **(environment or {})}
    if subprocess.run(command, check=False, env=environment).returncode:
        raise UserError(f"`dvc {' '.join(arguments)}` failed, see above; `dvc queue logs` has more")


def check_local_files(values: dict) -> None:
    """Raise UserError when images or weights lie where a queued experiment's checkout has none.

    `values`: all params. What the last commit has, in Git or in DVC, is in every checkout. Nor can
    DVC 3.67 make that checkout where its cache's path has letters that are no ASCII.
    """
    with dvc_repo.opened() as repo:
        cache = repo.cache.local.path
    if not cache.isascii():
        raise UserError(
            f"DVC queues no experiments with its cache at {cache}, as not all letters are ASCII",
            hint="move the project, or only the cache: `dvc cache dir --local PATH`",
        )
    with dvc_repo.at("HEAD") as committed:
        local = (("data", "source"), ("data", "corrections"), ("backbone", "weights"))
        for section, key in local:
            given = values[section].get(key) or ""
            place = given["file"] if isinstance(given, dict) else given
            path = Path(place)
            if place and path.exists() and not path.is_absolute() and not committed.exists(place):
                raise UserError(
                    f"queued experiments run in a checkout of their own, which has no {place}",
                    f"{section}.{key}",
                    f"`git add {place}` and commit it"
                    if key == "corrections"
                    else f"`dvc add {place}` and commit {place}.dvc, or give an absolute path",
                )


def states() -> dict[str, str]:
    """Return Queued, Running, Success or Failed of each experiment of the last commit, by name."""
    rows = dvc.api.exp_show()  # it knows no state of those that were pulled, and so have ended
    return {row["Experiment"]: row["State"] or "Success" for row in rows if row["Experiment"]}


def queue(name: str, changes: dict[str, object], until: str | None = None) -> None:
    """Queue an experiment. Raises UserError when DVC refuses it."""
    chosen = [f"--set-param={override(*each)}" for each in changes.items()]
    target = [until] if until else []
    dvc_command("exp", "run", "--queue", "--quiet", f"--name={name}", *chosen, *target)


def validation_images(name: str) -> int:
    """Return how many images an experiment was scored on before the test."""
    return sum(each["validation"] for each in read("metrics/split.json", name)["classes"].values())


def best(name: str, stage: str) -> dict[str, float]:
    """Return accuracy and loss on validation of an experiment's best epoch.

    `stage`: train_head or fine_tune. Raises UserError when the experiment has not ended well.
    """
    found, which = read(f"metrics/{stage}/metrics.json", name), SHORT[stage]
    return {"accuracy": found[f"{which}val_acc"], "loss": found[f"{which}val_loss"]}


def chance(accuracy: float, images: int) -> float:
    """Return how far apart two equally good networks' accuracies are in 5 of 100 cases, at least.

    Normal approximation of the difference of two binomial fractions.
    """
    return 1.96 * math.sqrt(2 * accuracy * (1 - accuracy) / images)


def read(file: str, name: str) -> dict:
    """Return a metrics file of an experiment. Raises UserError when that has not ended well."""
    try:
        with dvc_repo.at(name) as there:
            return json.loads(there.read_text(file, encoding="utf-8"))
    except (DvcException, SCMError, FileNotFoundError):
        raise UserError(f"experiment {name} has no result; see `dvc queue logs {name}`") from None
