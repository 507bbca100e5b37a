import pytest

from stages.lib.errors import UserError
from tools import summary


def test_it_names_scores_and_places(finished_run, monkeypatch, capsys):
    monkeypatch.chdir(finished_run)
    summary.main()
    said = capsys.readouterr().out
    for word in ("head ", "fine_tuned ", "gain ", "metrics/figures/", "models/export/model.keras"):
        assert word in said


def test_before_the_first_run(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match="run `make run`"):
        summary.main()
