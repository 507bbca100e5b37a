"""Tables of labels as they come with images: their kinds, and what a user reads of wrong ones."""

from collections import Counter

import pytest

from thaw.labels import label_table
from thaw.project.errors import UserError
from thaw.sources.settings import Labels

TWO = {("cat", "", ""): 3, ("dog", "", ""): 3}


def touch(root, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def six(root, form: str = "images/{}.jpg") -> None:
    touch(root, *(form.format(f"{label}{number}") for label in ("cat", "dog") for number in "123"))


def table_of(row: str, header: str = "", end: str = "\n") -> str:
    """One row for each of the six, with its name and label put in."""
    rows = [row.format(f"{label}{number}", label) for number in "123" for label in ("cat", "dog")]
    return end.join([*([header] if header else []), *rows])


def read(root, table: str = "labels.csv", layout: str = "auto", **columns):
    return label_table.find(root, Labels(table=table, **columns), layout)


KINDS = {  # name: (file, bytes)
    "ids": ("labels.csv", table_of("{},{}", "id,breed").encode()),
    "semicolons, BOM, CRLF": ("a.csv", table_of("{}.jpg;{}", "\ufeffimage;class", "\r\n").encode()),
    "tabs": ("a.tsv", table_of("images/{}.jpg\t{}", "file\tlabel").encode()),
    "spaces, no names": ("train.txt", table_of("images/{}.jpg {}").encode()),
    "UTF-16": ("a.txt", table_of("{}.jpg\t{}", "file\tlabel").encode("utf-16")),
    "UTF-16 without BOM": ("a.txt", table_of("{}.jpg\t{}", "file\tlabel").encode("utf-16-le")),
    "absolute paths": ("a.csv", table_of("/pets/images/{}.jpg,{}", "path,label").encode()),
    "another disk": ("a.csv", table_of("D:\\old\\{}.jpg,{}", "path,label").encode()),
    "backslashes": ("a.csv", table_of(".\\images\\{}.jpg,{}", "path,label").encode()),
    "quotes, other columns": ("a.csv", table_of('"{}.jpg",{},"a, b"', "path,label,note").encode()),
    "beside": ("images/metadata.csv", table_of("{}.jpg,{}", "file_name,label").encode()),
    "upper case": ("a.csv", table_of("{}.JPG,{}", "PATH,LABEL").replace("cat1", "Cat1").encode()),
    "a bucket": ("a.csv", table_of("s3://pets/more/{}.jpg,{}", "path,label").encode()),
    "a spreadsheet's separator": ("a.csv", ("sep=;\n" + table_of("{};{}", "id;label")).encode()),
    "remarks": ("a.txt", ("# of pets\n#id label\n" + table_of("{} {}")).encode()),
    "an index": ("a.csv", ("n,file,kind\n" + "\n".join(
        f"{number},{row}" for number, row in enumerate(table_of("{},{}").split("\n")))).encode()),
    "blank lines": ("a.csv", (table_of("{}.jpg,{}", "path,label") + "\n\n\n").encode()),
}  # fmt: skip


@pytest.mark.parametrize("kind", KINDS)
def test_labels_of_each_kind_of_table(tmp_path, kind):
    name, content = KINDS[kind]
    six(tmp_path)
    (tmp_path / name).write_bytes(content)
    found = read(tmp_path, name)
    assert Counter(each[1:] for each in found.found) == TWO
    assert all(each.path.stem.startswith(each.label) for each in found.found)
    assert found.skipped == 1
    assert len(found.notes) == 1


@pytest.mark.parametrize(
    ("files", "content"),
    [
        (["i/001.jpg", "i/010.jpg"], "id,label\n001,a\n010,b\n"),
        (["i/001.jpg", "i/010.jpg"], "id,label\n1,a\n10,b\n"),  # as a spreadsheet leaves it
        (["i/1.jpg", "i/2.jpg"], "id,label\n1.0,a\n2.0,b\n"),  # as pandas leaves it
        (["i/1.jpg", "i/01.jpg", "i/2.jpg"], "id,label\n1,a\n2,b\n"),
        (["i/cafe\u0301.jpg", "i/\u00e9.jpg"], "id,label\ncaf\u00e9,a\ne\u0301,b\n"),
        (["i/A.jpg", "i/a.jpg", "i/b.jpg"], "id,label\nA,a\nb,b\n"),
        (["i/my pet 1.jpg", "i/my pet 2.jpg"], "my pet 1.jpg a\nmy pet 2.jpg b\n"),
        (["i/a.b.1.jpg", "i/a.b.2.jpg"], 'id,label\n"a.b.1","a"\n"a.b.2","b"\n'),
        (["i/#1.jpg", "i/2.jpg"], "#1.jpg a\n2.jpg b\n"),
    ],
)
def test_an_image_is_found_by_what_a_table_made_of_its_name(tmp_path, files, content):
    touch(tmp_path, *files)
    (tmp_path / "labels.csv").write_text(content)
    found = read(tmp_path).found
    assert [(each.path.relative_to(tmp_path).as_posix(), each.label) for each in found] == [
        (files[0], "a"), (files[-1], "b")
    ]  # fmt: skip


def test_an_index_is_not_taken_for_the_images(tmp_path):
    touch(tmp_path, *(f"i/{number}.jpg" for number in range(9)))
    rows = [f"{number},{number * 2 % 9},{'ab'[number % 2]}\n" for number in range(9)]
    for header in (",image_id,label\n", "index,image_id,label\n"):
        (tmp_path / "labels.csv").write_text(header + "".join(rows))
        found = read(tmp_path).found
        assert {each.path.stem: each.label for each in found} == {
            str(number * 2 % 9): "ab"[number % 2] for number in range(9)
        }
    (tmp_path / "labels.csv").write_text("x,y,label\n" + "".join(rows))
    with pytest.raises(UserError, match=r"which column names the images\?; name one of \['x', 'y'"):
        read(tmp_path)
    assert len(read(tmp_path, path="y").found) == 9


def test_a_number_without_its_zeros_counts_only_where_none_has_them(tmp_path):
    touch(tmp_path, *(f"i/{number:03}.jpg" for number in range(9)))
    rows = [f"{number},{number * 2 % 9:03},{'ab'[number % 2]}\n" for number in range(9)]
    (tmp_path / "labels.csv").write_text("x,y,label\n" + "".join(rows))
    assert read(tmp_path).notes == ["labels.csv: path from y, label from label; for scores only: x"]


def test_labels_of_train_are_of_a_folder_for_train(tmp_path):
    six(tmp_path, "train_images/{}.jpg")
    six(tmp_path, "test_images/{}.jpg")
    (tmp_path / "trainLabels.csv").write_text(table_of("{},{},1", "image,level,quality"))
    with pytest.raises(UserError, match="which column holds the labels"):
        read(tmp_path, "trainLabels.csv")
    found = read(tmp_path, "trainLabels.csv", label="level")
    assert {each.path.parent.name for each in found.found} == {"train_images"}
    assert found.notes[0].endswith(": path from image, label from level; for scores only: quality")
    assert found.columns.to_dict("list")["quality"] == ["1"] * 6
    assert sorted(found.columns["path"]) == sorted(
        each.path.relative_to(tmp_path).as_posix() for each in found.found
    )


def test_split_and_group(tmp_path):
    six(tmp_path, "img/{}.png")
    rows = [
        f"img/{label}{number}.png;{label};{fold};p{number}"
        for label in ("cat", "dog")
        for number, fold in zip("123", ("train", "val", "TEST"))
    ]
    (tmp_path / "meta.csv").write_text("\ufeff" + "\r\n".join(["image;class;fold;patient", *rows]))
    found = read(tmp_path, "meta.csv")
    assert [each[1:] for each in found.found[:3]] == [
        ("cat", "train", "p1"),
        ("cat", "validation", "p2"),
        ("cat", "test", "p3"),
    ]
    assert found.notes == [
        "meta.csv: path from image, label from class, split from fold, group from patient"
    ]  # fmt: skip


def test_no_column_may_be_wanted_for_the_group_or_the_split(tmp_path):
    six(tmp_path)
    rows = table_of("{},{},p1,train", "id,label,patient,set")
    (tmp_path / "labels.csv").write_text(rows)
    assert {each[2:] for each in read(tmp_path).found} == {("train", "p1")}
    found = read(tmp_path, group="", split="")
    assert {each[2:] for each in found.found} == {("", "")}
    assert found.notes == [
        "labels.csv: path from id, label from label; for scores only: patient, set"
    ]


def test_one_hot_columns(tmp_path):
    six(tmp_path)
    (tmp_path / "a.csv").write_text("image,cat,dog\n" + table_of("{},1.0,0.0").replace(
        "dog1,1.0,0.0", "dog1,0,1").replace("dog2,1.0,0.0", "dog2,0,1").replace(
        "dog3,1.0,0.0", "dog3,0,1"))  # fmt: skip
    assert Counter(each[1:] for each in read(tmp_path, "a.csv").found) == TWO
    rows = table_of("{},TRUE,").replace("dog1,TRUE,", "dog1,,TRUE").replace(
        "dog2,TRUE,", "dog2,False,true").replace("dog3,TRUE,", "dog3,0,1")  # fmt: skip
    (tmp_path / "b.csv").write_text("image,cat,dog\n" + rows)
    assert Counter(each[1:] for each in read(tmp_path, "b.csv").found) == TWO
    assert len(read(tmp_path, "a.csv", path="image", label=["cat", "dog"]).found) == 6


def test_a_row_without_image_and_an_image_without_row_are_counted(tmp_path):
    six(tmp_path)
    touch(tmp_path, "images/more1.jpg", "images/more2.jpg", "images/bare.jpg")
    (tmp_path / "labels.csv").write_text(table_of("{},{}", "id,breed") + "\nno,cat\nbare,\n")
    found = read(tmp_path)
    assert (len(found.found), found.skipped) == (6, 4)
    assert found.notes == [
        "labels.csv: path from id, label from breed",
        "1 rows of it name no image of the source, such as 'no'",
        "1 rows of it have no label, such as that of images/bare.jpg: skipped",
        "2 images have no row in it, such as images/more1.jpg: skipped",
    ]


def test_train_csv_is_of_the_folder_train_below_a_wrapper(tmp_path):
    six(tmp_path, "pets/train/{}.jpg")
    six(tmp_path, "pets/test/{}.jpg")
    (tmp_path / "pets/train.csv").write_text(table_of("{},{}", "id,label"))
    found = read(tmp_path, "train.csv")
    assert Counter(each[1:] for each in found.found) == TWO
    assert {each.path.parent.name for each in found.found} == {"train"}


def test_a_table_of_groups_leaves_labels_to_the_layout(tmp_path):
    touch(tmp_path, "a/1.png", "a/2.png", "b/3.png")
    (tmp_path / "groups.csv").write_text("group,path\n007,a/2.png\nNA,b/3.png\n")
    found = read(tmp_path, "groups.csv")
    assert [each[1:] for each in found.found] == [
        ("a", "", ""), ("a", "", "007"), ("b", "", "NA")
    ]  # fmt: skip
    assert found.notes[-1] == (
        "1 images have no row in it, such as a/1.png, and no split or group of it"
    )


def test_a_layout_says_which_images_are_looked_at(tmp_path):
    six(tmp_path, "big/{}.jpg")
    six(tmp_path, "small/{}.jpg")
    (tmp_path / "labels.csv").write_text(table_of("{},{}", "id,label"))
    with pytest.raises(
        UserError, match=r"labels.csv: 'cat1' may be big/cat1.jpg or small/cat1.jpg"
    ):
        read(tmp_path)
    assert {each.path.parent.name for each in read(tmp_path, layout="small/*").found} == {"small"}


@pytest.mark.parametrize(
    ("content", "columns", "message"),
    [
        ("", {}, "[data.labels]: labels.csv is empty; name the table that has the labels"),
        (
            "id,label\nnone,cat\n", {},
            "[data.labels]: labels.csv: no row names an image of the source; the first is none, "
            "cat; check data.source and the table's paths",
        ),
        (
            table_of("{},{},1", "id,label,class"), {},
            "[data.labels.label]: labels.csv: which column holds the labels?; name one of "
            "['label', 'class'], or give a list of columns of which one has a 1",
        ),
        (
            table_of("{},{}", "id,label"), {"label": "breed"},
            "[data.labels]: labels.csv has no column 'breed'; it has id, label",
        ),
        (
            table_of("{},{},3", "id,label,fold"), {"split": "fold"},
            "[data.labels]: labels.csv: '3' in column 'fold' names no split; write train, "
            "validation or test, or set data.labels.split to another column",
        ),
        (
            table_of("{},{}", "id,label") + "\ncat1,dog", {},
            "[data.labels]: labels.csv: images/cat1.jpg is there twice, as cat and dog; keep one "
            "row; an image has one class",
        ),
        (
            table_of("{},{}", "id,label") + "\ncat1,cat,3,4", {},
            "[data.labels]: labels.csv: row 7 has 4 cells and not 2; mend that line, or put quotes "
            "around what holds the separator",
        ),
        (
            table_of("{}", "id"), {},
            "[data.labels]: labels.csv has no column that may hold labels; name another table",
        ),
        (
            table_of("{},{}").replace(",cat", "").replace(",dog", ""), {},
            "[data.labels]: labels.csv has no column that may hold labels; name another table",
        ),
        (
            "version https://git-lfs.github.com/spec/v1\n", {},
            "[data.labels]: labels.csv is a Git LFS pointer, not a table; run `git lfs pull` where "
            "it is from",
        ),
        (
            "PK\x03\x04", {},
            "[data.labels]: labels.csv is a zip archive (or .npz, .docx), not a table; save the "
            "table as CSV",
        ),
        (
            table_of("{},cat", "id,label"), {},
            "[data.labels]: 1 classes found in labels.csv (cat), at least 2 are needed",
        ),
    ],
)  # fmt: skip
def test_a_wrong_table_is_named(tmp_path, content, columns, message):
    six(tmp_path)
    (tmp_path / "labels.csv").write_text(content)
    with pytest.raises(UserError) as error:
        read(tmp_path, **columns)
    assert str(error.value).startswith(f"params.yaml {message}")


def test_a_table_that_is_not_there_or_no_text(tmp_path):
    six(tmp_path)
    (tmp_path / "labels.csv").write_bytes(b"id,label\ncat1,\xe9\n")
    with pytest.raises(UserError, match=r"labels.csv is not UTF-8; save it as UTF-8, or as UTF-16"):
        read(tmp_path)
    with pytest.raises(
        UserError, match=r"'no.csv' is not in the source \(it has labels.csv\); give"
    ):
        read(tmp_path, "no.csv")


@pytest.mark.parametrize("layout", ["{split}/*", "{split}/{label}/*"])
def test_a_layout_beside_a_table_gives_the_split(tmp_path, layout):
    form = "{}/pets/{}.jpg" if "label" in layout else "{}/{}.jpg"
    touch(tmp_path, *(form.format(part, name) for part, name in
                      zip(("train", "test"), ("cat1", "dog1"))))  # fmt: skip
    touch(tmp_path, *(form.format("train", name) for name in ("dog2", "dog3")))
    rows = [f"{label}{number},{label}" for label in ("cat", "dog") for number in "123"]
    (tmp_path / "labels.csv").write_text("\n".join(["id,label", *rows]))
    found = read(tmp_path, layout=layout).found
    given = {each.path.stem: each.given for each in found}
    assert given == {"cat1": "train", "dog1": "test", "dog2": "train", "dog3": "train"}
    said = read(tmp_path).notes
    assert any('not taken for the split; set data.layout to "{split}/*"' in each for each in said)


def test_a_table_of_groups_leaves_the_labels_to_the_folders(tmp_path):
    six(tmp_path, "{}.jpg")
    for label in ("cat", "dog"):
        (tmp_path / label).mkdir()
        for path in tmp_path.glob(f"{label}?.jpg"):
            path.rename(tmp_path / label / path.name)
    (tmp_path / "labels.csv").write_text(table_of(",{}.jpg,7,30", ",file,patient,age"))
    assert Counter(each[1:] for each in read(tmp_path).found) == {
        ("cat", "", "7"): 3, ("dog", "", "7"): 3,
    }  # fmt: skip


def test_a_split_for_some_images_only_is_refused(tmp_path):
    touch(
        tmp_path, *(f"{label}/{label}{number}.jpg" for label in ("cat", "dog") for number in "123")
    )
    rows = table_of("{}.jpg,train", "path,split").splitlines()[:-1]
    (tmp_path / "labels.csv").write_text("\n".join(rows))
    with pytest.raises(UserError, match="1 images have no split in labels") as error:
        read(tmp_path)
    assert error.value.key == "data.labels"


def test_a_cell_without_end_is_no_traceback(tmp_path):
    six(tmp_path)
    (tmp_path / "labels.csv").write_text('path,label\ncat1.jpg,"5 inch' + "x" * 140_000)
    with pytest.raises(UserError):
        read(tmp_path)


def test_labels_that_a_spreadsheet_would_compute_are_named(tmp_path):
    six(tmp_path)
    (tmp_path / "labels.csv").write_text(table_of("{}.jpg,={}", "image,label"))
    assert "'=cat' and '=dog' begin as formulas do" in "\n".join(read(tmp_path).notes)
