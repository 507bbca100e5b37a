"""What becomes of images as they come, in the stage as it runs."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from tests import hostile
from tests.conftest import decoding, refusal, set_params
from tests.imports import ROOT
from thaw.images import image_files

SETTINGS = decoding()
MEASURED = (
    "import runpy; runpy.run_module('stages.download', run_name='__main__');"
    "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)


def prepare(folder, source: str) -> None:
    """Write a params.yaml by which all that is invalid is quarantined."""
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    data = {"source": source, "on_invalid": "quarantine", "max_invalid": 1.0}
    set_params(folder / "params.yaml", {"data": data})


def run(folder, source: str) -> subprocess.CompletedProcess:
    """Run download in a process of its own."""
    prepare(folder, source)
    return subprocess.run(
        [sys.executable, "-c", MEASURED], cwd=folder, capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip


TAR = pytest.param("mixed.tar", marks=pytest.mark.slow)


@pytest.fixture(scope="module", params=["mixed", "mixed.zip", TAR])
def outcome(request, tmp_path_factory):
    """Run download on all cases, as a folder and as archives; give its folder and what it said."""
    folder = tmp_path_factory.mktemp("hostile")
    if request.param == "mixed":
        hostile.write(folder / "mixed")
    else:
        hostile.pack(folder / request.param)
    done = run(folder, request.param)
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def table(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False).set_index("path")


@pytest.mark.parametrize("name", hostile.CASES)
def test_each_case_has_its_outcome(outcome, name):
    folder, _ = outcome
    content, expected = hostile.CASES[name]
    used, invalid = table(folder / "data/manifest.csv"), table(folder / "data/quarantine.csv")
    copy = folder / "data/raw" / name
    if callable(content) and not (folder / "mixed").exists():
        expected = hostile.SKIPPED  # archives hold no links and pipes; see below what refuses them
    if isinstance(expected, hostile.Used):
        assert name in used.index, invalid.loc[name, "reason"]
        if not callable(content):
            assert copy.read_bytes() == content
        with image_files.open_file(copy) as image:
            corner = np.asarray(image_files.to_rgb(image, SETTINGS))[2, 2]
        assert np.abs(corner.astype(int) - expected.colour).max() <= 6
    elif isinstance(expected, hostile.Invalid):
        assert re.search(expected.reason, invalid.loc[name, "reason"]), invalid.loc[name, "reason"]
        assert not copy.exists()
    else:
        assert name not in used.index
        assert name not in invalid.index
        assert not copy.exists()


def test_all_are_counted(outcome):
    folder, said = outcome
    cases = [
        expected
        for content, expected in hostile.CASES.values()
        if not callable(content) or (folder / "mixed").exists()
    ]
    good, invalid = (
        sum(isinstance(each, kind) for each in cases) for kind in (hostile.Used, hostile.Invalid)
    )
    assert f"{good + invalid} images found = {good} used + {invalid} quarantined" in said
    assert f"{len(hostile.NONE)} other files skipped" in said
    assert "3 have more frames or pages; the first of each is used" in said
    assert "1 have an EXIF orientation" in said


def test_memory_stays_small(outcome):
    _, said = outcome
    assert int(re.search(r"VmHWM:\s+(\d+) kB", said).group(1)) < 500_000


@pytest.mark.parametrize("name", hostile.MEMBERS)
def test_an_archive_with_a_hostile_member_is_refused(tmp_path, monkeypatch, name):
    member, message = hostile.MEMBERS[name]
    hostile.pack(tmp_path / name, member)
    prepare(tmp_path, name)
    monkeypatch.chdir(tmp_path)
    line = refusal("download")
    assert re.fullmatch(rf"error: {name}: .*; pack it again without", line)
    assert message in line
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(["data", name, "params.yaml"])
    assert list((tmp_path / "data").iterdir()) == []


def test_nothing_of_the_users_is_changed(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    for root in (folder, tmp_path):
        hostile.write(root / "mixed")
    assert run(folder, "mixed").returncode == 0
    for name, (content, _) in hostile.CASES.items():
        if not callable(content):
            assert (folder / "mixed" / name).read_bytes() == content
    names = [sorted(p.name for p in (f / "mixed").rglob("*")) for f in (folder, tmp_path)]
    assert names[0] == names[1]


def test_the_sheet_of_quarantined_images_is_drawn(outcome):
    folder, _ = outcome
    with image_files.open_file(folder / "metrics/download/quarantine.png") as sheet:
        assert sheet.width == 1080
        assert sheet.height > 1500
