"""fine_tune, calibrate and evaluate with other numbers of cores and of threads, as processes."""

import os
from pathlib import Path

import pytest

from tests import tiny
from tests.conftest import draw_images, run_stage, set_params
from tests.stages.test_killed import run
from tools.experiments import dvc_queue

BEFORE = ("download", "split", "backbone", "extract", "augment", "train_head")
OUTPUTS = (
    "models/fine_tuned.weights.h5",
    "metrics/fine_tune",
    "models/calibration",
    "data/predictions.csv",
)


def outputs(folder: Path) -> dict[str, bytes]:
    paths = [path for each in OUTPUTS for path in [folder / each, *(folder / each).rglob("*")]]
    return {str(path): path.read_bytes() for path in paths if path.is_file()}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [(tiny.NAME, 32), ("EfficientNetLite0", 64)])
def test_no_byte_depends_on_threads_or_cores(project, monkeypatch, name, size):
    """One process is on one core, as a worker of a sweep is."""
    draw_images(project / "images", {"red": 31, "green": 29}, seed=1)
    changes = {"backbone": {"name": name, "image_size": size}, "fine_tune": {"unfreeze": "all"}}
    changes["augmentation"] = {"policy": "mixed"}
    set_params(project / "params.yaml", changes)
    for stage in BEFORE:
        run_stage(stage)
    found = []
    for threads, parts in ((1, 1), (2, os.cpu_count()), (8, 1)):
        monkeypatch.setenv("TF_NUM_INTRAOP_THREADS", str(threads))
        monkeypatch.setenv("OMP_NUM_THREADS", str(threads))
        with dvc_queue._on_cores(0, parts):
            for stage in ("fine_tune", "calibrate", "evaluate"):
                code, said = run(project, stage)
                assert code == 0, said
        found.append(outputs(project))
    assert len(found[0]) >= 8
    assert found[0] == found[1] == found[2]
