"""Shards as tasks of Ray, on the cluster that RAY_ADDRESS names or on this machine alone.

Ray keeps a queue for each host, and does the tasks of a lost worker or host again elsewhere.
"""

import contextlib
import functools
import logging
import os
import signal
import socket
import stat
import threading
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import ModuleType

import numpy as np
from tqdm import tqdm

from thaw.project import ray_worker, software, stops
from thaw.project.errors import UserError
from thaw.project.settings import Runtime

ADDRESS = "RAY_ADDRESS"
ELSEWHERE = "unset it to use this machine alone, or run this on a machine of that cluster"
CONNECT = 5  # seconds
TRIES = 4  # of a shard whose worker or host is lost
LARGEST = 10**8  # bytes of files that travel in a task; a larger one is looked at here
AHEAD = 2  # tasks for each that runs, so that no host waits
CODE = [software.LIBRARY, software.LIBRARY.with_name("tools")]  # what hosts of a cluster get
# Ray tells its makers of its use, and prints of what it plans to change, unless told not to.
QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # and so hosts see their GPUs
    "RAY_task_oom_retries": str(TRIES - 1),  # where memory lacks; else without end
}


def map_shards(
    function: Callable, items: Sequence[tuple], runtime: Runtime, prepare: Callable | None,
    most: int,
) -> Iterator[tuple[slice, object]]:  # fmt: skip
    """Do as `engine.map_shards` says, with a progress bar on a terminal."""
    ray = imported()
    connect(ray)
    travels = bool(os.environ.get(ADDRESS)) and not runtime.shared_folder
    count, cpus = _hosts(ray)
    task = ray.remote(ray_worker.work).options(num_cpus=cpus, max_retries=TRIES - 1)
    about = [ray.put(each) for each in (function, prepare or _nothing, ray_worker.identity())]
    parts, running, made = _parts(items, most, travels), {}, functools.cache(prepare or _nothing)
    with tqdm(total=len(items), desc="ray", unit=" images", disable=None) as bar:
        try:
            while True:
                while len(running) < AHEAD * count and (rows := next(parts, None)):
                    shard = _sent(items[rows], travels)
                    if shard is None:
                        yield rows, function(items[rows], made())
                        continue
                    running[task.remote(shard, [about[1]], about[0], about[2])] = rows
                if not running:
                    return
                with stops.kept():  # Ray raises KeyboardInterrupt for whatever the handler raises
                    [done], _ = ray.wait([*running], num_returns=1)
                    rows = running.pop(done)
                    answer = _answer(ray, done, items[rows])
                yield rows, answer
                bar.update(rows.stop - rows.start)
        finally:
            for left in running:
                ray.cancel(left, force=True)


def imported() -> ModuleType:
    """Return the package ray, made quiet. Raises UserError when it is not installed."""
    os.environ.update(QUIET)
    try:
        import ray
    except ModuleNotFoundError:
        raise UserError(
            "Ray is not installed",
            "runtime.engine",
            "run `make ray` (requirements-ray.txt), or set it to local",
        ) from None
    return ray


def connect(ray: ModuleType) -> None:
    """Join the cluster that RAY_ADDRESS names, or start one of this machine; once in a process.

    It ends with this process. Raises UserError where no cluster answers.
    """
    if ray.is_initialized():
        return
    address = os.environ.get(ADDRESS)
    if address:
        _check_answers(address)
        how = {"address": address, "runtime_env": {"py_modules": [*map(str, CODE)]}}
    else:
        how = {"address": "local", "include_dashboard": False}
    handlers = {each: signal.getsignal(each) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        ray.init(**how, log_to_driver=False, logging_level=logging.CRITICAL)
        # Else it prints of each lost worker, with the last lines of its own log.
        ray._private.worker.print_to_stdstream = lambda *_, **__: None
    except SystemExit:  # of Ray's handler
        raise stops.Stopped(128 + signal.SIGTERM) from None
    except Exception as error:  # it raises all kinds
        said = " ".join(str(error).split())[:200]
        if address:
            raise UserError(f"{ADDRESS} {address}: {said}", hint=ELSEWHERE) from None
        raise UserError(f"Ray: {said}", hint="set runtime.engine to local") from None
    finally:
        if threading.current_thread() is threading.main_thread():
            for number, handler in handlers.items():  # Ray puts its own in their place
                signal.signal(number, handler)


def _check_answers(address: str) -> None:
    """Raise UserError where nobody listens at HOST:PORT, for which Ray would wait for minutes."""
    host, _, port = address.rpartition(":")
    if port.isdecimal():
        try:
            socket.create_connection((host, int(port)), CONNECT).close()
        except OSError as error:
            raise UserError(f"{ADDRESS} {address}: {error}", hint=ELSEWHERE) from None


def _hosts(ray: ModuleType) -> tuple[int, float]:
    """Return how many tasks run at once, and how many processors each takes: a host's, all of them.

    Of the smallest host, as a larger one has room for several. So a network is once in a host's
    memory, and a task has all threads that the stage itself would have.
    """
    found = [each["Resources"].get("CPU", 0) for each in ray.nodes() if each["Alive"]]
    found = [each for each in found if each >= 1]
    if not found:
        raise UserError("the Ray cluster has no host with a processor to spare")
    return sum(int(each // min(found)) for each in found), min(found)


def _parts(items: Sequence[tuple], most: int, travels: bool) -> Iterator[slice]:
    """Yield the rows of each shard: `most` of them, or fewer where their files are large."""
    start, size = 0, 0
    for row, item in enumerate(items):
        more = _size(item[0]) if travels else 0
        if row > start and (row - start == most or size + more > LARGEST):
            yield slice(start, row)
            start, size = row, 0
        size += more
    if items:
        yield slice(start, len(items))


def _size(path: Path) -> int:
    with contextlib.suppress(OSError):
        return os.stat(path).st_size
    return 0


def _sent(items: Sequence[tuple], travels: bool) -> ray_worker.Shard | None:
    """Return a shard for a worker, None where a file is none that can be read and sent.

    One that is too large for memory is read piece by piece here, as without Ray.
    """
    if not travels:
        there = next((path for path, *_ in items if os.path.exists(path)), None)
        return ray_worker.Shard(items, None, Path.cwd(), there)
    contents = []
    for path, *_ in items:
        try:
            found = os.stat(path)
            if not stat.S_ISREG(found.st_mode) or found.st_size > LARGEST:
                return None
            contents.append(np.fromfile(path, "uint8"))
        except OSError:
            return None
    return ray_worker.Shard(items, contents, Path.cwd())


def _answer(ray: ModuleType, done: object, items: Sequence[tuple]) -> object:
    try:
        answer = ray.get(done)
    except ray.exceptions.RayError as error:
        cause = " ".join(str(getattr(error, "cause", None) or error).split())
        kind = type(getattr(error, "cause", None) or error).__name__
        raise UserError(
            f"{items[0][0]} to {items[-1][0]} ({len(items)} files) failed on Ray: {kind}, "
            f"{cause[:200]}",
            hint="set runtime.engine to local, or see Ray's logs on its hosts",
        ) from error
    if isinstance(answer, ray_worker.Failure):
        raise answer.error
    return answer


def _nothing() -> None:
    """Prepare nothing."""
