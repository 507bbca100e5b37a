import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import weakref
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.pool import ThreadPool
from pathlib import Path

import pytest
import tensorflow as tf

from tests.conftest import set_params
from tests.imports import ROOT
from tests.stages.test_killed import STAGE, run
from tests.two_devices import SGD, apart, weights
from thaw.project.errors import UserError
from thaw.training.hosts import all_there

MODEL = "models/fine_tuned.weights.h5"


def free_ports(count: int) -> list[int]:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in sockets]
    for each in sockets:
        each.close()
    return ports


def run_together(folders: list[Path], kill_after: str | None = None) -> list[tuple[int, str]]:
    """Fine-tune on a host for each folder; kill the last when it prints a line that begins so."""
    workers = [f"127.0.0.1:{port}" for port in free_ports(len(folders))]
    processes = []
    for index, folder in enumerate(folders):
        task = {"cluster": {"worker": workers}, "task": {"type": "worker", "index": index}}
        environment = {
            **os.environ, "PYTHONPATH": str(ROOT), "TF_CONFIG": json.dumps(task),
            "XDG_CACHE_HOME": str(folder / "cache"),
        }  # fmt: skip
        processes.append(subprocess.Popen(
            [sys.executable, "-c", STAGE, "fine_tune"], cwd=folder, text=True, env=environment,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        ))  # fmt: skip

    def follow(process: subprocess.Popen) -> tuple[int, str]:
        said = []
        for line in process.stdout:
            said.append(line)
            if kill_after and process is processes[-1] and line.startswith(kill_after):
                process.send_signal(signal.SIGKILL)
        return process.wait(), "".join(said)

    with ThreadPoolExecutor(len(folders)) as pool:
        return list(pool.map(follow, processes))


def test_a_lost_host_is_an_error_that_keeps_none_of_tensorflows_threads():
    pools = []

    def answer(number: int) -> None:
        raise tf.errors.UnavailableError(None, None, f"host {number} is gone")

    def reduce() -> None:  # as CollectiveAllReduce does
        pool = ThreadPool(2)
        pools.append(weakref.ref(pool))
        pool.map(answer, [1])
        pool.close()

    with pytest.raises(UserError, match="host 1 is gone"), all_there():
        reduce()
    deadline = time.monotonic() + 10  # its own threads end when they come to it
    while pools[0]() is not None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert pools[0]() is None


@pytest.fixture
def hosts(after_run, tmp_path) -> list[Path]:
    """Two folders with a run up to the head, whose fine-tuning has much to draw."""
    changes = {"fine_tune": SGD | {"epochs": 1, "global_clipnorm": 0.5}}
    changes["augmentation"] = {"policy": "mixed"}
    set_params(after_run / "params.yaml", changes)
    other = tmp_path / "other"
    shutil.copytree(after_run, other)
    return [after_run, other]


@pytest.mark.slow
def test_two_hosts_end_where_one_does(hosts):
    code, said = run(hosts[0], "fine_tune")
    assert code == 0, said
    alone = weights(hosts[0] / MODEL)
    for code, said in run_together(hosts):
        assert code == 0, said
    first, second = ((folder / MODEL).read_bytes() for folder in hosts)
    assert first == second
    assert 0 < apart(alone, weights(hosts[0] / MODEL)) < 1e-5


@pytest.mark.slow
def test_after_the_loss_of_a_host_both_go_on_from_the_first_ones_checkpoint(hosts):
    for folder in hosts:
        set_params(folder / "params.yaml", {"fine_tune": {"epochs": 20, "patience": 20}})
    for code, said in run_together(hosts):
        assert code == 0, said
    whole = (hosts[0] / MODEL).read_bytes()
    (code, said), (killed, _) = run_together(hosts, kill_after="epoch 2/")
    assert killed == -signal.SIGKILL
    assert code == 1, said
    assert "error: a host does not answer any more" in said
    assert "Traceback" not in said
    kept = [list(folder.glob("cache/thaw/checkpoints/*.npz")) for folder in hosts]
    assert [len(each) for each in kept] == [1, 0]
    for code, said in run_together(hosts):
        assert code == 0, said
        assert "an interrupted training goes on after its epoch" in said
    assert [(folder / MODEL).read_bytes() == whole for folder in hosts] == [True, True]
    assert not list(hosts[0].glob("cache/thaw/checkpoints/*"))
