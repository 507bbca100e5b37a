import pandas as pd
import pytest

from stages.lib.errors import UserError
from tests.conftest import CLASSES, run_stage, set_params


def read(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False)


def test_found_is_used_and_quarantined(project, capsys):
    set_params(project / "params.yaml", {"data": {"on_bad": "quarantine"}})
    (project / "pictures/red/page.jpg").write_text("<html>")
    run_stage("download")
    manifest, quarantine = (read(f"data/{name}.csv") for name in ("manifest", "quarantine"))
    assert manifest["label"].value_counts().to_dict() == CLASSES
    assert quarantine["path"].tolist() == ["red/page.jpg"]
    assert "60 pictures found = 59 used + 1 quarantined" in capsys.readouterr().out
    for path in manifest["path"]:
        copy, original = project / "data/raw" / path, project / "pictures" / path
        assert copy.read_bytes() == original.read_bytes()


def test_a_bad_picture_stops_and_is_named(project):
    (project / "pictures/red/page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"1 of 60 pictures are unreadable, the first is red/page"):
        run_stage("download")
    assert not (project / "data/raw").exists()
    assert not (project / "data/manifest.csv").exists()


def test_a_class_without_a_readable_picture_is_named(project):
    set_params(project / "params.yaml", {"data": {"on_bad": "quarantine"}})
    for path in (project / "pictures/red").iterdir():
        path.write_bytes(b"no picture")
    with pytest.raises(UserError, match="class 'red' has no readable picture left"):
        run_stage("download")


def test_twice_gives_the_same_bytes(project):
    files = []
    for _ in range(2):
        run_stage("download")
        files.append((project / "data/manifest.csv").read_bytes())
    assert files[0] == files[1]
