from pathlib import Path

import pytest

from tests.small_run import make
from tests.tools.revisions.test_outputs import flip_a_bit
from thaw.project.errors import UserError
from tools import verify


def called(monkeypatch, capsys, *arguments: str) -> str:
    monkeypatch.setattr("sys.argv", ["verify", *arguments])
    verify.main()
    return capsys.readouterr().out


def test_outputs_are_right_until_a_bit_flips(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(make(tmp_path))
    said = called(monkeypatch, capsys, "--outputs")
    assert said == "2 outputs have the bytes of dvc.lock, here and in DVC's cache\n"
    flip_a_bit(Path("data/predictions.csv"))
    with pytest.raises(UserError, match=r"^data/predictions.csv does not have the bytes that stag"):
        called(monkeypatch, capsys, "--outputs")


def test_without_a_run_there_is_nothing_to_hold(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(make(tmp_path))
    Path("dvc.lock").unlink()
    with pytest.raises(UserError, match=r"^dvc.lock has no outputs; run `dvc repro` first$"):
        called(monkeypatch, capsys, "--outputs")


def test_one_of_three_is_asked_for(monkeypatch, capsys):
    for arguments in ([], ["--outputs", "--repro"]):
        with pytest.raises(SystemExit):
            called(monkeypatch, capsys, *arguments)
