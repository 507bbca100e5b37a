import json
import sys

import pytest

from benchmarks import all as everything
from tests.imports import ROOT
from tests.repository import call, commit, init_git
from thaw.project.errors import UserError


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """Three benchmarks: one measured before today's code, one on it, one nobody knows when."""
    monkeypatch.chdir(tmp_path)
    init_git(tmp_path)
    (tmp_path / "benchmarks").mkdir()
    (tmp_path / "cats.zip").touch()
    codes = {}
    for version in ("old", "new"):
        (tmp_path / "code.py").write_text(version)
        commit(tmp_path, version)
        codes[version] = call("git", "rev-parse", "--short", "HEAD", cwd=tmp_path).strip()
    for name, of, seconds in (("a", codes["old"], 90), ("b", codes["new"], 7), ("c", None, 5)):
        measured = {"command": f"python -m benchmarks.{name} cats.zip", "commit": of}
        file = tmp_path / f"benchmarks/{name}.json"
        file.write_text(json.dumps({**measured, "seconds": seconds}))
    return tmp_path


@pytest.fixture
def ran(monkeypatch):
    """The commands that are run, in place of running them."""
    commands = []
    whole = everything.subprocess.run

    def run(command, **options):
        if command[0] == "git":
            return whole(command, **options)
        commands.append(command[1:])
        return everything.subprocess.CompletedProcess(command, 0)

    monkeypatch.setattr(everything.subprocess, "run", run)
    monkeypatch.setattr(everything.tables, "main", lambda: None)
    return commands


def test_what_is_older_than_the_code_runs_again_the_shortest_first(
    repository, ran, monkeypatch, capsys
):
    monkeypatch.setattr(sys, "argv", ["all", str(repository)])
    everything.main()
    archive = str(repository / "cats.zip")
    assert ran == [["-m", "benchmarks.c", archive], ["-m", "benchmarks.a", archive]]
    assert capsys.readouterr().out.endswith("nothing is left\n")


def test_none_begins_that_took_longer_than_what_is_left(repository, ran, monkeypatch, capsys):
    monkeypatch.setattr(sys, "argv", ["all", str(repository), "--minutes", "1"])
    everything.main()
    assert [command[1] for command in ran] == ["benchmarks.c"]
    assert "1 left: python -m benchmarks.a cats.zip" in capsys.readouterr().out


def test_an_archive_that_is_missing_is_named_before_anything_runs(repository, ran, monkeypatch):
    (repository / "cats.zip").unlink()
    monkeypatch.setattr(sys, "argv", ["all", str(repository)])
    with pytest.raises(UserError, match=r"cats\.zip is not there, which `python -m benchmarks"):
        everything.main()
    assert ran == []


def test_a_dirty_commit_is_never_current(monkeypatch):
    monkeypatch.chdir(ROOT)
    assert not everything.is_current("HEAD-dirty")
