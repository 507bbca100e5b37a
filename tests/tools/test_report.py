import json
import re
import shutil

import pytest
from PIL import Image

from stages.lib.errors import UserError
from tests.conftest import draw_pictures, set_params
from tests.small_run import CLASSES, COUNT, leave, make
from tests.test_pipeline import call
from tools import report


@pytest.fixture
def repository(tmp_path, monkeypatch):
    """A repository whose branch main has a run with 5 mistakes of 200, with its pictures."""
    make(tmp_path)
    for name, drawn in zip(CLASSES, ("blue sky", "red")):
        draw_pictures(tmp_path / "data/raw", {drawn: COUNT // 2})
        (tmp_path / "data/raw" / drawn).rename(tmp_path / "data/raw" / name)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def called(monkeypatch, capsys, *arguments: str) -> tuple[int, str, str]:
    """Return the exit code, what was printed and the report."""
    monkeypatch.setattr("sys.argv", ["report", *arguments])
    code = 0
    try:
        report.main()
    except SystemExit as stop:
        code = stop.code
    with open("report/report.md") as file:
        return code, capsys.readouterr().out, file.read()


def test_a_regression_fails_and_shows_the_broken_pictures(repository, monkeypatch, capsys):
    set_params(repository / "params.yaml", {"fine_tune": {"learning_rate": 0.5}})
    leave(repository, 30)
    code, said, text = called(monkeypatch, capsys)
    assert code == 1
    assert said.startswith("fails: test accuracy of fine_tuned -12.5 points on 200 test pictures ")
    assert "0 mended, 25 broken, p = 6e-08 (McNemar); it may fall by 0.5 unless p" in said
    assert f"**{said.splitlines()[0]}**" in text
    assert re.search(r"\| `fine_tune.learning_rate` +\| `0.0003` +\| `0.5` +\|", text)
    assert re.search(r"\| fine_tuned accuracy +\| 0.9750 \(0.94.* \| -0.1250 +\|", text)
    assert "None mended." in text
    assert "25 broken, with what workspace took them for:" in text
    with Image.open("report/broken.png") as sheet:
        assert sheet.width > 800  # two rows of eight
        assert sheet.height > 200
    page = (repository / "report/report.html").read_text()
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == 5
    assert page.count("<table>") == 2
    assert "<strong>fails: " in page


def test_an_equal_run_passes(repository, monkeypatch, capsys):
    code, said, text = called(monkeypatch, capsys)
    assert code == 0
    assert said.startswith("passes: test accuracy of fine_tuned +0.0 points on 200 test pictures")
    assert "No param, no picture and no code of the pipeline." in text


def test_what_chance_explains_passes_and_says_so(repository, monkeypatch, capsys):
    leave(repository, 8)
    code, said, _ = called(monkeypatch, capsys)
    assert code == 0
    assert said.startswith("passes, within chance: test accuracy of fine_tuned -1.5 points")
    assert "p = 0.25 (McNemar); more than 0.5, but chance alone may well do that" in said


def test_mended_pictures_are_shown_with_the_earlier_mistake(repository, monkeypatch, capsys):
    leave(repository, 1, first=3)
    _, said, text = called(monkeypatch, capsys)
    assert "4 mended, 0 broken" in said
    assert "4 mended, with what main took them for:" in text


def test_metrics_in_git_are_enough(repository, monkeypatch, capsys):
    leave(repository, 30)
    shutil.rmtree(repository / ".dvc/cache")
    code, said, text = called(monkeypatch, capsys)
    assert code == 1
    assert re.match(r"fails: .* -12.5 points on 200 and 200 test pictures: p = .* \(Fisher\)", said)
    assert "The predictions of main are out of reach: `dvc pull` or a DVC remote that has" in text
    shutil.rmtree(repository / "data")
    _, _, text = called(monkeypatch, capsys)
    assert "The predictions of main and workspace are out of reach" in text


def test_predictions_come_from_a_remote(repository, monkeypatch, capsys, tmp_path_factory):
    remote = str(tmp_path_factory.mktemp("remote"))
    call("dvc", "remote", "add", "--default", "--local", "there", remote, cwd=repository)
    call("dvc", "push", "--quiet", cwd=repository)
    leave(repository, 6)
    shutil.rmtree(repository / ".dvc/cache")
    _, said, _ = called(monkeypatch, capsys)
    assert "0 mended, 1 broken" in said


def test_pictures_that_are_not_here_are_named(repository, monkeypatch, capsys):
    leave(repository, 6)
    (repository / "data/raw/dog/2.jpg").unlink()
    assert (
        "1 broken: `dog/2.jpg` (`dvc pull` brings the pictures)." in called(monkeypatch, capsys)[2]
    )


def test_counts_of_pictures_that_changed_are_told(repository, monkeypatch, capsys):
    file = repository / "metrics/split.json"
    values = json.loads(file.read_text())
    values["classes"]["NA"]["train"] = 333
    file.write_text(json.dumps(values))
    assert re.search(r"\| train +\| 600 +\| 633 +\|", called(monkeypatch, capsys)[2])


@pytest.mark.parametrize(
    ("spoil", "arguments", "message"),
    [
        (None, ["--against", "mian"], "--against mian: no such branch, tag, commit or experiment"),
        ("metrics/test.json", [], "metrics/test.json is missing; `dvc repro` makes it"),
        ("report.yaml", [], "report.yaml is missing"),
        (None, ["--out", "metrics"], "--out metrics: this is there and no report; name another"),
    ],
)
def test_mistakes_are_one_line(repository, monkeypatch, spoil, arguments, message):
    if spoil:
        (repository / spoil).unlink()
    monkeypatch.setattr("sys.argv", ["report", *arguments])
    with pytest.raises(UserError, match=re.escape(message)) as raised:
        report.main()
    assert "\n" not in str(raised.value)
    assert (repository / "metrics/split.json").exists()


def test_a_revision_without_a_run_is_one_line(repository, monkeypatch):
    call("git", "rm", "--quiet", "--cached", "metrics/test.json", cwd=repository)
    call("git", "commit", "--quiet", "--message", "no scores", cwd=repository)
    monkeypatch.setattr("sys.argv", ["report", "--against", "HEAD"])
    with pytest.raises(
        UserError, match=r"--against HEAD: it has no metrics/test.json; run `dvc rep"
    ):
        report.main()


def test_scores_of_other_params_are_refused(repository, monkeypatch):
    set_params(repository / "params.yaml", {"fine_tune": {"learning_rate": 0.5}})
    monkeypatch.setattr("sys.argv", ["report"])
    with pytest.raises(UserError, match=r"workspace: evaluate was run with another section fine_t"):
        report.main()
    call("git", "commit", "--quiet", "--all", "--message", "not run", cwd=repository)
    monkeypatch.setattr("sys.argv", ["report", "--against", "HEAD"])
    leave(repository, 5)
    with pytest.raises(UserError, match=r"HEAD: evaluate was run .*; run `dvc repro` there"):
        report.main()


def test_predictions_of_another_run_do_not_count(repository, monkeypatch, capsys):
    leave(repository, 30)
    before = (repository / "data/predictions.csv").read_text().splitlines()
    (repository / "data/predictions.csv").unlink()
    (repository / "data/predictions.csv").write_text("\n".join(before[:50]))
    _, said, text = called(monkeypatch, capsys)
    assert "(Fisher)" in said
    assert "The predictions of workspace are out of reach" in text


def test_test_sets_that_do_not_overlap_are_compared_as_a_whole(repository, monkeypatch, capsys):
    leave(repository, 30, ending="png")
    _, said, _ = called(monkeypatch, capsys)
    assert "on 200 and 200 test pictures: p = " in said


def test_against_an_experiment(repository, monkeypatch, capsys):
    call("dvc", "exp", "save", "--name=same", cwd=repository)
    assert called(monkeypatch, capsys, "--against", "same")[0] == 0


def test_a_budget_that_does_not_fit_is_one_line(repository, monkeypatch):
    (repository / "report.yaml").write_text("budget: {model: fine_tuned, max_fal: 0.1, p: 0.05}\n")
    monkeypatch.setattr("sys.argv", ["report"])
    with pytest.raises(
        UserError, match=r"report.yaml \[budget.max_fal\]: unknown key; did you mean"
    ):
        report.main()
