"""Whether outputs, and what DVC's cache has of them, are the bytes that dvc.lock names.

DVC believes its notes of files whose time and size are as before, and takes an object of its cache
for whole by its name. Here all bytes are hashed anew.
"""

import shlex
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from dvc.output import Output
from dvc.repo import Repo
from dvc.stage import PipelineStage
from dvc_data.hashfile.build import build
from dvc_data.hashfile.db import HashFileDB
from dvc_data.hashfile.hash import hash_file
from dvc_data.hashfile.tree import Tree

from tools.revisions import dvc_repo, run_revision

FOLDER = ".dir"  # how digests of folders end


class Damage(NamedTuple):
    """What is wrong with a file, and the shell's line that puts it right."""

    file: str
    problem: str
    remedy: str

    def __str__(self) -> str:
        return f"{self.file} {self.problem}; to put it right: {self.remedy}"


class Found(NamedTuple):
    """What lies on the disk of an output: its digest as DVC has it, and that of each file in it."""

    digest: str | None
    files: dict[str, str]


def digests(path: Path, repo: Repo) -> Found:
    """Hash a file or folder anew, without what .dvcignore names; None for what is not there."""
    if not path.exists():
        return Found(None, {})
    nowhere = HashFileDB(repo.fs, "")  # which notes nothing, and is not written to
    place = str(path.absolute())
    _, _, found = build(nowhere, place, repo.fs, "md5", dry_run=True, ignore=repo.dvcignore)
    inside = found if isinstance(found, Tree) else ()
    return Found(found.hash_info.value, {"/".join(key): each.value for key, _, each in inside})


def of_stages(repo: Repo) -> Iterator[Output]:
    """Yield all outputs of the pipeline that dvc.lock knows, in the order of dvc.yaml."""
    for stage in repo.index.stages:
        if isinstance(stage, PipelineStage):
            yield from (out for out in stage.outs if out.hash_info)


def first_damage(out: Output) -> Damage | None:
    """Return what is wrong with an output or what the cache has of it; None where all is right."""
    path, found = Path(out.def_path), digests(Path(out.def_path), out.repo)
    right = found.digest == out.hash_info.value
    if right and not out.use_cache:
        return None
    kept = _InCache(out) if out.use_cache else _InGit(out)
    if right:
        if not kept.damaged:
            return None
        file, name = next(iter(kept.damaged.items()))
        remedy = f"rm -f {_quoted(file)} && dvc commit {_quoted(path)}"
        return Damage(str(file), f"is damaged in DVC's cache ({path / name})", remedy)
    if kept.whole:
        remedy = kept.bring(_quoted(path))
    else:
        gone = " ".join(_quoted(each) for each in (path, *kept.damaged))
        remedy = f"rm -rf {gone} && dvc repro --single-item --force {out.stage.name}"
    if found.digest is None:
        return Damage(str(path), f"of stage {out.stage.name} is missing", remedy)
    file, problem = _first_difference(path, found.files, kept.files)
    return Damage(str(file), f"{problem} stage {out.stage.name} left", remedy)


class _InCache:
    """What DVC's cache has of an output.

    files: digests by their paths in a folder, {} for a file. damaged: objects, and of which of
    these paths, "" for the output itself. whole: whether nothing is damaged or missing.
    """

    def __init__(self, out: Output):
        self.cache, self.files, digest = out.repo.cache.local, {}, out.hash_info.value
        self.damaged: dict[Path, str] = {}
        self.whole = self._check(digest, "")
        if self.whole and digest.endswith(FOLDER):
            tree = Tree.load(self.cache, out.hash_info)
            self.files = {"/".join(key): each.value for key, _, each in tree}
            self.whole = all([self._check(each, name) for name, each in self.files.items()])

    def bring(self, path: str) -> str:
        return f"rm -rf {path} && dvc checkout {path}"

    def _check(self, digest: str, name: str) -> bool:
        place = self._place(digest)
        if not place.is_file():
            return False
        _, found = hash_file(str(place), self.cache.fs, "md5")
        if found.value == digest.removesuffix(FOLDER):
            return True
        self.damaged[place] = name
        return False

    def _place(self, digest: str) -> Path:
        path = Path(self.cache.oid_to_path(digest))
        return path.relative_to(Path.cwd()) if path.is_relative_to(Path.cwd()) else path


class _InGit:
    """What the last commit has of an output that DVC leaves to Git, as `_InCache`."""

    def __init__(self, out: Output):
        path, self.files, self.damaged, self.whole = Path(out.def_path), {}, {}, False
        with dvc_repo.at("HEAD") as there, tempfile.TemporaryDirectory() as folder:
            with suppress(FileNotFoundError, run_revision.OutOfReach):
                run_revision.copy(there, path, Path(folder))
            found = digests(Path(folder, path), out.repo)
        if found.digest == out.hash_info.value:
            self.files, self.whole = found.files, True

    def bring(self, path: str) -> str:
        return f"git restore --source=HEAD -- {path}"


def _first_difference(
    path: Path, found: dict[str, str], wanted: dict[str, str]
) -> tuple[Path, str]:
    """Return the first file that differs, `path` itself where that cannot be told, and how."""
    for name in sorted({*found, *wanted} if wanted else ()):
        if found.get(name) != wanted.get(name):
            if name not in found:
                return path / name, "is missing of what"
            said = "does not have the bytes that" if name in wanted else "is not of what"
            return path / name, said
    return path, "does not have the bytes that"


def _quoted(path: Path) -> str:
    return shlex.quote(str(path))
