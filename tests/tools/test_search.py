import re
import sys
from functools import partial
from types import SimpleNamespace

import optuna
import pytest

from tests.repository import call
from thaw.project.errors import UserError
from tools import search
from tools.experiments import dvc_experiments, dvc_queue, study, sweep_runner

RATE = "train_head.learning_rate=tag(log,interval(0.0001,0.01))"
HIDDEN = "head.hidden=choice([],[8])"
SMALL = ("-S", RATE, "-S", HIDDEN, "--until", "train_head")


@pytest.fixture
def called(run_tool):
    return partial(run_tool, search)


@pytest.fixture
def ran(monkeypatch) -> dict[str, float]:
    """Let runs end at once, with a loss that the rate decides; return it by experiment."""
    losses: dict[str, float] = {}

    def run(planned, until, jobs, look=None):
        for each in planned:
            losses[each.name] = abs(each.changes["train_head.learning_rate"] - 0.003)

    def best(name, stage):
        return {"accuracy": 1 - losses[name], "loss": losses[name]}

    monkeypatch.setattr(sweep_runner, "run", run)
    monkeypatch.setattr(
        sweep_runner, "ended", lambda names: [name for name in names if name in losses]
    )
    monkeypatch.setattr(dvc_experiments, "states", lambda: dict.fromkeys(losses, "Success"))
    monkeypatch.setattr(dvc_experiments, "best", best)
    monkeypatch.setattr(dvc_experiments, "validation_images", lambda name: 301)
    return losses


@pytest.mark.slow
def test_later_trials_learn_from_earlier_ones(called, ran):
    said = called(*SMALL, "--trials", "25", "-j", "5")
    assert len(ran) == 25
    of = list(ran.values())
    assert sum(of[15:]) < sum(of[:10])
    best = min(ran, key=ran.get)
    assert f"`dvc exp apply {best}` takes the first into the workspace" in said
    assert "25 configurations tried on 301 validation images" in said
    assert "0 of 25 trials were stopped, being worse than the median" in said
    called(*SMALL, "--trials", "25", "-j", "2")
    assert len(ran) == 25
    called(*SMALL, "--trials", "27", "-j", "2")
    assert len(ran) == 27


def test_no_trial_begins_after_the_time_is_up(called, ran):
    assert "0 of 0 trials were stopped" in called(*SMALL, "--minutes", "0")
    assert ran == {}


@pytest.mark.slow
def test_an_interrupted_trial_is_tried_again_with_the_same_values(called, ran, monkeypatch):
    whole = sweep_runner.run
    seen = []

    def interrupted(planned, until, jobs, look=None):
        seen.extend(each.name for each in planned)
        raise KeyboardInterrupt

    monkeypatch.setattr(sweep_runner, "run", interrupted)
    with pytest.raises(KeyboardInterrupt):
        called(*SMALL, "--trials", "3", "-j", "2")
    monkeypatch.setattr(sweep_runner, "run", whole)
    called(*SMALL, "--trials", "3", "-j", "2")
    assert len(seen) == 2
    assert list(ran)[:2] == seen
    assert len(ran) == 3


def test_a_failed_trial_ends_the_search_and_is_named(called, ran, monkeypatch):
    monkeypatch.setattr(sweep_runner, "ended", lambda names: [])
    with pytest.raises(UserError, match=r"search-\w+ failed; see `dvc queue logs search-\w+`"):
        called(*SMALL, "--trials", "5")
    assert len(ran) == 1


def test_what_is_behind_the_median_is_stopped(tmp_path, monkeypatch):
    a_study = optuna.create_study(pruner=optuna.pruners.MedianPruner(n_startup_trials=1))
    earlier = a_study.ask()
    for epoch in range(5):
        earlier.report(0.5, epoch)
    a_study.tell(earlier, 0.5)
    trials = {name: a_study.ask() for name in ("good", "behind", "waiting")}
    for name, losses in {"good": (0.9, 0.4, 0.3), "behind": (0.9, 0.8, 0.7)}.items():
        log = (
            tmp_path
            / name
            / "metrics/partial-train_head-x/train_head/plots/metrics/validation/loss.tsv"
        )
        log.parent.mkdir(parents=True)
        rows = [f"{epoch}\t{loss}" for epoch, loss in enumerate(losses)]
        log.write_text("\n".join(["step\tloss", *rows]) + "\n3\t0.00")  # half a line
    places = {"good": tmp_path / "good", "behind": tmp_path / "behind", "waiting": None}
    stopped_by_dvc = []
    monkeypatch.setattr(dvc_queue, "checkout", lambda opened, name: places[name])
    monkeypatch.setattr(dvc_queue, "stop", lambda opened, name: stopped_by_dvc.append(name))
    look, stopped = study.watcher(trials, "train_head", "loss")
    look(None)
    look(None)
    assert stopped == {"behind"}
    assert stopped_by_dvc == ["behind"]
    values = a_study.trials[trials["good"].number].intermediate_values
    assert values == {0: 0.9, 1: 0.4, 2: 0.3}


def test_what_a_network_scores_before_it_trains_stops_nothing():
    a_study = optuna.create_study(pruner=study.median())
    for _ in range(5):
        earlier = a_study.ask()
        earlier.report(0.5, 0)
        earlier.report(0.5, 1)
        a_study.tell(earlier, 0.5)
    trial = a_study.ask()
    trial.report(2.5, 0)
    assert not trial.should_prune()
    trial.report(2.5, 1)
    assert trial.should_prune()


def test_settings_that_stay_do_not_decide_how_to_rank(called, ran):
    fixed = ("-S", "loss.label_smoothing=0.1", "--trials", "9", "-j", "9")
    said = called(*SMALL, *fixed)
    lines = said.splitlines()
    start = next(number for number, line in enumerate(lines) if "experiment" in line.split()[:1])
    assert lines[start + 1].split()[0] == min(ran, key=ran.get)


@pytest.mark.slow
def test_minutes_alone_are_no_limit_of_trials(called, ran, monkeypatch):
    passing = iter(range(100))
    monkeypatch.setattr(search, "time", SimpleNamespace(monotonic=lambda: 60.0 * next(passing)))
    called(*SMALL, "--minutes", "4", "-j", "7")
    assert len(ran) == 21


def test_a_trial_that_was_removed_is_left_out(called, ran):
    called(*SMALL, "--trials", "4", "-j", "4")
    gone = min(ran, key=ran.get)
    del ran[gone]
    said = called(*SMALL, "--trials", "4").split("    experiment")[1]
    assert gone not in said
    assert "4 configurations tried" in said  # as the choice was among so many


@pytest.mark.slow
def test_a_trial_takes_over_what_earlier_ones_have_ended(called, ran):
    lines = [line for line in called(*SMALL, "--trials", "3").splitlines() if ": " in line]
    stages = [line.rsplit(": ", 1)[1] for line in lines if line.startswith("search-")]
    assert stages == [
        "download, split, backbone, extract, augment, train_head",
        *["train_head"] * 2,
    ]


@pytest.mark.slow
def test_trials_are_experiments_and_one_that_is_behind_is_stopped(called, repository, monkeypatch):
    """The first would train for hours if nobody stopped it; it is behind from its epoch 50 on."""
    pruner = optuna.pruners.ThresholdPruner(upper=0.0, n_warmup_steps=50)
    monkeypatch.setattr(study, "median", lambda: pruner)
    # with this seed the first trial draws one and the second the other
    epochs = ("-S", "train_head.epochs=choice(3,1000000)", "-S", "train_head.patience=1000000")
    said = called(*epochs, "--until", "train_head", "--trials", "2", "--sampler", "random")
    assert "1 of 2 trials were stopped" in said
    names = call("dvc", "exp", "list", "--name-only", cwd=repository).split()
    assert len(names) == 1
    assert call("dvc", "queue", "status", cwd=repository).count("Failed") == 0


@pytest.mark.parametrize(
    ("arguments", "key", "message"),
    [
        (["-S", "head.dropuot=interval(0,0.5)"], "head.dropuot", "unknown key"),
        (["-S", "head.dropout=interval(0,3)"], "head.dropout", "does not fit"),
        (["-S", "split.seed=interval(1,9)"], None, "the scores would be of other images"),
        (["-S", "head.dropout=interval(0,0.5)", "--until", "split"], None, "nothing is scored by "),
        (["-S", "head.dropout=interval(0,0.5)", "--trials", "0"], None, "--trials should be at "),
    ],
)
def test_mistakes_are_one_line(unchanged, monkeypatch, arguments, key, message):
    monkeypatch.chdir(unchanged)
    monkeypatch.setattr("sys.argv", ["search", *arguments])
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        search.main()
    assert raised.value.key == key
    assert "\n" not in str(raised.value)


def test_without_optuna_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    monkeypatch.delitem(sys.modules, "tools.search")
    with pytest.raises(SystemExit, match=r"needs optuna; `make extras`"):
        __import__("tools.search")
