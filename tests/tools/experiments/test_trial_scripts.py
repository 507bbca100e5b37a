import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import set_params
from tests.repository import call, commit, sign
from thaw.project.errors import UserError
from tools import sweep
from tools.experiments import trial_scripts
from tools.experiments.plan import PlannedRun

RATES = ("-S", "train_head.learning_rate=0.1,0.03,0.01", "--until", "train_head")


# DVC 3.67 runs stages again some of whose outputs are in Git; split takes a second.
AGAIN = ["split", "train_head"]


def ran(done: subprocess.CompletedProcess) -> list[str]:
    return re.findall(r"Running stage '(\w+)'", done.stdout)


@pytest.fixture
def pushed(repository, tmp_path):
    """The committed project with a Git remote and a DVC remote, both folders, and pushed there."""
    call("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"), cwd=repository)
    set_params(repository / "params.yaml", {"train_head": {"epochs": 60, "patience": 60}})
    commit(repository, "remote")
    call("git", "clone", "--quiet", "--bare", ".", str(tmp_path / "remote.git"), cwd=repository)
    call("git", "remote", "add", "origin", str(tmp_path / "remote.git"), cwd=repository)
    call("git", "fetch", "--quiet", "origin", cwd=repository)
    return repository


def run_until(script: Path, said: str, environment: dict[str, str]) -> None:
    """Run a script, and kill all that it has started when it prints a line that begins so."""
    process = subprocess.Popen(
        ["sh", script], env=environment, text=True, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, start_new_session=True,
    )  # fmt: skip
    for line in process.stdout:
        if line.startswith(said):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL


@pytest.mark.slow
def test_scripts_rank_as_the_sweep_does_and_a_killed_one_loses_nothing(
    run_tool, pushed, tmp_path, monkeypatch
):
    environment = {
        **os.environ, "THAW_VENV": sys.prefix, "THAW_SWEEP": str(tmp_path / "work"),
        "XDG_CACHE_HOME": str(tmp_path / "cache"),
    }  # fmt: skip
    said = run_tool(sweep, *RATES, "--emit", str(tmp_path / "trials"))
    waves = sorted((tmp_path / "trials").iterdir())
    assert [len(list(wave.iterdir())) for wave in waves] == [1, 2]
    first = next(waves[0].iterdir())

    run_until(first, "epoch 9/", environment)
    assert call("git", "ls-remote", "origin", "refs/exps/*", cwd=pushed) == ""
    again = subprocess.run(["sh", first], env=environment, capture_output=True, text=True)
    assert again.returncode == 0, again.stdout + again.stderr
    assert ran(again) == AGAIN
    assert re.search("an interrupted training goes on after its epoch [1-9]", again.stdout)
    again = subprocess.run(["sh", first], env=environment, capture_output=True, text=True)
    assert again.stdout == f"{first.stem} is done\n"

    [line] = [each for each in said.splitlines() if each.startswith("for wave in ")]
    assert "xargs -0 -n 1 -P 2 sh" in line
    done = subprocess.run(["sh", "-c", line], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert sorted(ran(done)) == sorted(2 * AGAIN)
    assert [path.name for path in (tmp_path / "work").iterdir() if path.is_dir()] == ["cache"]

    here = run_tool(sweep, *RATES, "-j", "2")
    call("git", "clone", "--quiet", str(tmp_path / "remote.git"), "there", cwd=tmp_path)
    sign(tmp_path / "there")
    monkeypatch.chdir(tmp_path / "there")
    call("dvc", "exp", "pull", "--quiet", "--no-cache", "origin", cwd=tmp_path / "there")
    there = run_tool(sweep, *RATES)
    assert "0 of 3 runs to do: no stage; 0.0 minutes" in there
    assert there[there.rindex("    experiment") :] == here[here.rindex("    experiment") :]


def test_a_change_is_what_the_shell_gives_to_dvc(pushed, tmp_path):
    changes = {"data.source": "Tom's $HOME\nrm -rf", "loss.class_weights": {"blue sky": 1.5}}
    trial_scripts.write(
        [PlannedRun("sweep-1", changes, ("fine_tune",), 0)], "evaluate", tmp_path / "a"
    )
    script = (tmp_path / "a/wave-00/sweep-1.sh").read_text(encoding="utf-8")
    [line] = [each for each in script.split("dvc ") if each.startswith("exp run")]
    shown = subprocess.run(
        ["sh", "-c", f"printf '%s\\0' {line[:-1]}"], capture_output=True, text=True
    )
    given = shown.stdout.split("\0")
    assert given[given.index("-S") + 1] == "data.source='Tom\\'s $HOME\nrm -rf'"
    assert given[-2] == "evaluate"
    subprocess.run(["sh", "-n", tmp_path / "a/wave-00/sweep-1.sh"], check=True)


def test_what_other_machines_would_not_find_is_refused(run_tool, repository, tmp_path):
    emitted = (sweep, *RATES, "--emit", str(tmp_path / "trials"))
    with pytest.raises(UserError, match="DVC has no remote that other machines know"):
        run_tool(*emitted)
    call("dvc", "remote", "add", "--default", "store", str(tmp_path / "store"), cwd=repository)
    commit(repository, "remote")
    with pytest.raises(UserError, match="no Git remote has the last commit; `git push`"):
        run_tool(*emitted)
    (tmp_path / "trials").mkdir()
    (tmp_path / "trials/mine").touch()
    with pytest.raises(UserError, match=r"--emit .*trials: something is there; give a new folder"):
        run_tool(*emitted)
