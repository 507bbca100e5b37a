import re
import subprocess
from pathlib import Path

import pytest
from dvc.exceptions import DvcException

from tests.repository import commit, reproduce
from tests.small_run import make
from thaw.project import files
from thaw.project.errors import UserError
from tools import params
from tools.revisions import dvc_lock


def stage(deps: dict[str, str], outs: dict[str, str], **sections) -> dict:
    return {
        "deps": [{"path": path, "md5": md5} for path, md5 in deps.items()],
        "params": {"params.yaml": sections},
        "outs": [{"path": path, "md5": md5} for path, md5 in outs.items()],
    }


VALUES = {"data": {"source": "a"}, "head": {"dropout": 0.5}, "figures": {"points": 3}}
LOCK = {
    "download": stage({"stages/download.py": "0"}, {"raw": "1"}, data={"source": "a"}),
    "train": stage({"raw": "1"}, {"head": "2"}, head={"dropout": 0.5}),
    "export": stage({"head": "2", "raw": "1"}, {"export": "3"}),
    "figures": stage({"head": "1"}, {"png": "4"}, figures={"points": 4}),
}


def test_a_whole_run_is_as_it_should_be():
    dvc_lock.check("main", LOCK, VALUES, "export", "run it")
    dvc_lock.check("main", {}, VALUES, "export", "run it")


def test_an_experiment_that_ended_earlier_keeps_what_is_not_its_own():
    """Of another dropout, run up to `train`: the export is that of the commit before it."""
    values = VALUES | {"head": {"dropout": 0.1}}
    shorter = LOCK | {"train": stage({"raw": "1"}, {"head": "5"}, head={"dropout": 0.1})}
    dvc_lock.check("main", shorter, values, "train", "run it")
    with pytest.raises(UserError, match=r"^trial: export was run with another head than is there;"):
        dvc_lock.check("trial", shorter, values, "export", "run it")


def test_other_params_than_were_run_are_refused():
    values = VALUES | {"data": {"source": "b"}}
    with pytest.raises(UserError, match=r"^x: download was run with another section data than par"):
        dvc_lock.check("x", LOCK, values, "export", "run it")


def test_what_it_does_not_need_may_be_of_another_run():
    with pytest.raises(UserError, match=r"^main: figures was run with another section figures"):
        dvc_lock.check("main", LOCK, VALUES, "figures", "run it")


@pytest.mark.slow
def test_every_cut_of_a_lock_is_seen_but_for_whole_lines(monkeypatch, tmp_path):
    """DVC, too, takes whole lines for whole; what they lack it finds in its run cache."""
    file = make(tmp_path / "run") / "dvc.lock"
    whole = file.read_text()
    assert list(dvc_lock.read(file)) == ["evaluate"]
    for length in range(len(whole)):
        file.write_text(whole[:length])
        assert dvc_lock._whole(file) is None or whole[length - 1] == "\n", whole[:length]
    file.write_text(whole[: whole.index("    md5:", whole.index("outs:"))])
    assert dvc_lock._whole(file) is None
    file.write_text("<<<<<<< HEAD\n" + whole)
    assert dvc_lock._whole(file) is None


@pytest.mark.parametrize("committed", [True, False])
@pytest.mark.parametrize("length", [0, 12])
def test_the_remedy_of_a_damaged_lock_loses_nothing(tmp_path, monkeypatch, length, committed):
    """Of a run that is not committed, DVC's run cache brings back what it had made."""
    monkeypatch.setattr(dvc_lock, "WRITING", 0.1)
    folder = make(tmp_path / "run")
    monkeypatch.chdir(folder)
    if not committed:
        subprocess.run(["git", "rm", "--quiet", "--cached", "dvc.lock"], check=True)
        commit_all_but_the_lock(folder)
    Path("dvc.yaml").write_text(Path("dvc.yaml").read_text().replace("cmd: ", "cmd: date >> ran; "))
    Path("given.csv").write_text(Path("given.csv").read_text() + "new,dog,dog,dog\n")
    reproduce(folder)
    newest = Path("dvc.lock").read_text()
    Path("dvc.lock").write_text(newest[:length])
    Path("data/predictions.csv").unlink()
    with pytest.raises(DvcException):
        reproduce(folder)
    with pytest.raises(UserError, match=r"dvc\.lock is damaged, as DVC was stopped") as refused:
        params.main()
    [remedy] = re.findall("`(git .*?)`", str(refused.value))
    subprocess.run(remedy, shell=True, check=True)
    reproduce(folder)
    assert Path("dvc.lock").read_text() == newest
    assert Path("data/predictions.csv").read_text() == Path("given.csv").read_text()
    assert len(Path("ran").read_text().splitlines()) == 1


def commit_all_but_the_lock(folder):
    lock = (folder / "dvc.lock").read_text()
    (folder / "dvc.lock").unlink()
    commit(folder, "no lock")
    (folder / "dvc.lock").write_text(lock)


def test_a_lock_that_is_being_written_is_waited_for(tmp_path, monkeypatch):
    file = make(tmp_path / "run") / "dvc.lock"
    whole = file.read_text()
    file.write_text(whole[:50])
    monkeypatch.setattr(dvc_lock.time, "sleep", lambda seconds: file.write_text(whole))
    assert list(dvc_lock.read(file)) == ["evaluate"]


@pytest.mark.parametrize("changed", ["dvc.lock", "data/predictions.csv", None])
def test_what_a_run_replaces_while_it_is_read_is_seen(tmp_path, monkeypatch, changed):
    monkeypatch.chdir(make(tmp_path / "run"))

    def read():
        with dvc_lock.of_one_run():
            if changed:
                text = Path(changed).read_text()
                with files.replacing(Path(changed)) as partial:
                    partial.write_text(text)
            raise OSError("as where a file is missing")

    with pytest.raises(UserError if changed else OSError, match=r"a run has|as where"):
        read()


def test_a_damaged_file_of_dvcs_own_locks_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(dvc_lock, "WRITING", 0.1)
    monkeypatch.chdir(make(tmp_path / "run"))
    params.main()
    Path(".dvc/tmp/rwlock").write_text("")
    with pytest.raises(DvcException):
        reproduce(Path())
    with pytest.raises(UserError, match=r"\.dvc/tmp/rwlock is damaged.*; `rm .dvc/tmp/rwlock`"):
        params.main()
