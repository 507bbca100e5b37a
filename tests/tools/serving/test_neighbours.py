import numpy as np
import pandas as pd
import pytest

from tests.conftest import set_params
from thaw.project import files, paths
from thaw.project.errors import UserError
from tools.serving import neighbours


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


def test_a_training_image_is_nearest_to_itself(colour_features):
    check_nearest_to_itself()


@pytest.mark.slow
def test_features_of_a_run_are_those_of_its_network(after_run):
    check_nearest_to_itself()


def test_only_training_images_are_near_and_mostly_of_the_class(colour_features):
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


def test_what_is_missing_is_named_with_the_command_that_brings_it(colour_features):
    files.remove(paths.FEATURES)
    files.remove(paths.RAW)
    with pytest.raises(UserError) as refused:
        neighbours.load()
    assert str(refused.value) == (
        "data/raw, data/features missing; run `dvc pull data/raw data/features`"
    )


def test_features_of_another_size_are_refused(colour_features):
    set_params(colour_features / "params.yaml", {"backbone": {"image_size": 64}})
    with pytest.raises(UserError, match="data/features was made with image_size 32 and not 64"):
        neighbours.load()
