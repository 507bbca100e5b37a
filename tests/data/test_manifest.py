import numpy as np
import pandas as pd
import pytest

from thaw.data import manifest
from thaw.project import files
from thaw.project.errors import UserError


@pytest.fixture
def rows():
    labels = ["NA", "01", "1", "01", "NA", "é"]
    return pd.DataFrame({"path": list("abcdef"), "label": labels, "given_split": "", "group": ""})


def test_labels_stay_text(tmp_path, rows):
    files.write_csv(tmp_path / "manifest.csv", rows)
    read = manifest.read(tmp_path / "manifest.csv")
    assert read["label"].tolist() == ["NA", "01", "1", "01", "NA", "é"]
    assert read["given_split"].tolist() == [""] * 6


def test_class_i_is_the_i_th_name_in_sorted_order(rows):
    assert manifest.classes(rows) == ["01", "1", "NA", "é"]
    indices = manifest.class_indices(rows)
    assert indices.tolist() == [2, 0, 1, 0, 2, 3]
    assert indices.dtype == np.int32


def test_a_split_of_another_manifest_is_refused(tmp_path, rows):
    split = rows[["path", "label"]].assign(split="train")
    files.write_csv(tmp_path / "split.csv", split)
    assert manifest.read_split(tmp_path / "split.csv", rows).tolist() == ["train"] * 6
    for other in (rows.iloc[::-1].reset_index(drop=True), rows.iloc[:5]):
        with pytest.raises(UserError, match="not of this manifest; run `dvc repro split`"):
            manifest.read_split(tmp_path / "split.csv", other)


def test_no_manifest(tmp_path):
    with pytest.raises(UserError, match=r"manifest\.csv is missing; run `dvc repro`"):
        manifest.read(tmp_path / "manifest.csv")


def test_the_first_of_each_class_come_first():
    truth = np.array([0, 0, 0, 2, 2, 1])
    assert manifest.first_of_each_class(truth, 5).tolist() == [0, 5, 3, 1, 4]
    assert len(manifest.first_of_each_class(truth, 99)) == 6


def test_numbers_are_read_as_numbers(tmp_path):
    (tmp_path / "table.csv").write_text("path,label,p(NA)\n7.png,NA,0.125\n")
    table = manifest.read_table(tmp_path / "table.csv", ["p(NA)"])
    assert table.iloc[0].tolist() == ["7.png", "NA", 0.125]
    assert table["p(NA)"].dtype == "float64"


DAMAGED = {
    "nothing": (b"", "No columns to parse"),
    "nulls": (bytes(99), "has no column path"),
    "no text": (b"path,label\n\xff\xfe,x\n", "codec can't decode"),
    "cut": (b'path,label\n"a.png,x\n', "EOF inside string"),
    "another": (b"x,y\n1,2\n", "has no column path"),
    "wide": (b"path,label\n1,2\n3,4,5,6,7\n", "Expected 2 fields"),
}


@pytest.mark.parametrize("name", DAMAGED)
def test_a_damaged_table_is_one_line(tmp_path, name, rows):
    content, message = DAMAGED[name]
    (tmp_path / "x.csv").write_bytes(content)
    for read in (manifest.read, lambda path: manifest.read_split(path, rows)):
        with pytest.raises(
            UserError, match=rf"(?s)x\.csv is damaged \(.*{message}.*run `dvc repro` to"
        ):
            read(tmp_path / "x.csv")


def test_a_manifest_without_an_image_is_refused(tmp_path, rows):
    files.write_csv(tmp_path / "manifest.csv", rows.iloc[:0])
    with pytest.raises(
        UserError, match=r"manifest\.csv is damaged \(it has no image\); remove it, and run"
    ):
        manifest.read(tmp_path / "manifest.csv")
    assert len(manifest.read_table(tmp_path / "manifest.csv")) == 0
