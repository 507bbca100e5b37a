"""What tools find: a repository that runs DVC experiments, and a project with an export."""

import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from tests.conftest import TINY, draw_images, enter_copy, run_stage, set_params
from tests.imports import ROOT
from tests.repository import call, commit, make_repository
from tests.tools import small_model
from thaw.data import manifest
from thaw.features import arrays, frozen_backbone, provenance
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.settings import Extract
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone
from thaw.project import files, params, paths

COLOURS_SIDE = 32  # pixels


@pytest.fixture(scope="session")
def unchanged(tmp_path_factory) -> Path:
    """A committed project that was never run; its images lie elsewhere. Only to be read."""
    folder = tmp_path_factory.mktemp("unchanged")
    repository = make_repository(folder / "repository")
    draw_images(folder / "elsewhere")
    set_params(repository / "params.yaml", {"data": {"source": str(folder / "elsewhere")}})
    (repository / "images/README.md").touch()
    call("git", "add", "--force", "images/README.md", cwd=repository)
    commit(repository, "source")
    return repository


@pytest.fixture
def repository(unchanged, tmp_path, monkeypatch) -> Path:
    """A copy of the committed project, as the current folder."""
    return enter_copy(unchanged, tmp_path / "repository", monkeypatch)


@pytest.fixture
def run_tool(repository, monkeypatch, capfd) -> Callable[..., str]:
    """Run a tool in the repository, with its arguments, and return what it printed."""

    def run(tool: ModuleType, *arguments: str) -> str:
        monkeypatch.setattr("sys.argv", [tool.__name__, *arguments])
        tool.main()
        return capfd.readouterr().out

    return run


@pytest.fixture(scope="session")
def small_export(tmp_path_factory) -> Path:
    """A folder with a small classifier in export/ and room for a store. Only to be read."""
    folder = tmp_path_factory.mktemp("small")
    small_model.export(folder / "export")
    return folder


@pytest.fixture
def exported(small_export, project) -> Path:
    """A project with an export and nothing else; its network is converted once for all tests."""
    shutil.copytree(small_export / "export", paths.EXPORT)
    set_params(project / "params.yaml", {"runtime": {"store": str(small_export / "store")}})
    return project


@pytest.fixture(scope="session")
def split_once(tmp_path_factory) -> Path:
    """A project after the stages download and split. Only to be read."""
    folder = tmp_path_factory.mktemp("split")
    shutil.copy(ROOT / "params.yaml", folder)
    set_params(folder / "params.yaml", TINY)
    draw_images(folder / "images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        run_stage("download")
        run_stage("split")
    return folder


@pytest.fixture
def split_images(split_once, tmp_path, monkeypatch) -> Path:
    """A copy of it, as the current folder."""
    return enter_copy(split_once, tmp_path / "project", monkeypatch)


@pytest.fixture
def extracted(split_images):
    """A project whose images are split, and features that tell their classes apart."""
    truth, random = manifest.class_indices(manifest.read(paths.MANIFEST)), np.random.default_rng(0)
    directions = random.normal(size=(3, 256))[truth]
    features = (directions + random.normal(size=directions.shape)).astype("float32")
    save_features(paths.FEATURES, features, {"backbone": "none"})
    files.write_json(paths.AUGMENTED_COPIES / arrays.PROVENANCE_FILE, {"copies": 0})


def save_features(folder: Path, features: np.ndarray, provenance: dict) -> None:
    """Leave features as the stages do that extract them."""
    folder.mkdir(parents=True, exist_ok=True)
    np.save(folder / "avg.npy", features)
    files.write_json(folder / arrays.PROVENANCE_FILE, provenance)


def colours(batches: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Stand in for a network: an image's features are its mean colour, seen from the grey."""
    for pixels in batches:
        yield {"avg": pixels.mean(axis=(1, 2), dtype="float32") - 127}


@pytest.fixture
def colour_features(split_images, monkeypatch) -> Path:
    """A project whose images are split, with mean colours as features."""
    paths.BACKBONE.parent.mkdir()
    paths.BACKBONE.write_bytes(b"weights")
    decoding = params.load(Decoding, "images")
    pixels = ImageLoader(COLOURS_SIDE, decoding).stack(
        [paths.RAW / path for path in pd.read_csv(paths.MANIFEST)["path"]]
    )
    paths.FEATURES.mkdir()
    np.save(paths.FEATURES / "avg.npy", next(colours([pixels]))["avg"])
    spec, settings = params.load(Backbone, "backbone"), params.load(Extract, "extract")
    of_features = provenance.of_features(spec, decoding, settings, paths.BACKBONE)
    files.write_json(paths.FEATURES / arrays.PROVENANCE_FILE, of_features)
    network = FrozenNetwork(COLOURS_SIDE, {"avg": (3,)}, of_features, lambda: colours)
    monkeypatch.setattr(frozen_backbone, "of_backbone", lambda *_: network)
    return split_images


@pytest.fixture
def answering(colour_features) -> Path:
    """The same with a classifier of the three classes, which takes images of the same size."""
    labels = manifest.classes(manifest.read(paths.MANIFEST))
    small_model.export(paths.EXPORT, labels, side=COLOURS_SIDE)
    return colour_features
