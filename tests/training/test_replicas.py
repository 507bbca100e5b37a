import json
import os
import shutil
import subprocess
import sys

import pytest

from tests.imports import ROOT
from tests.two_devices import VARIANTS


@pytest.fixture(scope="module")
def found(finished_run, tmp_path_factory):
    folder = tmp_path_factory.mktemp("two") / "run"
    shutil.copytree(finished_run, folder)
    done = subprocess.run(
        [sys.executable, "-m", "tests.two_devices", folder], cwd=ROOT, capture_output=True,
        text=True, env=os.environ | {"XDG_CACHE_HOME": str(folder / "cache")},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("an interrupted training goes on after its epoch 2") == len(VARIANTS)
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
@pytest.mark.parametrize("variant", VARIANTS)
def test_two_devices_end_where_one_does(found, variant):
    """Batches of 7 and 3 images have parts of several sizes, and dropout its draws."""
    assert found[variant]["weights"] < 1e-5
    assert found[variant]["change"] < 1e-3
    assert found[variant]["log"] < 1e-4
    assert not found[variant]["interrupted"]
