import pytest

from thaw.project.errors import UserError
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
