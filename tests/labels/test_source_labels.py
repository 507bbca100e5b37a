from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.labels.test_samples import pets
from thaw.labels import source_labels
from thaw.project.errors import UserError
from thaw.sources import shards
from thaw.sources.settings import Labels


def labels(root: Path, **columns) -> list[str]:
    settings = SimpleNamespace(labels=Labels(**columns) if columns else None, layout="auto")
    return [each.label for each in source_labels.find(root, settings).found]


def test_the_samples_of_unpacked_shards_alone_are_looked_at(tmp_path):
    root = pets(tmp_path / shards.FOLDER, "a.tar")
    assert labels(root) == labels(root, table="*.tar", label="kind") == ["cat", "dog"]
    root.rename(tmp_path / "pets")
    with pytest.raises(UserError, match=r"data\.layout"):
        labels(tmp_path / "pets")


@pytest.mark.parametrize(
    ("columns", "said"),
    [
        ({"table": "labels.csv"}, "'labels.csv' is no shard, and the labels lie in those"),
        ({"table": "*.parquet", "split": "fold"}, "none for splits or groups"),
        ({"table": "*.parquet", "group": "patient"}, "none for splits or groups"),
        ({"table": "*.tar", "label": ["cat", "dog"]}, "shards have one column for the label"),
    ],
)
def test_what_only_a_table_has_is_refused_of_shards(tmp_path, columns, said):
    with pytest.raises(UserError, match=said):
        labels(pets(tmp_path / shards.FOLDER, "a.tar"), **columns)
