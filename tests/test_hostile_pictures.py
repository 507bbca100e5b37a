"""What becomes of pictures as they come, in the stage as it runs."""

import re
import subprocess
import sys

import numpy as np
import pandas as pd
import pytest

from stages.lib import pictures
from tests import hostile
from tests.conftest import set_params
from tests.imports import ROOT

SETTINGS = pictures.Pictures(upright=True, background=[255, 255, 255])
MEASURED = (
    "import runpy; runpy.run_module('stages.download', run_name='__main__');"
    "print(next(line for line in open('/proc/self/status') if line.startswith('VmHWM')))"
)


@pytest.fixture(scope="module")
def outcome(tmp_path_factory):
    """Run download on all cases in a process of its own; give its folder and what it said."""
    folder = tmp_path_factory.mktemp("hostile")
    (folder / "params.yaml").write_text((ROOT / "params.yaml").read_text())
    source = {"source": "mixed", "on_bad": "quarantine", "max_bad": 1.0}
    set_params(folder / "params.yaml", {"data": source})
    hostile.write(folder / "mixed")
    done = subprocess.run(
        [sys.executable, "-c", MEASURED], cwd=folder, capture_output=True, text=True, timeout=120,
        env={"PYTHONPATH": str(ROOT), "PATH": ""},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return folder, done.stdout


def table(path):
    return pd.read_csv(path, dtype=str, keep_default_na=False).set_index("path")


def test_there_are_enough_cases():
    assert len(hostile.DAMAGED) + len(hostile.HOSTILE) + len(hostile.ACCEPTED) >= 60


@pytest.mark.parametrize("name", hostile.CASES)
def test_each_case_has_its_outcome(outcome, name):
    folder, _ = outcome
    _, expected = hostile.CASES[name]
    used, bad = table(folder / "data/manifest.csv"), table(folder / "data/quarantine.csv")
    copy = folder / "data/raw" / name
    if isinstance(expected, hostile.Used):
        assert name in used.index, bad.loc[name, "reason"]
        assert copy.read_bytes() == (folder / "mixed" / name).read_bytes()
        with pictures.open_file(copy) as picture:
            corner = np.asarray(pictures.to_rgb(picture, SETTINGS))[2, 2]
        assert np.abs(corner.astype(int) - expected.colour).max() <= 6
    elif isinstance(expected, hostile.Bad):
        assert re.search(expected.reason, bad.loc[name, "reason"]), bad.loc[name, "reason"]
        assert not copy.exists()
    else:
        assert name not in used.index
        assert name not in bad.index
        assert not copy.exists()


def test_all_are_counted(outcome):
    _, said = outcome
    bad = len(hostile.DAMAGED) + len(hostile.HOSTILE)
    good = len(hostile.ACCEPTED)
    assert f"{good + bad} pictures found = {good} used + {bad} quarantined" in said
    assert f"{len(hostile.NONE)} other files skipped" in said
    assert "3 have more frames or pages; the first of each is used" in said
    assert "1 have an EXIF orientation" in said


def test_memory_stays_small(outcome):
    _, said = outcome
    assert int(re.search(r"VmHWM:\s+(\d+) kB", said).group(1)) < 500_000


def test_nothing_of_the_users_is_changed(outcome, tmp_path):
    folder, _ = outcome
    hostile.write(tmp_path / "mixed")
    for name, (content, _) in hostile.CASES.items():
        if not callable(content):
            assert (folder / "mixed" / name).read_bytes() == content
    names = [sorted(p.name for p in (f / "mixed").rglob("*")) for f in (folder, tmp_path)]
    assert names[0] == names[1]


def test_the_sheet_of_quarantined_pictures_is_drawn(outcome):
    folder, _ = outcome
    with pictures.open_file(folder / "metrics/download/quarantine.png") as sheet:
        assert sheet.width == 1080
        assert sheet.height > 1500
