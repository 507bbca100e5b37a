"""DVC's queue of experiments: workers with cores of their own, and what to do when one dies."""

import os
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil
from dvc.exceptions import DvcException
from dvc.repo.experiments.executor.base import ExecutorInfo
from dvc.repo.experiments.queue.celery import LocalCeleryQueue
from tqdm import tqdm

from thaw.project.errors import UserError
from tools.experiments.dvc_experiments import dvc_command
from tools.revisions import dvc_repo

PAUSE = 1.0  # seconds between two looks at the queue
GONE_AFTER = 15  # looks without any worker at work, until what it did counts as lost
STARTED_WITHIN = 10  # seconds
# On a GPU each process takes all of its memory otherwise.
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@contextmanager
def opened() -> Iterator[LocalCeleryQueue]:
    with dvc_repo.opened() as repo:
        yield repo.experiments.celery_queue


def states(queue: LocalCeleryQueue) -> dict[str, str]:
    """Return Queued, Running, Success or Failed of each experiment that the queue knows by name."""
    return {row["name"]: row["status"] for row in queue.status() if row["name"]}


def forget(names: Collection[str]) -> None:
    """Take experiments out of the queue that have failed, or whose worker died.

    What is waiting, or being run by a worker that lives, stays.
    """
    with opened() as queue:
        if not any(queue.worker_status().values()):
            _give_up(queue, names)
        found = states(queue)
        left = [name for name in names if found.get(name) == "Failed"]
        if left:
            queue.remove(left)


def run(
    names: Collection[str],
    jobs: int,
    look: Callable[[LocalCeleryQueue], None] | None = None,
) -> None:
    """Run what is queued, so many at a time, until these experiments have ended.

    `look` is called with the queue every second. What a worker was at that died counts as failed
    once no other is at work any more; should experiments be waiting then, workers are started
    again. Ctrl-C ends what they run of these, and lets them stop after what they run of others.
    """
    with opened() as queue:
        try:
            waiting = {name for name, state in states(queue).items() if state == "Queued"}
            if others := sorted(waiting - set(names)):
                print(f"also waiting in DVC's queue, and run as well: {', '.join(others)}")
            _run(queue, set(names), jobs, look)
        except KeyboardInterrupt:
            dvc_command("queue", "stop", "--quiet")
            for name, state in states(queue).items():
                if state == "Running" and name in names:
                    stop(queue, name)
            raise
        if not set(states(queue).values()) & {"Queued", "Running"}:  # of others
            _stop_workers(queue)


def _run(queue: LocalCeleryQueue, names: set[str], jobs: int, look: Callable | None) -> None:
    idle = ended = 0
    start_workers(queue, jobs)
    with tqdm(total=len(names), unit=" runs", disable=None) as progress:
        while ended < 2:  # looks, as one that is just taken from the queue may be seen nowhere
            time.sleep(PAUSE)
            if look:
                look(queue)
            found = states(queue)
            waiting = {name for name in names if found.get(name) in ("Queued", "Running")}
            progress.update(len(names) - len(waiting) - progress.n)
            if not waiting:
                ended += 1
                continue
            ended = 0
            # A worker that was told to stop says nothing any more, but ends what it is at.
            at_work = any(queue.worker_status().values()) or _stages(queue, waiting)
            idle = 0 if at_work else idle + 1
            if idle == GONE_AFTER:
                _give_up(queue, waiting)
                if "Queued" in states(queue).values():
                    start_workers(queue, jobs)
                idle = 0


def checkout(queue: LocalCeleryQueue, name: str) -> Path | None:
    """Return the folder in which an experiment is being run; None when it is not."""
    for entry in queue.iter_active():
        if entry.name == name:
            with suppress(OSError, ValueError, DvcException):  # it has just begun, or ended
                about = ExecutorInfo.load_json(queue.get_infofile_path(entry.stash_rev))
                return Path(about.root_dir) / (about.wdir or "")
    return None


def stop(queue: LocalCeleryQueue, name: str) -> None:
    """Stop a running experiment with all that it has started; it counts as failed then."""
    stages = _stages(queue, [name])
    with suppress(DvcException):  # it has just ended by itself
        queue.kill([name], force=True)
    _kill(stages)


def _give_up(queue: LocalCeleryQueue, names: Collection[str]) -> None:
    """Let what is running without a worker count as failed, and kill what is left of it."""
    for _ in range(GONE_AFTER):
        found = states(queue)
        running = [name for name in names if found.get(name) == "Running"]
        if not running:
            return
        for name in running:  # DVC marks as failed only what it finds dead
            stop(queue, name)
        time.sleep(PAUSE)


def _stages(queue: LocalCeleryQueue, names: Collection[str]) -> list[psutil.Process]:
    """Return the processes that these experiments have started, which DVC does not kill."""
    found = []
    for entry in queue.iter_active():
        if entry.name in names:
            with suppress(KeyError, psutil.NoSuchProcess):
                process = psutil.Process(queue.proc[entry.stash_rev].pid)
                found += process.children(recursive=True)
    return found


def _kill(processes: Collection[psutil.Process]) -> None:
    for process in processes:
        with suppress(psutil.NoSuchProcess):
            process.kill()


def _stop_workers(queue: LocalCeleryQueue) -> None:
    """Stop workers that have nothing to do, so that the next ones get the cores that they want."""
    if not queue.worker_status():
        return
    dvc_command("queue", "stop", "--quiet")
    deadline = time.monotonic() + STARTED_WITHIN
    while queue.worker_status() and time.monotonic() < deadline:
        time.sleep(PAUSE / 4)


def start_workers(queue: LocalCeleryQueue, count: int) -> None:
    """Start workers until there are so many, each on cores of its own where the system has that.

    Raises UserError when none does.
    """
    for number in range(1, count + 1):
        for _ in range(3):  # one may find an order to stop that its dead predecessor left unread
            with _on_cores(number - 1, count):
                dvc_command("queue", "start", f"--jobs={number}", "--quiet", environment=SHARED_GPU)
            deadline = time.monotonic() + STARTED_WITHIN
            while not _has(queue, number) and time.monotonic() < deadline:
                time.sleep(PAUSE / 4)
            if _has(queue, number):
                break
    if not queue.worker_status():
        raise UserError("DVC's workers do not start; .dvc/tmp/exps/celery has their logs")


def _has(queue: LocalCeleryQueue, number: int) -> bool:
    return any(node.partition("@")[0].endswith(f"-{number}") for node in queue.worker_status())


@contextmanager
def _on_cores(number: int, of: int) -> Iterator[None]:
    """Let processes that are started in the block run on one of `of` parts of the cores."""
    if not hasattr(os, "sched_setaffinity"):
        yield
        return
    cores = sorted(os.sched_getaffinity(0))
    mine = cores[number % len(cores) :: of] if of < len(cores) else [cores[number % len(cores)]]
    os.sched_setaffinity(0, mine)
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)
