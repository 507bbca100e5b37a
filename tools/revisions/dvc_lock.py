"""What dvc.lock says of the last run, and whether it is all of one run."""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from thaw.project import params, paths
from thaw.project.errors import UserError

FILE = Path("dvc.lock")
READERS = Path(".dvc/tmp/rwlock")  # which DVC processes read and write which files
WRITING = 2.0  # seconds that DVC may take to write it; it empties it before
# What is in Git's index, or else nothing: DVC's run cache has what was run since.
REMEDY = f"`git restore {FILE} || rm {FILE}`, then `dvc repro`, which runs nothing again"

Lock = dict[str, dict]  # of each stage deps, outs and params


def read(file: Path = FILE) -> Lock:
    """Return what a dvc.lock has of each stage; {} where there is none.

    Raises UserError where it is damaged, as after a kill of DVC while it wrote it; a file that is
    being written is waited for.
    """
    return _awaited(_whole, file, REMEDY if file == FILE else "commit a whole one there")


def check_files() -> None:
    """Raise UserError where DVC cannot read a file that it writes, as after a kill."""
    read()
    _awaited(_readers, READERS, f"`rm {READERS}`")


def _awaited(read: Callable[[Path], dict | None], file: Path, hint: str) -> dict:
    """Return what `read` returns of a file, {} where there is none; wait while it returns None."""
    end = time.monotonic() + WRITING
    while file.is_file():
        found = read(file)
        if found is not None:
            return found
        if time.monotonic() > end:
            raise UserError(f"{file} is damaged, as DVC was stopped while it wrote it", hint=hint)
        time.sleep(WRITING / 10)
    return {}


def _readers(file: Path) -> dict | None:
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, OSError):
        return None


def _whole(file: Path) -> Lock | None:
    """Return the stages of a file that ends as DVC ends it, None for any other."""
    try:
        stages = params.read(file)["stages"]
        outs = [out for stage in stages.values() for out in stage.get("outs", ())]
        whole = all({"path", "md5"} <= out.keys() for out in outs)
        return stages if whole and file.read_bytes().endswith(b"\n") else None
    except (UserError, KeyError, TypeError, AttributeError, OSError):
        return None


@contextmanager
def of_one_run() -> Iterator[None]:
    """Raise UserError where a run replaces outputs while the block reads them.

    Each output is written as a whole, but the block may read one before and another after that.
    """
    before = _state()
    try:
        yield
    except (UserError, OSError):
        _check_same(before)
        raise
    _check_same(before)


def _check_same(before: list) -> None:
    if _state() != before:
        raise UserError("a run has replaced outputs while they were read; try again after it")


def _state() -> list[tuple[str, int, int] | None]:
    """Return of dvc.lock and each output what changes when it is replaced."""
    outs = [out["path"] for stage in read().values() for out in stage.get("outs", ())]
    return [_version(Path(path)) for path in (FILE, *outs)]


def _version(path: Path) -> tuple[str, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return str(path), found.st_ino, found.st_mtime_ns


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
