import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.imports import ROOT
from thaw.project.errors import UserError
from tools import predict
from tools.serving import parts

BY_RAY = "--engine", "ray", "--out", "parts"


def test_what_no_part_has_yet_is_missing(tmp_path):
    assert parts.missing(tmp_path, 12) == [slice(0, 12)]
    for first, stop in ((3, 5), (5, 9)):
        (tmp_path / parts.NAME.format(first, stop)).touch()
    assert parts.missing(tmp_path, 12) == [slice(0, 3), slice(9, 12)]
    (tmp_path / parts.NAME.format(9, 12)).touch()
    assert parts.missing(tmp_path, 12) == [slice(0, 3)]
    (tmp_path / parts.NAME.format(0, 3)).touch()
    assert parts.missing(tmp_path, 12) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["images", "--engine", "ray"], "--engine ray and --out FOLDER go together"),
        (["images", "--out", "parts"], "--engine ray and --out FOLDER go together"),
        (["images", *BY_RAY, "--format", "json"], "--engine ray writes CSV"),
        (["https://x/a.jpg", *BY_RAY], "--engine ray takes files"),
        (["images", *BY_RAY], "Ray is not installed; run `make ray`"),
    ],
)
def test_what_does_not_go_together_is_refused(exported, monkeypatch, options, message):
    monkeypatch.setitem(sys.modules, "ray", None)
    monkeypatch.setattr("sys.argv", ["predict", *options])
    with pytest.raises(UserError, match=message):
        predict.main()


def predicting(folder: Path, *more: str) -> list[str]:
    return [sys.executable, "-m", "tools.predict", "images", "text.jpg", *more]


@pytest.mark.slow
def test_predictions_by_parts_go_on_where_they_were_killed(exported, monkeypatch):
    pytest.importorskip("ray", reason="Ray is not installed; `make ray` does that")
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    (exported / "text.jpg").write_text("no image")
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    local = subprocess.run(
        predicting(exported, "--format", "csv", "--top", "2"), env=environment, encoding="utf-8",
        capture_output=True,
    )  # fmt: skip
    shards = "from thaw.project import engine; engine.SHARD = 7; import runpy, sys; "
    run = [sys.executable, "-c", f"{shards} runpy.run_module('tools.predict', run_name='__main__')"]
    command = [*run, *predicting(exported)[3:], "--engine", "ray", "--out", "parts", "--top", "2"]
    process = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, encoding="utf-8")
    while not (found := sorted(Path("parts").glob("part-*.csv"))):
        assert process.poll() is None, process.stderr.read()
        time.sleep(0.01)
    process.kill()
    process.communicate()
    before = {file: file.stat().st_mtime_ns for file in found}
    again = subprocess.run(command, env=environment, capture_output=True, encoding="utf-8")
    assert again.stderr == "error: 1 of 60 images are invalid; fix or remove them\n"
    assert again.stderr == local.stderr
    assert {file: file.stat().st_mtime_ns for file in found} == before
    parts = sorted(Path("parts").glob("part-*.csv"))
    assert len(parts) == 9
    rows = [file.read_text().splitlines() for file in parts]
    assert [lines[0] for lines in rows] == [local.stdout.splitlines()[0]] * 9
    assert [row for lines in rows for row in lines[1:]] == local.stdout.splitlines()[1:]
    assert list(pd.read_csv(parts[-1], keep_default_na=False)["path"])[-1] == "text.jpg"
    other = subprocess.run([*command, "--top", "1"], env=environment, capture_output=True)
    assert b"parts has predictions of other images, another model or other options" in other.stderr
