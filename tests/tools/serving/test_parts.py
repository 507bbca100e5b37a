import os
import subprocess
import sys
import time
from pathlib import Path

import pandas as pd
import pytest

from tests.conftest import runtime
from tests.imports import ROOT
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.project import params
from thaw.project.errors import UserError
from thaw.sources.settings import Data
from tools import predict
from tools.serving import parts
from tools.serving.rows import Notes
from tools.serving.trust import Trust

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


def test_invalid_images_of_any_name_are_counted(tmp_path):
    file = tmp_path / "part.csv"
    file.write_bytes(b"path,error\nodd \xff.jpg,odd \xff.jpg is no image\na.jpg,\n")
    assert parts._errors(file) == 1


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


def test_parts_of_other_settings_are_refused(tmp_path):
    data, decoding = (
        params.load(section, name, ROOT / "params.yaml")
        for section, name in ((Data, "data"), (Decoding, "images"))
    )
    asked = parts.Asked(Notes(["a"], Trust(0.5)), 1, ImageLoader(8, decoding), data, runtime())
    network = FrozenNetwork(8, {}, {"model": "m"}, lambda: None)
    for _ in range(2):
        parts._begin(network, ["a.jpg"], asked, tmp_path)
    stricter = data.model_copy(update={"min_side": data.min_side + 1})
    turned = not decoding.apply_exif_orientation
    decoding = decoding.model_copy(update={"apply_exif_orientation": turned})
    for change in (
        {"data": stricter},
        {"loader": ImageLoader(8, decoding)},
        {"notes": Notes(["a"], Trust(0.6))},
        {"top": 2},
    ):
        with pytest.raises(UserError, match="other options or settings; name a new folder"):
            parts._begin(network, ["a.jpg"], asked._replace(**change), tmp_path)


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
