"""DVC's queue of experiments: workers with cores of their own, and what to do when one dies."""

import os
import time
from collections.abc import Collection, Iterator
from contextlib import contextmanager

from dvc.repo import Repo
from dvc.repo.experiments.queue.celery import LocalCeleryQueue
from tqdm import tqdm

from stages.lib.errors import UserError
from tools.lib.experiments import dvc_command

PAUSE = 1.0  # seconds between two looks at the queue
GONE_AFTER = 15  # looks without any worker at work, until what it did counts as lost
STARTED_WITHIN = 15  # seconds
# On a GPU each process takes all of its memory otherwise.
SHARED_GPU = {"TF_FORCE_GPU_ALLOW_GROWTH": "true"}


@contextmanager
def opened() -> Iterator[LocalCeleryQueue]:
    with Repo() as repo:
        yield repo.experiments.celery_queue


def states(queue: LocalCeleryQueue) -> dict[str, str]:
    """Return Queued, Running, Success or Failed of each experiment that the queue knows by name."""
    return {row["name"]: row["status"] for row in queue.status() if row["name"]}


def forget(names: Collection[str]) -> None:
    """Take experiments out of the queue that have failed, or whose worker died.

    Raises UserError when one is being run.
    """
    with opened() as queue:
        found = states(queue)
        running = [name for name in names if found.get(name) == "Running"]
        if running and any(queue.worker_status().values()):
            raise UserError(
                f"{running[0]} is being run by another process; wait for it, or say "
                "`dvc queue stop --kill`"
            )
        if running:
            queue.kill(running, force=True)
        left = [name for name in names if name in found]
        if left:
            queue.remove(left)


def run(names: Collection[str], jobs: int) -> None:
    """Run what is queued, so many at a time, until these experiments have ended.

    What a worker was at that died counts as failed once no other is at work any more; should
    experiments be waiting then, workers are started again. Ctrl-C stops them, with what they run.
    """
    with opened() as queue:
        try:
            _run(queue, set(names), jobs)
        except KeyboardInterrupt:
            dvc_command("queue", "stop", "--kill", "--quiet")
            raise


def _run(queue: LocalCeleryQueue, names: set[str], jobs: int) -> None:
    idle = 0
    start_workers(queue, jobs)
    with tqdm(total=len(names), desc="sweep", unit=" runs", disable=None) as progress:
        while True:
            found = states(queue)
            waiting = {name for name in names if found.get(name) in ("Queued", "Running")}
            progress.update(len(names) - len(waiting) - progress.n)
            if not waiting:
                return
            time.sleep(PAUSE)
            workers = queue.worker_status()
            idle = 0 if any(workers.values()) else idle + 1
            if idle < GONE_AFTER:
                continue
            lost = sorted(name for name in waiting if found[name] == "Running")
            if lost:
                queue.kill(lost, force=True)
            start_workers(queue, jobs)
            idle = 0


def start_workers(queue: LocalCeleryQueue, count: int) -> None:
    """Start workers until there are so many, each on cores of its own where the system has that.

    Raises UserError when none does.
    """
    for number in range(1, count + 1):
        with _on_cores(number - 1, count):
            dvc_command("queue", "start", f"--jobs={number}", "--quiet", environment=SHARED_GPU)
        deadline = time.monotonic() + STARTED_WITHIN
        while not _has(queue, number) and time.monotonic() < deadline:
            time.sleep(PAUSE / 4)
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
