import pandas as pd
import pytest

from thaw.data import corrections, validation
from thaw.project.errors import UserError

CLASSES = {"a", "b", "c"}
FILE = "corrections.csv"


def manifest() -> pd.DataFrame:
    """Seven images of three classes; the last two are one image in two formats."""
    labels = ["a", "a", "b", "b", "c", "a", "a"]
    return pd.DataFrame(
        {
            "path": [f"{label}/{row}.jpg" for row, label in enumerate(labels)],
            "label": labels,
            "sha256": [f"{row:064x}" for row in range(7)],
            "pixel_sha256": [f"{min(row, 5):064x}" for row in range(7)],
        }
    )


@pytest.fixture
def corrected(tmp_path, monkeypatch):
    """Return a function that writes a table and applies it."""
    monkeypatch.chdir(tmp_path)

    def apply(*rows: tuple[int, str, str]) -> corrections.Corrected:
        lines = [f"old/{row}.jpg,{row:064X},{label},{decision}" for row, label, decision in rows]
        text = "\n".join(["path,digest,label,decision", *lines])
        (tmp_path / FILE).write_text(text + "\n", encoding="utf-16")  # as a spreadsheet does
        return corrections.apply(manifest(), FILE, CLASSES)

    return apply


def test_content_and_not_the_name_decides(corrected):
    done = corrected((1, "b", "relabel"), (3, "b", "leave_out"), (0, "a", "keep"))
    assert done.manifest["path"].tolist() == [
        "a/0.jpg", "a/1.jpg", "b/2.jpg", "c/4.jpg", "a/5.jpg", "a/6.jpg",
    ]  # fmt: skip
    assert done.manifest["label"].tolist() == ["a", "b", "b", "c", "a", "a"]
    assert done.manifest.index.tolist() == list(range(6))
    assert done.images.to_numpy().tolist() == [["a/1.jpg", "a", "b"], ["b/3.jpg", "b", ""]]
    assert (done.left_out, done.kept, done.notes) == (1, 1, [])


def test_a_copy_in_another_format_follows(corrected):
    """Otherwise both would be under two classes, and so be lost."""
    done = corrected((5, "b", "relabel"))
    assert done.manifest["label"].tolist()[5:] == ["b", "b"]
    used, lost = validation.part_contradictions(
        done.manifest, pd.DataFrame(columns=["path", "label", "reason"])
    )
    assert (len(used), len(lost)) == (7, 0)
    assert len(corrected((6, "", "leave_out")).manifest) == 5


def test_two_classes_of_one_image_can_be_settled(corrected, monkeypatch):
    rows = manifest()
    rows.loc[6, "label"] = "b"
    corrected((6, "a", "relabel"))
    done = corrections.apply(rows, FILE, CLASSES)
    assert done.manifest["label"].tolist()[5:] == ["a", "a"]


def test_a_label_that_is_right_by_now_counts_as_none(corrected):
    done = corrected((2, "b", "relabel"))
    assert (len(done.images), done.manifest["label"].tolist()) == (0, manifest()["label"].tolist())


def test_corrections_of_no_image_are_named_of_many_the_first(corrected):
    done = corrected(*((row, "z", "relabel") for row in range(10, 17)))
    assert done.notes[0] == (
        "no image has the digest 000000000000... of the correction of old/10.jpg"
    )
    assert done.notes[5:] == ["and 2 more corrections of no image"]
    assert done.manifest.equals(manifest())


def test_a_table_that_is_not_there_yet_is_named(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = corrections.apply(manifest(), FILE, CLASSES)
    assert done.notes == [
        "corrections.csv is not there yet (data.corrections), so no label is corrected"
    ]
    assert corrections.apply(manifest(), None, CLASSES).notes == []


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([(1, "d", "relabel")], r"a/1.jpg should become 'd', which is no class of the source; a "),
        ([(4, "", "leave_out")], "the corrections take the last image from class 'c'; take one"),
        ([(4, "b", "relabel")], "the corrections take the last image from class 'c'"),
        ([(1, "a", "kept")], "row 1: 'kept' is none of keep, relabel, leave_out"),
        ([(1, "a", "keep"), (1, "b", "relabel")], "row 2: the digest 0+1 is there twice"),
    ],
)
def test_mistakes_are_one_line(corrected, rows, message):
    with pytest.raises(UserError, match=message) as error:
        corrected(*rows)
    assert error.value.key == "data.corrections"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"corrections.csv is no table of text \("),
        (b"\x89PNG\r\n\xff\xff\xfe", r"corrections.csv is no table of text \("),
        (b"path;digest\n", "has the columns path;digest and not path, digest, label, decision"),
        (b"path,digest,label,decision\na,12,b,keep\n", "row 1: digest '12' is no SHA-256"),
    ],
)
def test_what_is_no_table_of_corrections_is_one_line(tmp_path, content, message):
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match=message) as error:
        corrections.read(tmp_path / FILE)
    assert "\n" not in str(error.value)
