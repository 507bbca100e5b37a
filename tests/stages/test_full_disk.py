"""Stages on a disk that fills up: one line, nothing half-written, and run again all is there.

Each has a disk of its own (tmpfs), which takes the rights of root.
"""

import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.conftest import refusal, run_stage, set_params
from tests.killed import tree
from thaw.export import verification

PLACES = [
    ("download", "data"),
    ("download", "metrics"),
    ("split", "data"),
    ("backbone", "models"),
    ("extract", "data"),
    ("train_head", "models"),
    ("train_head", "metrics"),
    ("fine_tune", "models"),
    ("fine_tune", "data"),
    ("evaluate", "metrics"),
    ("figures", "metrics"),
    ("export", "models"),
]


@contextmanager
def disk(folder: Path, *options: str):
    """Let `folder` and what is in it be a disk of its own."""
    inside = folder.with_name(f"{folder.name}-inside")
    folder.rename(inside)
    folder.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=64m", "tmpfs", folder])
    if mounted.returncode:
        pytest.skip("a disk of one's own takes the rights of root")
    try:
        shutil.copytree(inside, folder, dirs_exist_ok=True)
        shutil.rmtree(inside)
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", folder], check=True)


def fill(folder: Path, left: int) -> Path:
    """Write a file that leaves so many bytes of the disk."""
    ballast = folder / "partial-ballast"
    with open(ballast, "wb") as file:
        os.posix_fallocate(file.fileno(), 0, shutil.disk_usage(folder).free - left)
    return ballast


@pytest.mark.slow
@pytest.mark.parametrize(("stage", "place"), PLACES)
def test_a_full_disk_is_one_line_and_costs_nothing(after_run, tmp_path, monkeypatch, stage, place):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    set_params(after_run / "params.yaml", {"fine_tune": {"cache_activations": "never"}})
    run_stage(stage)
    whole = tree(after_run)
    with disk(after_run / place) as folder:
        ballast = fill(folder, left=0)
        line = refusal(stage)
        assert "No space left" in line or "no space left" in line
        assert tree(after_run) == whole
        assert list(after_run.rglob("partial-*")) == [ballast]
        ballast.unlink()
        trained = list((tmp_path / "cache").rglob("checkpoints/*.npz"))
        assert len(trained) == (stage in ("train_head", "fine_tune") and place == "models")
        run_stage(stage)
        assert tree(after_run) == whole
    assert not list((tmp_path / "cache").rglob("checkpoints/*.npz"))


@pytest.mark.slow
@pytest.mark.parametrize("name", ["keras", "saved_model", "openvino"])
def test_an_export_does_not_blame_the_network_for_a_full_disk(tmp_path, name):
    (tmp_path / "models").mkdir()
    with disk(tmp_path / "models") as folder:
        fill(folder, left=8192)
        with pytest.raises(OSError, match=r"no space left in .*models for"):
            verification.write(model(), ["a"], {}, [name], None, folder / "own/export")


def test_a_full_disk_does_not_kill_what_writes_through_a_memory_map(tmp_path):
    """In a process of its own, as the system ends it with SIGBUS."""
    (tmp_path / "data").mkdir()
    with disk(tmp_path / "data") as folder:
        fill(folder, left=4096)
        code = (
            "from pathlib import Path\nfrom thaw.images.loader import ImageLoader\n"
            "from thaw.project.cli import run\n"
            f"run(lambda: ImageLoader(64, None).to_file([Path('x')] * 3, Path({str(folder)!r})))"
        )
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
        assert done.returncode == 1
        assert done.stderr.startswith("error: [Errno 28] No space left on device")


def test_a_folder_that_can_only_be_read_is_one_line(after_split, tmp_path):
    with disk(Path("data")) as folder:
        before = tree(after_split)
        subprocess.run(["mount", "-o", "remount,ro", folder], check=True)
        assert refusal("split").startswith("error: [Errno 30] Read-only file system: 'data/partial")
        assert tree(after_split) == before
        subprocess.run(["mount", "-o", "remount,rw", folder], check=True)
        run_stage("split")
        assert tree(after_split) == before


@pytest.fixture
def after_split(project):
    for stage in ("download", "split"):
        run_stage(stage)
    return project


def model():
    import keras

    pixels = keras.Input((32, 32, 3))
    wide = keras.layers.Conv2D(2048, 5, strides=27)(pixels)  # 0.6 MB
    return keras.Model(pixels, keras.layers.Dense(2)(keras.layers.Flatten()(wide)))
