"""Whatever writes, killed at each of its fault points and run again."""

import json
import re
import subprocess
import sys

import pytest

from tests.conftest import STAGES
from tests.imports import ROOT


def killed(*arguments: str) -> dict[str, dict]:
    command = [sys.executable, "-m", "tests.killed", *arguments]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert done.returncode == 0
    return json.loads(done.stdout)


def test_library_and_tools_killed_at_each_fault_point_and_run_again():
    found = killed()
    assert {name: each["wrong"] for name, each in found.items()} == {name: [] for name in found}
    passed = {point for each in found.values() for point in each["points"]}
    in_code = {
        re.sub(r"\{.*", "", point)
        for path in (ROOT / "thaw").rglob("*.py")
        for point in re.findall(r'faults\.point\(f?"(.*)"\)', path.read_text(encoding="utf-8"))
    }
    assert len(in_code) == 10
    assert {point for point in in_code if not any(map(re.compile(point).match, passed))} == set()
    assert found["look"]["points"] == [
        f"{when} params.yaml" for when in ("written", "synced", "replaced")
    ]


@pytest.mark.slow
def test_stages_killed_between_their_outputs_and_run_again(finished_run):
    """Each rerun is killed at the next point, but for the last; those that train go on from theirs.

    The outputs are gone before, as DVC deletes them.
    """
    found = killed(str(finished_run))
    assert {name: each["wrong"] for name, each in found.items()} == {name: [] for name in STAGES}
    passed = {stage: " ".join(each["points"]) for stage, each in found.items()}
    assert re.search("train_head-.*metrics.json.*head.weights.h5", passed["train_head"])
    assert re.search("fine_tune-.*metrics.json.*fine_tuned.weights.h5", passed["fine_tune"])
    assert sum(len(each["points"]) for each in found.values()) > 25
