import json
import re
import shutil

import pytest
from PIL import Image

from tests import small_run
from tests.conftest import draw_images, set_params
from tests.repository import call, reproduce
from tests.small_run import CLASSES, COUNT, leave, make
from thaw.project.errors import UserError
from tools import report


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A repository whose branch main has a run with 5 of 200 images misclassified. To be read."""
    folder = make(tmp_path_factory.mktemp("finished"))
    for name, drawn in zip(CLASSES, ("blue sky", "red")):
        draw_images(folder / "data/raw", {drawn: COUNT // 2})
        (folder / "data/raw" / drawn).rename(folder / "data/raw" / name)
    return folder


@pytest.fixture
def repository(finished, tmp_path, monkeypatch):
    """A copy of it, as the current folder."""
    folder = tmp_path / "repository"
    shutil.copytree(finished, folder)
    monkeypatch.chdir(folder)
    return folder


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


def test_a_fall_fails_and_shows_the_regressed_images(repository, monkeypatch, capsys):
    set_params(repository / "params.yaml", {"fine_tune": {"learning_rate": 0.5}})
    leave(repository, 30)
    code, said, text = called(monkeypatch, capsys)
    assert code == 1
    assert said.startswith("fails: test accuracy of fine_tuned -12.5 points on 200 test images ")
    assert "0 fixed, 25 regressed, p = 6e-08 (McNemar); it may fall by 0.5 unless p" in said
    assert f"**{said.splitlines()[0]}**" in text
    assert re.search(r"\| `fine_tune.learning_rate` +\| `0.0003` +\| `0.5` +\|", text)
    assert re.search(r"\| fine_tuned accuracy +\| 0.9750 \(0.94.* \| -0.1250 +\|", text)
    assert "None fixed." in text
    assert "25 regressed, with what workspace took them for:" in text
    with Image.open("report/regressed.png") as sheet:
        assert sheet.width > 800  # two rows of eight
        assert sheet.height > 200
    page = (repository / "report/report.html").read_text()
    assert len(re.findall(r'<img src="data:image/png;base64,', page)) == 5
    assert page.count("<table>") == 2
    assert "<strong>fails: " in page


def test_an_equal_run_passes(repository, monkeypatch, capsys):
    code, said, text = called(monkeypatch, capsys)
    assert code == 0
    assert said.startswith("passes: test accuracy of fine_tuned +0.0 points on 200 test images")
    assert "No param, no image and no code of the pipeline." in text
    assert "yardstick" not in text


def test_a_difference_of_machines_is_said(repository, monkeypatch, capsys):
    other = {"instructions": ["AVX2", "AVX512F", ""], "versions": {"numpy": "2.4.2"}}
    monkeypatch.setattr(small_run, "ENVIRONMENT", small_run.ENVIRONMENT | other)
    leave(repository, 5)
    _, _, text = called(monkeypatch, capsys)
    said = "`instructions with AVX512F; numpy 2.4.1 to 2.4.2`"
    assert f"fine_tune ran elsewhere: {said}. Runs differ" in text


def test_fixed_images_are_shown_with_the_earlier_mistake(repository, monkeypatch, capsys):
    leave(repository, 1, first=3)
    _, said, text = called(monkeypatch, capsys)
    assert "4 fixed, 0 regressed" in said
    assert "4 fixed, with what main took them for:" in text


def test_metrics_in_git_are_enough(repository, monkeypatch, capsys):
    leave(repository, 30)
    shutil.rmtree(repository / ".dvc/cache")
    code, said, text = called(monkeypatch, capsys)
    assert code == 1
    assert re.match(r"fails: .* -12.5 points on 200 and 200 test images: p = .* \(Fisher\)", said)
    assert "The predictions of main are out of reach: `dvc pull` or a DVC remote that has" in text
    shutil.rmtree(repository / "data")
    _, _, text = called(monkeypatch, capsys)
    assert "The predictions of main and workspace are out of reach" in text


def test_a_yardstick_that_moved_is_told(repository, monkeypatch, capsys):
    """By the predictions of both, or by what is in Git; a run of an earlier version tells none."""
    file = repository / "metrics/split.json"
    values = json.loads(file.read_text())
    values["images"]["left_out"], values["relabelled"]["test"] = 1, 2
    file.write_text(json.dumps(values | {"test_set": "another"}))
    given = repository / "given.csv"
    header, _, *lines = given.read_text().splitlines()
    lines[3:5] = [re.sub(r",(dog|NA),", ",cat,", line, count=1) for line in lines[3:5]]
    given.write_text("\n".join([header, *lines, "dog/new.jpg,dog,dog,dog"]) + "\n")
    reproduce(repository)
    _, said, text = called(monkeypatch, capsys)
    sentence = (
        "The yardstick has moved: of the test set, 2 images have another label; 1 images are gone; "
        "1 images are new. Corrections in workspace: 2 relabelled in test, 1 left out. Scores of "
        "the two are not of the same test."
    )
    assert said.splitlines()[1] == sentence
    assert f"**{sentence}**" in text
    shutil.rmtree(repository / "data")
    assert (
        "of the test set, its images or their labels are others. Corr"
        in called(monkeypatch, capsys)[1]
    )
    for key in ("test_set", "relabelled"):
        del values[key]
    file.write_text(json.dumps(values))
    assert "yardstick" not in called(monkeypatch, capsys)[1]


def test_images_that_are_not_here_are_named(repository, monkeypatch, capsys):
    leave(repository, 6)
    (repository / "data/raw/dog/2.jpg").unlink()
    assert (
        "1 regressed: `dog/2.jpg` (`dvc pull` brings the images)." in called(monkeypatch, capsys)[2]
    )


def test_counts_of_images_that_changed_are_told(repository, monkeypatch, capsys):
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


def test_a_budget_that_does_not_fit_is_one_line(repository, monkeypatch):
    (repository / "report.yaml").write_text("budget: {model: fine_tuned, max_fal: 0.1, p: 0.05}\n")
    monkeypatch.setattr("sys.argv", ["report"])
    with pytest.raises(UserError) as raised:
        report.main()
    assert (raised.value.file, raised.value.key) == ("report.yaml", "budget.max_fal")


def test_a_report_of_two_runs_is_not_written(repository, monkeypatch):
    monkeypatch.setattr(report, "compose", lambda *_: leave(repository, 7) or "# of both")
    leave(repository, 30)
    monkeypatch.setattr("sys.argv", ["report"])
    with pytest.raises(UserError, match="a run has replaced outputs while they were read; try"):
        report.main()
    assert not (repository / "report").exists()
