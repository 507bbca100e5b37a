"""Stages and tools by Ray, on two of its nodes on this machine; see the seam in test_engine.py."""

import functools
import importlib.util
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import psutil
import pytest

from tests.conftest import run_stage, set_params
from tests.conftest import runtime as alone
from tests.imports import ROOT
from thaw.project import engine, ray_engine
from thaw.project.errors import UserError

MISSING = importlib.util.find_spec("ray") is None
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(MISSING, reason="Ray is not installed; `make ray` does that"),
]
BY_RAY = {"engine": "ray"}
COPIES = {"extract": {"augmented_copies": 2}, "augmentation": {"rotation": 0.2}}


@pytest.fixture
def cluster(monkeypatch):
    """Two nodes of a processor each, which RAY_ADDRESS names."""
    ray = ray_engine.imported()
    from ray.cluster_utils import Cluster

    monkeypatch.setenv("PYTHONPATH", str(ROOT))  # for functions of this file
    node = {"num_cpus": 1, "include_dashboard": False}
    made = Cluster(initialize_head=True, head_node_args=node)
    made.second = made.add_node(num_cpus=1)
    monkeypatch.setenv(ray_engine.ADDRESS, made.address)
    monkeypatch.setattr(engine, "SHARD", 7)
    yield made
    ray.shutdown()
    made.shutdown()


@pytest.fixture
def one_machine(monkeypatch):
    """Ray on this machine alone, as a stage starts it."""
    monkeypatch.delenv(ray_engine.ADDRESS, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    monkeypatch.setattr(engine, "SHARD", 7)
    yield
    ray_engine.imported().shutdown()


def tree(*places: str) -> dict[Path, bytes]:
    files = [file for place in places for file in sorted(Path(place).rglob("*"))]
    files += [Path(place) for place in places if Path(place).is_file()]
    return {file: file.read_bytes() for file in files if file.is_file()}


def different(expected: dict[Path, bytes], *places: str) -> list[Path]:
    """Return the files that have other bytes by now, are new or are gone."""
    found = tree(*places)
    return [file for file in expected | found if expected.get(file) != found.get(file)]


def dies_once(function, marker: Path, *arguments):
    """Call a shard's function, but kill the worker by SIGKILL the first time."""
    try:
        marker.touch(exist_ok=False)
    except FileExistsError:
        return function(*arguments)
    os.kill(os.getpid(), signal.SIGKILL)


def disturbed(monkeypatch, marker: Path, act=lambda: None) -> list:
    """Have the first shard's worker die, and `act` called when the third is done; count shards."""
    real, done = engine.map_shards, []

    def map_shards(function, *given):
        for each in real(functools.partial(dies_once, function, marker), *given):
            done.append(each[0])
            if len(done) == 3:
                act()
            yield each

    monkeypatch.setattr(engine, "map_shards", map_shards)
    return done


@pytest.mark.parametrize("shared", [False, True])
def test_two_nodes_give_the_bytes_of_one_process(after_run, cluster, monkeypatch, shared):
    """With a worker killed, and one of both nodes removed in the middle."""
    (after_run / "images/red/page.jpg").write_text("<html>")
    (after_run / "images/red/gone.jpg").symlink_to("nowhere")
    set_params(after_run / "params.yaml", COPIES | {"data": {"max_invalid": 0.5}})
    outputs = {
        "download": ("data/manifest.csv", "data/quarantine.csv", "data/raw"),
        "extract": ("data/features",),
        "augment": ("data/augmented_copies",),
    }
    expected = {}
    for stage, places in outputs.items():
        run_stage(stage)
        expected[stage] = tree(*places)
    set_params(after_run / "params.yaml", {"runtime": BY_RAY | {"shared_folder": shared}})
    for stage, places in outputs.items():
        for place in places:
            shutil.rmtree(place, ignore_errors=True)
        with monkeypatch.context() as patch:
            remove = functools.partial(cluster.remove_node, cluster.second, allow_graceful=False)
            act = remove if stage == "extract" else lambda: None
            done = disturbed(patch, after_run / f"{stage}.died", act)
            run_stage(stage)
        assert (after_run / f"{stage}.died").exists()
        assert len(done) > 3
        assert different(expected[stage], *places) == []
    assert not cluster.worker_nodes


@pytest.mark.parametrize("changes", [{"engine": "tensorflow"}, {"precision": "int8"}])
def test_other_engines_and_precisions_give_the_same_bytes(after_run, one_machine, changes):
    set_params(after_run / "params.yaml", {"extract": changes})
    run_stage("extract")
    expected = tree("data/features")
    set_params(after_run / "params.yaml", {"runtime": BY_RAY})
    run_stage("extract")
    assert different(expected, "data/features") == []


def test_the_default_network_and_the_activations_of_fine_tuning(after_run, one_machine):
    fine_tuned = tree("models/fine_tuned.weights.h5")
    set_params(after_run / "params.yaml", {"runtime": BY_RAY})
    run_stage("fine_tune")
    assert different(fine_tuned, "models/fine_tuned.weights.h5") == []
    lite = {"backbone": {"name": "EfficientNetLite0", "weights": "imagenet"}}
    set_params(after_run / "params.yaml", lite)
    run_stage("backbone")
    run_stage("extract")
    found = tree("data/features")
    set_params(after_run / "params.yaml", {"runtime": {"engine": "local"}})
    run_stage("extract")
    assert different(found, "data/features") == []


def test_each_host_has_its_feature_store(after_run, one_machine, capsys):
    changes = {"runtime": BY_RAY | {"store": str(after_run / "store")}}
    set_params(after_run / "params.yaml", changes)
    run_stage("extract")
    run_stage("extract")
    first, second = [line for line in capsys.readouterr().out.splitlines() if "passed" in line]
    assert first.startswith("59 images passed once, 0 were")
    assert second.startswith("0 images passed once, 59 were")


def dies_at(items, _):
    if any(path.name == "3.jpg" for (path,) in items):
        os.kill(os.getpid(), signal.SIGKILL)
    return [path.name for (path,) in items]


def breaks_at(items, _):
    return [1 // (path.name != "3.jpg") for (path,) in items]


def test_a_shard_that_fails_for_good_is_named(project, one_machine, monkeypatch):
    monkeypatch.setattr(ray_engine, "TRIES", 2)
    items = [(Path(f"images/red/{number}.jpg"),) for number in range(9)]
    for function, said in ((dies_at, "WorkerCrashedError"), (breaks_at, "ZeroDivisionError")):
        with pytest.raises(UserError) as refused:
            list(engine.map_shards(function, items, alone(engine="ray"), None, 4))
        line = str(refused.value)
        assert line.startswith("images/red/0.jpg to images/red/3.jpg (4 files) failed on Ray: ")
        assert said in line
        assert "\n" not in line


WAIT = """
import sys, time
from pathlib import Path
from tests.conftest import runtime
from tests.project.test_ray_engine import sleeps
from thaw.project import engine
from thaw.project.cli import run

def main():
    items = [(Path(name),) for name in sys.argv[1:]]
    for _ in engine.map_shards(sleeps, items, runtime(engine="ray"), None, 1):
        print("done", flush=True)

run(main)
"""


def sleeps(items, _):
    time.sleep(0 if items[0][0].name == "0.jpg" else 600)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_ctrl_c_ends_all_tasks(project, number):
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    images = [f"images/red/{each}.jpg" for each in range(9)]
    process = subprocess.Popen(
        [sys.executable, "-c", WAIT, *images], env=environment, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    assert process.stdout.readline() == "done\n"
    below = psutil.Process(process.pid).children(recursive=True)
    assert len(below) > 2
    process.send_signal(number)
    _, said = process.communicate(timeout=120)
    assert said == "interrupted: nothing half-written was kept; run again to go on\n"
    assert process.returncode == 128 + number
    _, left = psutil.wait_procs(below, timeout=120)
    assert [each.cmdline() for each in left] == []
