import json
import os
from types import SimpleNamespace

import pytest

from tools.experiments import dvc_queue
from tools.revisions import dvc_repo


@pytest.mark.parametrize(
    ("cores", "of", "parts"),
    [
        ({0, 1}, 2, [{0}, {1}]),
        ({2, 3, 5, 7, 9}, 2, [{2, 5, 9}, {3, 7}]),
        ({4, 6}, 3, [{4}, {6}, {4}]),
        ({0, 1, 2}, 1, [{0, 1, 2}]),
    ],
)
def test_workers_have_cores_of_their_own(monkeypatch, cores, of, parts):
    mine = [cores]
    # not every system has these two
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: mine[-1], raising=False)
    monkeypatch.setattr(
        os, "sched_setaffinity", lambda process, some: mine.append(set(some)), raising=False
    )
    for number, part in enumerate(parts):
        with dvc_queue._on_cores(number, of):
            assert mine[-1] == part
        assert mine[-1] == cores


def test_a_system_that_binds_nothing_to_cores_runs_all_the_same(monkeypatch):
    monkeypatch.delattr(os, "sched_setaffinity", raising=False)
    monkeypatch.setattr(
        os, "sched_getaffinity", lambda process: pytest.fail("asked"), raising=False
    )
    with dvc_queue._on_cores(0, 2):
        pass


class Celery:
    """A queue whose workers start as told, with what each was told."""

    def __init__(self, refusing: int = 0):
        self.refusing, self.workers, self.told = refusing, {}, []

    def command(self, *arguments, environment=None):
        self.told.append((arguments, environment))
        if self.refusing:
            self.refusing -= 1
        else:
            number = arguments[2].removeprefix("--jobs=")
            self.workers[f"dvc-exp-1234-{number}@localhost"] = []

    def worker_status(self):
        return self.workers


@pytest.fixture
def at_once(monkeypatch):
    """Let no time pass but for the clock's."""
    clock = SimpleNamespace(now=0.0)

    def pass_by(seconds):
        clock.now += seconds

    monkeypatch.setattr(dvc_queue.time, "sleep", pass_by)
    monkeypatch.setattr(dvc_queue.time, "monotonic", lambda: clock.now)


@pytest.mark.parametrize("refusing", [0, 2])
def test_workers_are_started_until_each_is_there_and_share_a_gpu(monkeypatch, at_once, refusing):
    celery = Celery(refusing)
    monkeypatch.setattr(dvc_queue, "dvc_command", celery.command)
    dvc_queue.start_workers(celery, 3)
    assert len(celery.workers) == 3
    assert len(celery.told) == 3 + refusing
    assert {told[1]["TF_FORCE_GPU_ALLOW_GROWTH"] for told in celery.told} == {"true"}


def test_workers_that_do_not_start_are_one_line(monkeypatch, at_once):
    celery = Celery(refusing=99)
    monkeypatch.setattr(dvc_queue, "dvc_command", celery.command)
    with pytest.raises(dvc_queue.UserError, match=r"^DVC's workers do not start; \.dvc/tmp/exps"):
        dvc_queue.start_workers(celery, 2)


def test_ctrl_c_ends_what_is_run_of_ours_and_then_the_workers(monkeypatch, capsys):
    stopped, told = [], []

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(dvc_queue, "_run", interrupted)
    monkeypatch.setattr(
        dvc_queue,
        "states",
        lambda _: {"a": "Running", "b": "Queued", "c": "Running", "d": "Queued"},
    )
    monkeypatch.setattr(dvc_queue, "stop", lambda _, name: stopped.append(name))
    monkeypatch.setattr(dvc_queue, "dvc_command", lambda *arguments: told.append(arguments))
    monkeypatch.setattr(dvc_repo, "Repo", RepoOfNothing)
    with pytest.raises(KeyboardInterrupt):
        dvc_queue.run(["a", "b"], 2)
    assert stopped == ["a"]
    assert told == [("queue", "stop", "--quiet")]
    assert capsys.readouterr().out == "also waiting in DVC's queue, and run as well: d\n"


class RepoOfNothing:
    experiments = SimpleNamespace(celery_queue=None)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass


def test_only_an_order_for_a_worker_of_ours_counts():
    celery = SimpleNamespace(worker_status=lambda: {"dvc-exp-1234-12@localhost": []})
    assert dvc_queue._has(celery, 12)
    assert not dvc_queue._has(celery, 2)


class Quiet:
    """A queue whose only run goes on for some looks, while no worker says anything."""

    def __init__(self, looks: int):
        self.looks = looks

    def worker_status(self):
        return {}


@pytest.mark.parametrize(("living", "lost"), [(True, False), (False, True)])
def test_only_what_lives_no_more_is_given_up(monkeypatch, at_once, living, lost):
    """A worker that was told to stop says nothing, but ends what it is at."""
    celery, given_up = Quiet(3 * dvc_queue.GONE_AFTER), []

    def states(_):
        celery.looks -= 1
        return {"a": "Running" if celery.looks > 0 and not given_up else "Success"}

    monkeypatch.setattr(dvc_queue, "start_workers", lambda *_: None)
    monkeypatch.setattr(dvc_queue, "states", states)
    monkeypatch.setattr(dvc_queue, "_stages", lambda *_: ["a process"] if living else [])
    monkeypatch.setattr(dvc_queue, "_give_up", lambda _, names: given_up.extend(names))
    dvc_queue._run(celery, {"a"}, 1, None)
    assert given_up == (["a"] if lost else [])


def test_an_experiment_that_has_just_begun_has_no_folder_yet(tmp_path):
    """Its file is written by another process, and may be seen half written."""
    entry = SimpleNamespace(name="a", stash_rev="1234")
    file = tmp_path / "1234.run"
    celery = SimpleNamespace(
        iter_active=lambda: iter([entry]), get_infofile_path=lambda rev: tmp_path / f"{rev}.run"
    )
    about = {"git_url": "", "baseline_rev": "", "location": "", "dvc_dir": ".dvc"}
    assert dvc_queue.checkout(celery, "a") is None
    for text in ("", '{"git_url": '):
        file.write_text(text)
        assert dvc_queue.checkout(celery, "a") is None
    file.write_text(json.dumps(about | {"root_dir": str(tmp_path), "wdir": "inside"}))
    assert dvc_queue.checkout(celery, "a") == tmp_path / "inside"
    assert dvc_queue.checkout(celery, "b") is None
