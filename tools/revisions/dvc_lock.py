"""What dvc.lock says of the last run, and whether it is all of one run."""

from collections.abc import Iterator
from pathlib import Path

from thaw.project import params, paths
from thaw.project.errors import UserError

FILE = Path("dvc.lock")

Lock = dict[str, dict]  # of each stage deps, outs and params


def read(file: Path = FILE) -> Lock:
    """Return what a dvc.lock has of each stage; {} where there is none."""
    return params.read(file)["stages"] if file.is_file() else {}


def check(name: str, lock: Lock, values: dict | None, stage: str, hint: str) -> None:
    """Raise UserError when `stage`, or one before it, was run on something else than is there.

    An experiment that ended earlier keeps what the commit before it had of the stages that follow.
    `name`: of the revision, for the message. `values`: all of params.yaml, or None where they may
    have changed since. `hint`: what to do.
    """
    made = {out["path"]: out["md5"] for each in lock.values() for out in each.get("outs", ())}
    for each in _needed(lock, stage):
        for section, ran in lock[each].get("params", {}).get(paths.PARAMS.name, {}).items():
            if values is not None and values.get(section) != ran:
                raise UserError(
                    f"{name}: {each} was run with another section {section} than {paths.PARAMS} "
                    "has",
                    hint=hint,
                )
        for dep in lock[each].get("deps", ()):
            if made.get(dep["path"], dep.get("md5")) != dep.get("md5"):
                raise UserError(
                    f"{name}: {each} was run with another {dep['path']} than is there", hint=hint
                )


def _needed(lock: Lock, stage: str) -> Iterator[str]:
    """Yield the stages that `stage` needs, directly or not, and itself, the first ones first."""
    makers = {out["path"]: each for each in lock for out in lock[each].get("outs", ())}
    waiting, found = [stage], set()
    while waiting:
        each = waiting.pop()
        if each in lock and each not in found:
            found.add(each)
            waiting += [
                makers[dep["path"]] for dep in lock[each].get("deps", ()) if dep["path"] in makers
            ]
    return (each for each in lock if each in found)
