"""Kill a writer at each of its fault points, and see whether running it again repairs all.

`python -m tests.killed` examines library and tools, `python -m tests.killed FOLDER` the stages of
the finished run in FOLDER; both print as JSON what they found. They are processes of their own, as
writers run in forked children, and a fork is safe only where nothing else runs.
"""

import hashlib
import io
import json
import os
import shutil
import signal
import sqlite3
import sys
import tarfile
import tempfile
import threading
import traceback
import zipfile
from collections.abc import Callable
from contextlib import chdir
from pathlib import Path

from ruamel.yaml import YAML

from tests.conftest import STAGES, draw_images, main_of, set_params
from tests.imports import ROOT
from tests.server import Server
from thaw.features.store import FeatureStore
from thaw.project import faults, files
from thaw.project.params import load
from thaw.sources import archive, fetch
from thaw.sources.settings import Data

TIMED = ("export.json", "model.keras")  # they hold times
STEPWISE = (".part", ".sqlite")  # grow by what is whole in itself
SERVER = Server()
WEIGHTS = [f"{number}.bin" for number in range(3)]


def write_file() -> None:
    files.write_json(Path("new.json"), {"a": 5})
    files.write_json(Path("old.json"), {"a": 3})


def write_folder() -> None:
    with files.replacing(Path("old")) as folder:
        folder.mkdir()
        for name in WEIGHTS:
            (folder / name).write_text("new")
    files.write_json(Path("after.json"), {})


def put_into_store() -> None:
    with FeatureStore(Path("features.sqlite"), 1.0) as store:
        for first in (0, 2):
            keys = [bytes([first + number]) * 32 for number in range(2)]
            store.put((key, key * 1000) for key in keys)


def download() -> None:
    fetch.download(f"{SERVER.url}/good", Path("archive"))


def unpack() -> None:
    limits = load(Data, "data").archive
    for kind in ("zip", "tar"):
        with files.scratch(Path("partial-unpacked")) as scratch:
            archive.unpack(Path(f"images.{kind}"), scratch, limits, kind)
            shutil.copytree(scratch, kind, dirs_exist_ok=True)


def pack() -> None:
    """Write images.zip and images.tar, with three members each."""
    with zipfile.ZipFile("images.zip", "w") as packed, tarfile.open("images.tar", "w") as tar:
        for number in range(3):
            content = f"image {number}".encode()
            packed.writestr(f"red/{number}.jpg", content)
            member = tarfile.TarInfo(f"red/{number}.jpg")
            member.size = len(content)
            tar.addfile(member, io.BytesIO(content))


def tool(name: str, *arguments: str) -> Callable[[], None]:
    def run() -> None:
        sys.argv = [name, *arguments]
        main_of_tool(name)()

    return run


def main_of_tool(name: str) -> Callable[[], None]:
    return getattr(__import__(f"tools.{name}"), name).main


def prepare() -> None:
    """Fill the current folder with params, images, archives and what an earlier run left."""
    shutil.copy(ROOT / "params.yaml", ".")
    set_params(Path("params.yaml"), {"data": {"source": "images"}})
    draw_images(Path("images"), {"blue sky": 5, "red": 3})
    pack()
    Path("docs").mkdir()
    files.write_json(Path("old.json"), {"a": 1})
    Path("old").mkdir()
    for name in WEIGHTS:
        Path("old", name).write_text("old")


WRITERS = {
    "file": write_file,
    "folder": write_folder,
    "store": put_into_store,
    "download": download,
    "unpack": unpack,
    "recipe": tool("recipe", "tf-tutorial"),
    "look": tool("look", "images", "--use"),
    "param_docs": tool("param_docs"),
}


def in_child(act: Callable[[], None], folder: Path, fault: str = "") -> tuple[int, list[str]]:
    """Run `act` in a forked child; return how it ended, -9 for killed, and the points it passed."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.chdir(folder)
            os.environ[faults.VARIABLE] = fault
            os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
            whole = faults.point

            def noted(name: str) -> None:
                os.write(writing, f"{name}\n".encode())
                whole(name)

            faults.point = noted
            act()
            os._exit(0)
        except BaseException:
            traceback.print_exc()
            os._exit(1)
    os.close(writing)
    with os.fdopen(reading) as points:
        passed = points.read().splitlines()
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), list(dict.fromkeys(passed))


def tree(folder: Path) -> dict[str, str]:
    """Return the digest of each file, but of those that are not complete or hold times."""
    return {
        path.relative_to(folder).as_posix(): digest(path)
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not any(part.startswith("partial-") for part in path.parts)
        if not path.name.startswith("features.sqlite-") and path.name not in TIMED
    }


def digest(path: Path) -> str:
    if path.suffix != ".sqlite":
        return hashlib.sha256(path.read_bytes()).hexdigest()
    with sqlite3.connect(path) as opened:
        rows = opened.execute("SELECT key, value FROM features ORDER BY key").fetchall()
    opened.close()
    return hashlib.sha256(repr(rows).encode()).hexdigest()


def examine(act: Callable[[], None], prepared: Path) -> dict:
    """Kill `act` at each of its fault points, in a copy of `prepared`, and run it again.

    Returns the points, and what was wrong: a file that is neither as before nor as after, a rerun
    that failed or left something else than an undisturbed run, or partial files.
    """
    before, scratch = tree(prepared), Path(tempfile.mkdtemp())
    whole = shutil.copytree(prepared, scratch / "whole", symlinks=True)
    code, passed = in_child(act, whole)
    after, wrong = tree(whole), [] if code == 0 else ["the undisturbed run failed"]
    for number, name in enumerate(passed):
        place = shutil.copytree(prepared, scratch / str(number), symlinks=True)
        if in_child(act, place, name)[0] != -signal.SIGKILL:
            wrong.append(f"{name}: was not killed")
        for path, found in tree(place).items():
            if found not in (before.get(path), after.get(path)) and not path.endswith(STEPWISE):
                wrong.append(f"{name}: {path} is neither as before nor as after")
        in_folder = [tree(place).get(f"old/{each}") for each in WEIGHTS]
        if len(set(in_folder)) > 1:
            wrong.append(f"{name}: half of a folder")
        code, _ = in_child(act, place)
        if code or tree(place) != after:
            wrong.append(f"{name}: run again it ended with {code} and left another tree")
        left = [str(path.relative_to(place)) for path in place.rglob("partial-*")]
        wrong += [f"{name}: left {path}" for path in left]
        shutil.rmtree(place)
    return {"points": passed, "wrong": wrong}


def examine_in_a_row(act: Callable[[], None], prepared: Path) -> dict:
    """Kill `act` where it has replaced a file or folder, again and again in one copy of `prepared`.

    Returns what `examine` returns, but looks only at the end.
    """
    scratch = Path(tempfile.mkdtemp())
    whole, place = (shutil.copytree(prepared, scratch / name) for name in ("whole", "killed"))
    code, passed = in_child(act, whole)
    wrong = [] if code == 0 else ["the undisturbed run failed"]
    passed = [name for name in passed if name.startswith("replaced")]
    ended = [in_child(act, place, name)[0] for name in passed]
    wrong += [f"{name}: not killed" for name, code in zip(passed, ended) if code != -signal.SIGKILL]
    code, _ = in_child(act, place)
    if code or tree(place) != tree(whole):
        wrong.append(f"run again it ended with {code} and left another tree")
    wrong += [f"left {path.relative_to(place)}" for path in place.rglob("partial-*")]
    return {"points": passed, "wrong": wrong}


def examine_writers() -> dict[str, dict]:
    """Examine all writers that need no TensorFlow."""
    threading.Thread(target=SERVER.serve_forever, daemon=True).start()
    prepared = Path(tempfile.mkdtemp())
    with chdir(prepared):
        prepare()
    return {name: examine(act, prepared) for name, act in WRITERS.items()}


def examine_stages(finished: Path) -> dict[str, dict]:
    """Examine all stages of a finished run between their outputs, which DVC has deleted before."""
    import thaw.models.tf_setup  # noqa: F401  here, so that each child has it

    outs = YAML(typ="safe").load(ROOT / "dvc.yaml")["stages"]
    found = {}
    for stage in STAGES:
        prepared = shutil.copytree(finished, Path(tempfile.mkdtemp(), stage))
        for out in (*outs[stage]["outs"], *outs[stage].get("metrics", ())):
            files.remove(prepared / (next(iter(out)) if isinstance(out, dict) else out))
        found[stage] = examine_in_a_row(main_of(stage), prepared)
    return found


def main() -> None:
    with tempfile.TemporaryDirectory() as scratch:
        tempfile.tempdir = scratch
        os.environ["XDG_CACHE_HOME"] = str(Path(scratch, "cache"))
        found = examine_stages(Path(sys.argv[1])) if sys.argv[1:] else examine_writers()
    json.dump(found, sys.stdout)


if __name__ == "__main__":
    main()
