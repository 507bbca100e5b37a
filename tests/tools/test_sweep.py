import hashlib
import json
import re
import signal
import threading
from contextlib import suppress
from functools import partial
from pathlib import Path

import psutil
import pytest
from ruamel.yaml import YAML

from tests.conftest import STAGES, draw_images, run_stage, set_params
from tests.repository import call
from tests.small_run import make
from thaw.project.errors import UserError
from tools import sweep
from tools.experiments import dvc_experiments, ranking, sweep_runner

GRID = ("-S", "train_head.learning_rate=0.1,0.03,0.01,0.003", "--until", "train_head", "-j", "2")


@pytest.fixture
def called(run_tool):
    return partial(run_tool, sweep)


def kill_a_worker(repository, killed: threading.Event) -> None:
    """Kill a worker there that trains a head, and all that it has started.

    Not before two experiments are done, which others find their features by.
    """
    while not killed.wait(0.1):
        done = call("git", "for-each-ref", "--format=%(refname)", "refs/exps", cwd=repository)
        if len([ref for ref in done.split() if "sweep-" in ref]) < 2:
            continue
        for process in psutil.process_iter():
            with suppress(psutil.Error):  # it may end while it is looked at
                if "stages.train_head" not in process.cmdline():
                    continue
                above = process.parents()
                workers = [each for each in above if "queue-worker" in each.cmdline()]
                if workers and workers[0].cwd().startswith(str(repository)):
                    for each in (workers[0], *workers[0].children(recursive=True)):
                        each.send_signal(signal.SIGKILL)
                    killed.set()
                    break


@pytest.mark.slow
def test_two_backbones_and_four_rates_with_a_worker_killed(called, repository):
    """Each backbone's features are extracted once, and the kill costs the worker's own run only."""
    killed = threading.Event()
    threading.Thread(target=kill_a_worker, args=(repository, killed), daemon=True).start()
    wanted = ("-S", "backbone.name=EfficientNetLite0,MobileNetV2", *GRID)
    planned = called(*wanted, "--dry")
    assert (
        "8 of 8 runs to do: download 1x, split 1x, backbone 2x, extract 2x, augment 2x, " in planned
    )
    with pytest.raises(UserError, match=r"1 of 8 runs failed: sweep-\w+; see `dvc queue logs"):
        called(*wanted)
    assert killed.is_set()
    assert len(call("dvc", "exp", "list", "--name-only", cwd=repository).split()) == 7
    said = called(*wanted)
    assert "1 of 8 runs to do: train_head 1x; " in said
    names = call("dvc", "exp", "list", "--name-only", cwd=repository).split()
    assert len(names) == 8
    logs = [call("dvc", "queue", "logs", name, cwd=repository) for name in names]
    assert sum("Running stage 'extract'" in log for log in logs) == 2
    assert sum("Running stage 'train_head'" in log for log in logs) == 8
    assert not any("'fine_tune'" in log for log in logs)
    check_table(said, names)
    assert "8 configurations tried on " in said
    again = called(*wanted)
    assert "0 of 8 runs to do: no stage; 0.0 minutes" in again
    assert again[again.rindex("    experiment") :] == said[said.rindex("    experiment") :]


@pytest.mark.slow
def test_a_trial_on_one_core_has_the_bytes_of_the_workspace(called, repository):
    """Workers of `-j 2` have cores of their own, the workspace has all."""
    called("-S", "fine_tune.learning_rate=0.001,0.003", "-j", "2")
    for stage in STAGES[: STAGES.index("fine_tune")]:
        run_stage(stage)
    refs = call("git", "for-each-ref", "--format=%(refname)", "refs/exps/*/*/*", cwd=repository)
    commits = [ref for ref in refs.split() if "/sweep-" in ref]
    assert len(commits) == 2
    trained = "models/fine_tuned.weights.h5"
    for commit in commits:
        for file in ("params.yaml", "dvc.lock"):
            text = call("git", "show", f"{commit}:{file}", cwd=repository)
            (repository / file).write_text(text, encoding="utf-8")
        outs = YAML(typ="safe").load(repository / "dvc.lock")["stages"]["fine_tune"]["outs"]
        [there] = [each["md5"] for each in outs if each["path"] == trained]
        run_stage("fine_tune")
        assert hashlib.md5((repository / trained).read_bytes()).hexdigest() == there


def check_table(said: str, names: list[str]) -> None:
    """Hold the eight rows that were printed against what the experiments have."""
    lines = said.splitlines()
    start = max(number for number, line in enumerate(lines) if line.split()[:1] == ["experiment"])
    assert lines[start].split() == [
        "experiment", "backbone.name", "train_head.learning_rate", "accuracy", "loss",
    ]  # fmt: skip
    rows = [line.split() for line in lines[start + 1 : start + 9]]
    assert {row[0] for row in rows} == set(names)
    assert len({tuple(row[1:3]) for row in rows}) == 8
    losses = [float(row[4]) for row in rows]
    assert losses == sorted(losses)
    for row in rows:
        best = dvc_experiments.best(row[0], "train_head")
        assert float(row[4]) == pytest.approx(best["loss"], abs=6e-5)


def test_dry_plans_and_runs_nothing(called, repository, tmp_path):
    said = called("-S", "head.dropout=0.1,0.5", "-S", "head.hidden=[],[8]", "--dry")
    assert "sweep-" in said
    assert "head.dropout=0.1, head.hidden=[8]: train_head, fine_tune\n" in said
    assert "4 of 4 runs to do: download 1x" in said
    assert "no earlier run tells how long" in said
    file = tmp_path / "heads.yaml"
    file.write_text("params:\n  head.dropout: [0.1, 0.5]\n  head.hidden: [[], [8]]\n")
    assert called(str(file), "--dry") == said
    file.write_text("until: train_head\nparams: {head.dropout: [0.1, 0.5], head.hidden: [[8]]}\n")
    shorter = called(str(file), "--dry")
    assert "2 of 2 runs to do: download 1x, split 1x" in shorter
    assert "fine_tune" not in shorter
    some = called("-S", "head.dropout=range(0,0.9,0.1)", "--trials", "3", "--dry")
    assert "3 of 3 runs to do" in some
    assert some == called("-S", "head.dropout=range(0,0.9,0.1)", "--trials", "3", "--dry")
    assert some != called("-S", "head.dropout=range(0,0.9,0.1)", "--trials=3", "--seed=1", "--dry")
    assert call("dvc", "exp", "list", "--name-only", cwd=repository) == ""


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (["-S", "head.dropuot=1"], "head.dropuot"),
        (["-S", "heads.dropout=1"], "heads"),
        (["-S", "head.dropout=high"], "head.dropout"),
        (["-S", "augmentation.shift=0.1"], "augmentation.shift"),  # another name now
    ],
)
def test_params_that_do_not_fit_are_named(unchanged, monkeypatch, arguments, key):
    monkeypatch.chdir(unchanged)
    monkeypatch.setattr("sys.argv", ["sweep", *arguments, "--dry"])
    with pytest.raises(UserError) as raised:
        sweep.main()
    assert raised.value.key == key


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["-S", "head.dropout"], "-S: "),
        (["-S", "head.dropout.much=1"], "head.dropout"),
        (["-S", "head.dropout=0.1", "--until", "heads"], "--until heads: no such stage; there are"),
        (["-S", "head.dropout=0.1", "--until", "extract"], "--until extract: nothing is scored by"),
        (
            ["-S", "head.dropout=0.1", "--until=train_head", "--reveal-test"],
            "train_head tests noth",
        ),
        (
            ["-S", "split.seed=1,2"],
            "-S split.seed: with several values the scores would be of other",
        ),
        ([], "give -S KEY=VALUE,... or a file, and not both"),
        (["-S", "head.dropout=0.1", "--trials", "0"], "--trials should be at least 1"),
        (["nowhere.yaml"], "nowhere.yaml is missing"),
        (["params.yaml"], "params.yaml: should have params, and until at most"),
    ],
)
def test_mistakes_are_one_line(unchanged, monkeypatch, arguments, message):
    monkeypatch.chdir(unchanged)
    monkeypatch.setattr("sys.argv", ["sweep", *arguments, "--dry"])
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        sweep.main()
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("data.source", "Tom's pets\\"),
        ("data.sha256", None),
        ("head.hidden", [64, 32]),
        ("head.batch_normalization", True),
        ("train_head.learning_rate", 1e-05),
        ("loss.class_weights", {"blue sky": 1.5, "red": 2}),
        ("head.hidden", ["a b", "c,d"]),
        ("augmentation.flip", ""),
    ],
)
def test_what_is_queued_is_what_was_planned(key, value):
    assert dvc_experiments.combinations([dvc_experiments.override(key, value)]) == [{key: value}]


def test_pulled_experiments_count_as_done(monkeypatch):
    rows = [{"Experiment": None, "State": None}, {"Experiment": "a", "State": None}]
    monkeypatch.setattr("dvc.api.exp_show", lambda: [*rows, {"Experiment": "b", "State": "Failed"}])
    assert dvc_experiments.states() == {"a": "Success", "b": "Failed"}


def test_losses_that_say_different_things_are_not_ranked(monkeypatch):
    scored = {
        name: {"head_val_acc": accuracy, "head_val_loss": loss}
        for name, accuracy, loss in (("a", 0.9, 0.1), ("b", 0.95, 0.4))
    }
    monkeypatch.setattr(dvc_experiments, "read", lambda file, name: scored[name])
    for key, first in (("loss.label_smoothing", "b"), ("head.dropout", "a")):
        changes = {name: {key: 0.1} for name in scored}
        found = ranking.table(changes, "train_head", ranking.metric([key]))
        assert found["experiment"].iloc[0] == first


def test_uncommitted_changes_are_refused(called, repository):
    set_params(repository / "params.yaml", {"head": {"dropout": 0.4}})
    with pytest.raises(UserError, match=r"params.yaml has uncommitted changes; commit them, or"):
        called("-S", "head.dropout=0.1", "--dry")


def test_a_clone_that_was_never_run_is_one_line(called, repository):
    """DVC would run all, and then save nothing."""
    lock = {"schema": "2.0", "stages": {"figures": {"cmd": "python -m stages.figures", "outs": [
        {"path": "metrics/figures", "hash": "md5", "md5": f"{'0' * 32}.dir"}
    ]}}}  # fmt: skip
    (repository / "dvc.lock").write_text(f"{json.dumps(lock)}\n")
    call("git", "add", "dvc.lock", cwd=repository)
    call("git", "commit", "--quiet", "--message", "run elsewhere", cwd=repository)
    with pytest.raises(UserError, match=r"^metrics/figures is not in DVC's cache, and DVC saves"):
        called("-S", "head.dropout=0.1,0.2", "--until", "train_head")
    assert call("dvc", "exp", "list", "--name-only", cwd=repository) == ""


def test_what_the_last_commit_has_is_in_every_checkout(repository):
    """In Git or in DVC, also below a folder that is; an address or a name needs no file."""
    draw_images(repository / "images/pets/train")
    call("dvc", "add", "--quiet", "images/pets", cwd=repository)
    here = {"data": {"source": "images/pets/train"}, "backbone": {"weights": "imagenet"}}
    with pytest.raises(UserError, match=r"has no images/pets/train; `dvc add ") as raised:
        dvc_experiments.check_local_files(here)
    assert raised.value.key == "data.source"
    call("git", "add", "images/pets.dvc", cwd=repository)
    call("git", "commit", "--quiet", "--message", "pets", cwd=repository)
    dvc_experiments.check_local_files(here)
    (repository / "images/corrections.csv").touch()
    corrected = {"data": here["data"] | {"corrections": "images/corrections.csv"}}
    with pytest.raises(UserError, match=r"has no images/corrections.csv; `git add images/cor"):
        dvc_experiments.check_local_files(here | corrected)
    call("git", "add", "images/corrections.csv", cwd=repository)
    (repository / "mine.h5").touch()
    with pytest.raises(UserError, match=r"has no mine.h5") as raised:
        dvc_experiments.check_local_files(here | {"backbone": {"weights": "mine.h5"}})
    assert raised.value.key == "backbone.weights"
    call("git", "add", "mine.h5", cwd=repository)
    call("git", "commit", "--quiet", "--message", "weights", cwd=repository)
    dvc_experiments.check_local_files(here | corrected | {"backbone": {"weights": "mine.h5"}})


def test_images_that_a_checkout_would_not_have_are_refused(called, repository):
    draw_images(repository / "images/mine")
    with pytest.raises(UserError, match="has no images/mine"):
        called("-S", "data.source=images/mine", "-S", "head.dropout=0.1,0.2")


def test_changes_elsewhere_in_a_larger_repository_do_not_matter(tmp_path, monkeypatch):
    larger = tmp_path / "larger"
    larger.mkdir()
    (larger / "notes.txt").touch()
    monkeypatch.chdir(make(larger / "thaw", larger=larger))
    (larger / "notes.txt").write_text("more", encoding="utf-8")
    assert sweep_runner.fresh_stages() == {"evaluate"}
    Path("given.csv").write_text("other", encoding="utf-8")
    with pytest.raises(UserError, match=r"^given\.csv has uncommitted changes"):
        sweep_runner.fresh_stages()


def test_a_cache_where_dvc_cannot_queue_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(make(tmp_path / "苹果"))
    here = {"data": {"source": "digits"}, "backbone": {"weights": "imagenet"}}
    with pytest.raises(UserError, match=r"苹果/.dvc/cache.*, as not all letters are ASCII; move"):
        dvc_experiments.check_local_files(here)
    call("dvc", "cache", "dir", "--local", str(tmp_path / "cache"), cwd=tmp_path / "苹果")
    dvc_experiments.check_local_files(here)
