"""Shared set-up: generated images, a project in a temporary folder, and stages run in it."""

import importlib
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from tests import tiny
from tests.imports import ROOT
from thaw.images.settings import Decoding
from thaw.models.settings import Head, Regularization
from thaw.project import cli
from thaw.project.settings import Runtime

STAGES = (
    "download",
    "split",
    "backbone",
    "extract",
    "augment",
    "train_head",
    "fine_tune",
    "calibrate",
    "evaluate",
    "figures",
    "export",
)
# three classes, odd counts; colours that a small network tells apart
CLASSES = {"blue sky": 23, "green": 17, "red": 19}
COLOURS = {"blue sky": (40, 60, 200), "green": (40, 180, 60), "red": (210, 50, 40)}
PLAIN_ADAM = {  # the step of train_head and fine_tune, without anything more
    "optimizer": "adam",
    "schedule": "constant",
    "warmup": 0.0,
    "weight_decay": 0.0,
    "global_clipnorm": None,
    "averaging": 0.0,
}
TINY = {
    "data": {"source": "images"},
    "split": {"validation": 0.3, "test": 0.3},
    "backbone": {"name": tiny.NAME, "weights": None, "image_size": 32},
    "train_head": {"epochs": 3, "batch_size": 7, "learning_rate": 0.2},
    "augmentation": {"flip": "horizontal"},
    "fine_tune": {"epochs": 2, "batch_size": 7, "unfreeze": 5},
    "export": {"formats": []},  # but for tests of the others
    "figures": {"images": 5},
    "runtime": {"batch_size": 8, "store": None},
}

tiny.register()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the tools, whose tests take longest, so that no core waits for them at the end."""
    items.sort(key=lambda item: "tests/tools/" not in item.nodeid)


def draw_images(folder: Path, classes: dict[str, int] = CLASSES, seed: int = 0) -> None:
    """Write noisy one-colour JPEG images of odd sizes into CLASS/NUMBER.jpg."""
    random = np.random.default_rng(seed)
    for label, count in classes.items():
        (folder / label).mkdir(parents=True, exist_ok=True)
        for number in range(count):
            shape = (31 + number % 5, 37 + number % 3, 3)
            pixels = random.normal(COLOURS[label], 30, shape).clip(0, 255).astype("uint8")
            Image.fromarray(pixels).save(folder / label / f"{number}.jpg")


def set_params(path: Path, changes: dict[str, dict]) -> None:
    """Change keys of a params.yaml: {section: {key: value}}."""
    yaml = YAML()
    params = yaml.load(path)
    for section, values in changes.items():
        params[section].update(values)
    yaml.dump(params, path)


def run_stage(name: str) -> None:
    """Run a stage's main in this process, in the current folder, with Keras' names begun anew."""
    main_of(name)()


def main_of(name: str) -> Callable[[], None]:
    if name not in ("download", "split"):
        import thaw.models.tf_setup  # noqa: F401  so that `register` finds Keras
    stage = importlib.import_module(f"stages.{name}")
    tiny.register()
    if "keras" in sys.modules:
        sys.modules["keras"].utils.clear_session()
    return stage.main


def refusal(name: str) -> str:
    """Run a stage that must refuse; return the line that its user reads."""
    with pytest.raises(SystemExit) as stop:
        cli.run(main_of(name))
    line = stop.value.code  # a text: Python prints it and exits with 1
    assert isinstance(line, str)
    assert "\n" not in line
    assert line.startswith("error: ")
    return line


def runtime(**changes) -> Runtime:
    """Two threads, no store and this process alone, but for `changes`."""
    values = {
        "workers": 2, "devices": 1, "engine": "local", "shared_folder": False, "batch_size": 8,
        "store": None, "store_gigabytes": 1.0,
    }  # fmt: skip
    return Runtime(**values | changes)


def head_spec(**changes):
    """A linear head on averaged features without anything more, but for `changes`."""

    factors = ("kernel_l1", "kernel_l2", "activity_l1", "activity_l2")
    values = {"pooling": "avg", "hidden": [], "dropout": 0.0, "batch_normalization": False}
    values |= {"start": "random"}
    values |= {"regularization": Regularization(**dict.fromkeys(factors, 0.0))}
    return Head(**values | changes)


def decoding(**changes) -> Decoding:
    """Upright, on white and squeezed to a square, but for `changes`."""
    values = {"apply_exif_orientation": True, "background": [255, 255, 255], "bits": "auto"}
    return Decoding(**values | {"fit": "stretch", "reducing_gap": None} | changes)


@pytest.fixture(scope="session", autouse=True)
def no_cache_of_the_users(tmp_path_factory):
    """Let no test, and no process that it starts, find or leave anything in the user's caches."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture
def project(tmp_path, monkeypatch) -> Path:
    """An empty project: the current folder, with tiny params and images in `images/`."""
    shutil.copy(ROOT / "params.yaml", tmp_path)
    set_params(tmp_path / "params.yaml", TINY)
    draw_images(tmp_path / "images")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture(scope="session")
def finished_run(tmp_path_factory) -> Path:
    """A project after all stages, run in order. Only to be read."""
    folder = tmp_path_factory.mktemp("finished")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        shutil.copy(ROOT / "params.yaml", folder)
        set_params(folder / "params.yaml", TINY)
        draw_images(folder / "images")
        for name in STAGES:
            run_stage(name)
    return folder


def enter_copy(made: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Copy what was made once for many tests to `folder`, and make that the current one."""
    shutil.copytree(made, folder)
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def after_run(finished_run, tmp_path, monkeypatch) -> Path:
    """A copy of the finished project, as the current folder, to change and to run stages in."""
    return enter_copy(finished_run, tmp_path / "copy", monkeypatch)
