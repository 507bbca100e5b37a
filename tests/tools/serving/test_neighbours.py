from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from tests.conftest import set_params
from thaw.features import arrays, frozen_backbone, provenance
from thaw.features.frozen_backbone import FrozenNetwork
from thaw.features.settings import Extract
from thaw.images.loader import ImageLoader
from thaw.images.settings import Decoding
from thaw.models.settings import Backbone
from thaw.project import files, params, paths
from thaw.project.errors import UserError
from tools.serving import neighbours

SIDE = 32


def colours(batches: Iterable[np.ndarray]) -> Iterator[dict[str, np.ndarray]]:
    """Stand in for a network: an image's features are its mean colour, seen from the grey."""
    for pixels in batches:
        yield {"avg": pixels.mean(axis=(1, 2), dtype="float32") - 127}


@pytest.fixture
def extracted(split_images, monkeypatch) -> Path:
    """A project whose images are split, with mean colours as features."""
    paths.BACKBONE.parent.mkdir()
    paths.BACKBONE.write_bytes(b"weights")
    decoding = params.load(Decoding, "images")
    pixels = ImageLoader(SIDE, decoding).stack(
        [paths.RAW / path for path in pd.read_csv(paths.MANIFEST)["path"]]
    )
    paths.FEATURES.mkdir()
    np.save(paths.FEATURES / "avg.npy", next(colours([pixels]))["avg"])
    spec, settings = params.load(Backbone, "backbone"), params.load(Extract, "extract")
    of_features = provenance.of_features(spec, decoding, settings, paths.BACKBONE)
    files.write_json(paths.FEATURES / arrays.PROVENANCE_FILE, of_features)
    network = FrozenNetwork(SIDE, {"avg": (3,)}, of_features, lambda: colours)
    monkeypatch.setattr(frozen_backbone, "of_backbone", lambda *_: network)
    return split_images


def check_nearest_to_itself() -> None:
    training = neighbours.load()
    rows = pd.read_csv(paths.SPLIT)
    train = rows[rows["split"] == "train"]
    assert list(training.rows["path"]) == list(train["path"])
    assert len(training.directions) == len(train)
    assert training.directions.dtype == np.float32
    image = paths.RAW / train["path"].iloc[-1]
    found = neighbours.nearest(training, image, 3)
    assert len(found) == 3
    assert found[0].path == image
    assert found[0].label == train["label"].iloc[-1]
    assert found[0].sha256 == files.sha256(image)
    assert found[0].similarity == pytest.approx(1, abs=1e-4)
    similar = [each.similarity for each in found]
    assert similar == sorted(similar, reverse=True)


def test_a_training_image_is_nearest_to_itself(extracted):
    check_nearest_to_itself()


@pytest.mark.slow
def test_features_of_a_run_are_those_of_its_network(after_run):
    check_nearest_to_itself()


def test_only_training_images_are_near_and_mostly_of_the_class(extracted):
    training = neighbours.load()
    rows = pd.read_csv(paths.SPLIT)
    test = rows[rows["split"] == "test"]
    found = [
        each for path in test["path"] for each in neighbours.nearest(training, paths.RAW / path, 1)
    ]
    assert {each.path.relative_to(paths.RAW).as_posix() for each in found} <= set(
        rows.loc[rows["split"] == "train", "path"]
    )
    assert np.mean([each.label for each in found] == test["label"]) > 0.8


def test_what_is_missing_is_named_with_the_command_that_brings_it(extracted):
    files.remove(paths.FEATURES)
    files.remove(paths.RAW)
    with pytest.raises(UserError) as refused:
        neighbours.load()
    assert str(refused.value) == (
        "data/raw, data/features missing; run `dvc pull data/raw data/features`"
    )


def test_features_of_another_size_are_refused(extracted):
    set_params(extracted / "params.yaml", {"backbone": {"image_size": 64}})
    with pytest.raises(UserError, match="data/features was made with image_size 32 and not 64"):
        neighbours.load()


def test_directions_have_length_one_and_zeros_stay():
    values = np.array([[3, 4], [0, 0], [0, -7]], "float32")
    found = neighbours.directions(values)
    assert found == pytest.approx(np.array([[0.6, 0.8], [0, 0], [0, -1]]))
    assert found.dtype == np.float32
