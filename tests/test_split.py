import pandas as pd

from tests.conftest import CLASSES, run_stage


def test_row_i_is_manifest_row_i_and_every_class_is_everywhere(project):
    run_stage("download")
    run_stage("split")
    manifest, split = (pd.read_csv(f"data/{name}.csv") for name in ("manifest", "split"))
    assert list(split.columns) == ["path", "label", "split"]
    assert split[["path", "label"]].equals(manifest[["path", "label"]])
    counts = split.groupby("split")["label"].value_counts().unstack()
    assert counts.sum().to_dict() == CLASSES
    assert set(counts.index) == {"train", "validation", "test"}
    assert (counts > 0).all(axis=None)
