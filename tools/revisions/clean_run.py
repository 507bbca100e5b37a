"""The pipeline once more, from nothing: whether a clean clone gives the bytes of dvc.lock."""

import json
import os
import shutil
import subprocess
import sys
from contextlib import suppress
from pathlib import Path

from thaw.project import params, paths, software
from thaw.project.errors import UserError
from tools import recipe
from tools.revisions import dvc_lock, dvc_repo, machines, run_revision

IMAGES = Path("images")
# Its formats differ at every save, and so do its milliseconds.
DIFFERS_ANYWAY = "export"
BUILT_IN = ("digits", "imagenet")  # taken for no path, whatever lies here under these names


def check(folder: Path) -> None:
    """Run the stages of the last commit in a clone below `folder` and compare with its dvc.lock.

    The clone has a DVC cache of its own, the images of this folder, and no feature store. A source
    or weights of this folder that Git has not are read where they are. Raises UserError that names
    the first stage whose outputs differ, or that fails.
    """
    clone, environment = _clone(folder), _environment(folder)
    wanted = dvc_lock.read(clone / dvc_lock.FILE)
    for stage in params.read(clone / "dvc.yaml")["stages"]:
        if stage == DIFFERS_ANYWAY:
            print(f"{stage} is not compared, as its files differ at every save")
            continue
        if stage not in wanted:
            raise UserError(f"the last commit's dvc.lock has no stage {stage}; run `dvc repro`")
        _dvc(clone, environment, "repro", "--single-item", "--force", stage)
        found = dvc_lock.read(clone / dvc_lock.FILE)[stage]
        if differing := _differing(wanted[stage], found, "outs"):
            why = _why(wanted[stage], found, clone)
            raise UserError(f"{stage} left another {differing[0]} than dvc.lock has{why}")
        print(f"{stage}: the same bytes", flush=True)


def _clone(folder: Path) -> Path:
    with dvc_repo.opened() as repo:
        top, inner = repo.scm.root_dir, Path(repo.root_dir).relative_to(repo.scm.root_dir)
    _call(["git", "clone", "--quiet", top, str(folder / "clone")], "no clean clone")
    clone = folder / "clone" / inner
    if IMAGES.is_dir():  # which Git ignores
        shutil.copytree(IMAGES, clone / IMAGES, dirs_exist_ok=True, symlinks=True)
    changes = _out_of_reach(params.read(clone / paths.PARAMS), clone)
    settings = (clone / paths.PARAMS).read_text(encoding="utf-8")
    settings = recipe.apply(settings, {"runtime": {"store": None}, **changes})
    (clone / paths.PARAMS).write_text(settings, encoding="utf-8")
    _dvc(clone, _environment(folder), "config", "--local", "cache.dir", str(folder / "cache"))
    return clone


def _out_of_reach(settings: dict, clone: Path) -> dict[str, dict]:
    """Return the settings that name a file of this folder that the clone has not, made absolute."""
    changes = {}
    for section, key in (("data", "source"), ("backbone", "weights")):
        inner = settings.get(section)
        value = inner.get(key) if isinstance(inner, dict) else None
        place = value.get("file") if isinstance(value, dict) else value
        if not isinstance(place, str) or place in BUILT_IN:
            continue
        if Path(place).exists() and not (clone / place).exists():
            there = str(Path(place).absolute())
            changes[section] = {key: {**value, "file": there} if isinstance(value, dict) else there}
    return changes


def _environment(folder: Path) -> dict[str, str]:
    """Return the environment of a stage: its `python` is this one, and no cache is the user's."""
    scripts = str(Path(sys.executable).parent)
    path = os.pathsep.join([scripts, os.environ.get("PATH", os.defpath)])
    return {**os.environ, "PATH": path, "XDG_CACHE_HOME": str(folder / "user")}


def _dvc(clone: Path, environment: dict[str, str], *arguments: str) -> None:
    failed = f"`dvc {' '.join(arguments)}` failed in a clean clone"
    _call([sys.executable, "-m", "dvc", *arguments], failed, cwd=clone, env=environment)


def _call(command: list[str], failed: str, **where: object) -> None:
    """Run a command; raise UserError with `failed` and the last error that it says."""
    done = subprocess.run(command, capture_output=True, encoding="utf-8", check=False, **where)
    if done.returncode:
        lines = done.stderr.splitlines()
        said = [line for line in lines if line.startswith(("error: ", "fatal: "))]
        raise UserError(f"{failed}: {(said or lines or ['no word'])[-1]}")


def _differing(one: dict, other: dict, kind: str) -> list[str]:
    """Return the paths among `deps` or `outs` whose digests differ in two entries of dvc.lock."""
    before, after = (
        {each["path"]: each["md5"] for each in of.get(kind, ())} for of in (one, other)
    )
    return [path for path in sorted({*before, *after}) if before.get(path) != after.get(path)]


def _why(wanted: dict, found: dict, clone: Path) -> str:
    """Return what else differs: what the stage was given since dvc.lock, or else the machine."""
    given = _differing(wanted, found, "deps")
    before, after = (of.get("params", {}).get(str(paths.PARAMS), {}) for of in (wanted, found))
    changes = _out_of_reach(before, clone)  # ours
    if before | {name: before[name] | changes[name] for name in changes} != after:
        given.append(str(paths.PARAMS))
    if given:
        return f"; {given[0]} is another, too: run `dvc repro` and commit dvc.lock"
    machine = machines.difference(_recorded(clone / "recorded"), software.environment())
    if machine:
        return f"; the run of dvc.lock was computed by another machine: {machine}"
    return ", of the same inputs"


def _recorded(folder: Path) -> dict | None:
    """Return what the last commit's run was computed by, None out of reach."""
    with suppress(FileNotFoundError, run_revision.OutOfReach), dvc_repo.at("HEAD") as there:
        run_revision.copy(there, paths.ENVIRONMENT, folder)
        return json.loads((folder / paths.ENVIRONMENT).read_text(encoding="utf-8"))
    return None
