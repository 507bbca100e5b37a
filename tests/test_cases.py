"""What people really have: each shape gives the right images, or a line that a user can act on.

Every case is run as a user runs it: `look`, and what `download` and `split` do. What the values of
12 bits become is in tests/images/.
"""

import functools
import shutil
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from tests import cases
from tests.cases import draw, named_like_their_class, pets, tarred, zipped
from tests.conftest import runtime, set_params
from tests.imports import ROOT
from thaw.data import corrections, duplicates, inspection, splitting, validation, value_range
from thaw.data.settings import Split
from thaw.images.settings import Decoding
from thaw.labels import label_table, layout
from thaw.project import params
from thaw.project.errors import UserError
from thaw.sources import source_folder
from thaw.sources.settings import Data
from tools import look
from tools.serving import inputs

THREE = ("train", "validation", "test")
BOTH = {"cat": 12, "dog": 12}


class Case(NamedTuple):
    """What a source gives: images by class, in these given splits, with these words; or `error`.

    `data` are settings. The words stand in what `look` and `download` print.
    """

    used: dict[str, int] | None = None
    given: dict[str, int] | None = None
    words: tuple[str, ...] = ()
    data: dict | None = None
    error: str = ""


TABLE: dict = {}


def case(*rights: Case):
    def add(make):
        TABLE[make] = rights
        return make

    return add


def way(template: str, used: dict, **more) -> Case:
    return Case(used, data={"layout": template}, **more)


# --- folders whose levels mean something else than CLASS/ or SPLIT/CLASS/


@case(Case({"cats": 20, "dogs": 20}, {"train": 24, "test": 16},
           ("test_set is taken for test, training_set is taken for train",)))  # fmt: skip
def doubled_splits(root):
    draw(root / "training_set/training_set", "cats", "dogs", name="pet.{}.png")
    draw(root / "test_set/test_set", "cats", "dogs", count=8, name="pet.{}.png")


@case(Case({"forest": 20, "sea": 20}, {"train": 24, "test": 16}, (
    '9 image files do not fit "{split}/*/{label}/*", so skipped: seg_pred/seg_pred/0.png and 8 '
    "more beside it", "seg_test is taken for test, seg_train is taken for train")))  # fmt: skip
def prefixed_splits(root):
    draw(root / "seg_train/seg_train", "forest", "sea")
    draw(root / "seg_test/seg_test", "forest", "sea", count=8)
    draw(root, "seg_pred/seg_pred", count=9)


@case(Case({"Katze": 20, "Hund": 20}, {"train": 24, "test": 16},
           ("Testdaten (8) is taken for test, Trainingsdaten (12) is taken",)))  # fmt: skip
def german_splits_with_counts(root):
    draw(root / "a b/v1 (2024)/Trainingsdaten (12)", "Katze", "Hund")
    draw(root / "a b/v1 (2024)/Testdaten (8)", "Katze", "Hund", count=8)


@case(Case(BOTH | {"cat": 20, "dog": 20}, {"train": 24, "validation": 16},
           ("val is taken for validation",)))  # fmt: skip
def class_then_split(root):
    draw(root, "cat/train", "dog/train")
    draw(root, "cat/val", "dog/val", count=8)


@case(
    Case(error="params.yaml [data.layout]: which level names the classes? color, grayscale and "
         "segmented hold the same folders (apple, grape and peach); set this to "
         '"color/{label}/*" for the classes apple, grape and peach, of color alone, or '
         '"{label}/*" for the classes color, grayscale and segmented'),
    way("color/{label}/*", {"apple": 12, "grape": 12, "peach": 12}),
)  # fmt: skip
def variants(root):
    for kind in ("color", "grayscale", "segmented"):
        draw(root / kind, "apple", "grape", "peach")


@case(
    Case(error="params.yaml [data.layout]: each class folder holds folders (images and masks), and "
         'not all may be images to learn from; set this to "{label}/images/*" to use images alone, '
         'or "{label}/*" to use all'),
    way("{label}/images/*", {"COVID": 12, "Normal": 12}, words=("24 image files do not fit",)),
)  # fmt: skip
def images_and_masks(root):
    draw(root, "COVID/images", "COVID/masks", "Normal/images", "Normal/masks")


@case(Case({"pizza": 12, "sushi": 12}, words=("food/meta holds no image, so no class",)))
def images_and_meta(root):
    draw(root / "food/images", "pizza", "sushi")
    (root / "food/meta").mkdir()
    (root / "food/meta/classes.txt").write_text("pizza\nsushi\n")


@case(
    Case(error="params.yaml [data.layout]: the images of val have no labels: val has images, which "
         'train lacks; the classes of train are n01 and n02; set this to "train/{label}/*" to use '
         "train alone and split it anew"),
    way("train/{label}/*", {"n01": 12, "n02": 12}),
)  # fmt: skip
def unlabelled_validation(root):
    draw(root, "train/n01/images", "train/n02/images")
    (root / "train/n01/n01_boxes.txt").write_text("0.png\t0\t0\t9\t9\n")
    draw(root, "val/images", count=8)
    (root / "val/val_annotations.txt").write_text("0.png\tn01\t0\t0\t9\t9\n")


@case(Case(dict.fromkeys(("bus", "car", "train", "truck"), 12),
           words=("train is taken for a class, as the folders beside it are",)))  # fmt: skip
def class_named_train(root):
    draw(root, "bus", "car", "train", "truck")


@case(Case(dict.fromkeys(("dev", "test"), 24), {"train": 24, "validation": 24}))
def classes_named_dev_and_test_in_splits(root):
    draw(root, "train/dev", "train/test", "val/dev", "val/test")


@case(
    Case(error="params.yaml [data.layout]: val has no class 'fox', which train has; set this to "
         '"train/{label}/*" to use train alone and split it anew, or "*/{label}/*" to split all '
         "anew"),
    way("train/{label}/*", BOTH | {"fox": 12}),
    way("*/{label}/*", {"cat": 24, "dog": 24, "fox": 12}),
)  # fmt: skip
def class_in_train_only(root):
    draw(root, "train/cat", "train/dog", "train/fox", "val/cat", "val/dog")


@case(
    Case(error="params.yaml [data.layout]: the images of test have no labels: test has unknown, "
         'which train lacks; the classes of train are cat and dog; set this to "train/{label}/*" '
         "to use train alone and split it anew"),
    way("train/{label}/*", BOTH),
)  # fmt: skip
def unlabelled_test(root):
    draw(root, "train/cat", "train/dog")
    draw(root, "test/unknown", count=9)


@case(Case(BOTH, words=('1 image file does not fit "pets-1.0/{label}/*", so skipped: '
                        "pets-1.0/overview.png",)))  # fmt: skip
def picture_beside(root):
    return zipped(root, [*pets(form="pets-1.0/{}/{}.png"), "pets-1.0/overview.png"])


@case(Case({"cat": 24, "dog": 24}, {"train": 24, "test": 24}, (
    '3 image files do not fit "a/{split}/{label}/*", so skipped: a/train/x0.png and 1 more beside '
    "it; x0.png",)))  # fmt: skip
def pictures_in_a_split_and_beside_a_wrapper(root):
    draw(root / "a", "train/cat", "train/dog", "test/cat", "test/dog")
    draw(root, "a/train", count=2, name="x{}.png")
    draw(root, ".", count=1, name="x{}.png")


# --- labels that are not in folders


@case(
    Case(error="params.yaml [data.layout]: there are no class folders: the images lie in images; "
         "set this to"),
    Case({"cat": 30, "dog": 30}, words=("labels.csv: path from id, label from breed",),
         data={"labels": "labels.csv"}),
)  # fmt: skip
def labels_table(root):
    ids = named_like_their_class(root, "images", sign="_")
    rows = "".join(f"{each},{each[:3]}\n" for each in ids)
    (root / "labels.csv").write_text(f"id,breed\n{rows}")


@case(Case({"benign": 40, "malignant": 40}, {"train": 40, "validation": 20, "test": 20},
           ("meta.csv: path from image, label from class, split from fold, group from patient",),
           {"labels": "meta.csv"}))  # fmt: skip
def labels_table_with_split(root):
    draw(root, "img", count=80)
    rows = ["image;class;fold;patient"]
    for number in range(80):
        part = ("train", "train", "val", "TEST")[number // 2 % 4]
        label = ("benign", "malignant")[number % 2]
        rows.append(f"img/{number}.png;{label};{part};{part} {number // 16}")
    (root / "meta.csv").write_text("\ufeff" + "\r\n".join(rows))


@case(Case(error="class 'cat' has no image left in train: others of their groups are in other "
           "splits; go without the groups or without the source's splits: set data.labels.group or "
           'data.labels.split to "", or leave it out of data.layout',
           data={"labels": "meta.csv"}),
      Case({"cat": 30, "dog": 30}, {"train": 20, "validation": 20, "test": 20},
           ("for scores only: patient",),
           {"labels": {"table": "meta.csv", "group": ""}}))  # fmt: skip
def groups_against_the_split(root):
    ids = named_like_their_class(root, "img")
    parts = [("train", "val", "test")[number // 2 % 3] for number in range(60)]
    rows = [f"{each},{each[:3]},{part},{each[:3]} {number // 6}"
            for number, (each, part) in enumerate(zip(ids, parts))]  # fmt: skip
    (root / "meta.csv").write_text("\n".join(["id,class,fold,patient", *rows]))


@case(Case({"0": 30, "1": 30}, words=("train.txt: path from 1, label from 2",),
           data={"labels": "train.txt"}))  # fmt: skip
def paths_and_numbers(root):
    ids = named_like_their_class(root, "images")
    rows = "".join(f"images/{each}.png {int(each[:3] == 'dog')}\n" for each in ids)
    (root / "train.txt").write_text(rows)


@case(Case({"Cat, tabby": 30, "Dog": 30}, data={"labels": "train/metadata.csv"},
           words=("path from file_name, label from label; for scores only: url",)))  # fmt: skip
def quoted_cells_of_another_machine(root):
    ids = named_like_their_class(root, "train")
    names = {"cat": '"Cat, tabby"', "dog": '"Dog"'}
    rows = [f'"D:\\old\\TRAIN\\{each.upper()}.PNG",{names[each[:3]]},"a ""b"""' for each in ids]
    text = "\r\n".join(["file_name,label,url", *rows, rows[0]])  # twice, and the same
    (root / "train/metadata.csv").write_text(text, "utf-16")


@case(Case(BOTH | {"cat": 30, "dog": 30}, data={"labels": "hot.tsv"},
           words=("hot.tsv: path from image, label from 2 columns",)))  # fmt: skip
def one_hot_columns_of_floats(root):
    ids = named_like_their_class(root, "images")
    hot = {"cat": "1.0\t0.0", "dog": "0.0\t1.0"}
    rows = "".join(f"{each}\t{hot[each[:3]]}\n" for each in ids)
    (root / "hot.tsv").write_text(f"image\tcat\tdog\n{rows}")


@case(
    Case(error="params.yaml [data.layout]: there are no class folders: the images lie in train; "
         'set this to "train/{label}.*.*" for the classes cat and dog'),
    way("train/{label}.*.*", {"cat": 30, "dog": 30}),
)  # fmt: skip
def labels_in_names(root):
    named_like_their_class(root, "train", sign=".")


# --- few images


@case(Case({f"class {number:02}": 10 for number in range(60)}))
def sixty_classes_of_ten(root):
    draw(root, *(f"class {number:02}" for number in range(60)), count=10)


@case(Case(error="class 'rare' has 2 images; at least 3 are needed (1 for train, 1 for validation, "
           "1 for test); add images, or remove the class"))  # fmt: skip
def two_in_a_class(root):
    draw(root, "common", count=40)
    draw(root, "rare", count=2)


@case(Case({"common": 140, "rare": 5}))
def five_in_a_class(root):
    draw(root, "common", count=140)
    draw(root, "rare", count=5)


# --- what systems and tools leave, and how they link


@case(Case(BOTH))
def nas_thumbnails(root):
    draw(root, "cat", "dog")
    draw(root, "cat/@eaDir/0.png", "@eaDir/x.png", "#recycle", "lost+found/x", count=1)
    draw(root, "System Volume Information", "dog/.thumbnails", "$RECYCLE.BIN/S-1", count=1)


@case(Case(BOTH))
def links_into_a_cache(root):
    return cases.link_into_a_cache(root)


@case(Case(error="none of the 24 images is valid: cat/0.png and 23 more (a Git LFS pointer, not "
           "the file; run `git lfs pull` where it is from)"))  # fmt: skip
def lfs_pointers(root):
    for name in pets():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(cases.POINTER.format(0))


@case(
    Case({"cat": 40, "dog": 40}, words=("cat/x.png (a Git LFS pointer, not the file; run `git l",))
)
def a_pointer_among_images(root):
    draw(root, "cat", "dog", count=40)
    (root / "cat/x.png").write_text(cases.POINTER.format(1))


@case(Case({"a": 12, "b": 12}))
def sixteen_bit_pgm(root):
    for name in pets("a", "b", form="{}/{}.pgm"):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        values = cases.RANDOM.integers(0, 65535, (13, 11)).astype(">u2")
        (root / name).write_bytes(b"P5\n11 13\n65535\n" + values.tobytes())


# --- archives


@case(
    Case({"兔子": 12, "老虎": 12, "狗": 12}, words=("are read as Chinese (gbk): 兔子, 狗, 老虎",))
)
def chinese_zip(root):
    return zipped(root, pets("兔子", "老虎", "狗"), "gbk")


@case(Case(error="pets.zip: its names are not in UTF-8, and it does not say in what (they may be "
           "Chinese 狗, 猫 or Chinese (Big5) 僩, 癡 or Korean 뭍, 챔); unpack it by `python -m "
           "zipfile --metadata-encoding gbk -e pets.zip images/pets`"))  # fmt: skip
def chinese_zip_of_two(root):
    return zipped(root, pets("猫", "狗"), "gbk")


@case(
    Case(
        {"고양이": 12, "강아지": 12, "토끼": 12, "호랑이": 12}, words=("as Korean (cp949): 강아지",)
    )
)
def korean_zip(root):
    return zipped(root, pets("고양이", "강아지", "토끼", "호랑이"), "cp949")


@case(Case({"ねこ": 12, "ソース": 12}, words=("names are read as Japanese (cp932): ねこ, ソース",)))
def japanese_zip(root):
    return zipped(root, pets("ねこ", "ソース"), "cp932")


@case(Case({"Möwe": 12, "Größe": 12}, words=("names are read as Western (cp437): Größe, Möwe",)))
def western_zip(root):
    return zipped(root, pets("Möwe", "Größe"), "cp437")


@case(Case(BOTH))
def windows_folder_entries(root):
    return zipped(root, ["pets\\cat\\", "pets\\dog\\", *pets(form="pets\\{}\\{}.png")])


@case(Case(error="all.zip: holds other archives (test1.zip, train.zip) and no classes; unpack it, "
           "and name in data.source the one with the images, or a folder with all"))  # fmt: skip
def zips_in_a_zip(root):
    inner = zipped(root, pets()).read_bytes()
    with cases.zipfile.ZipFile(root / "all.zip", "w") as outer:
        for name in ("train.zip", "test1.zip"):
            outer.writestr(name, inner)
    return root / "all.zip"


@case(Case(error="pets.zip: an HTML page, not an archive; open its address in a browser (there may "
           "be a login, or another address behind a button), and name in data.sour"))  # fmt: skip
def page_instead_of_a_zip(root):
    (root / "pets.zip").write_text("\ufeff\r\n <!DOCTYPE html><title>Sign in</title>")
    return root / "pets.zip"


@case(Case(error="pets.zip.001: a part of a split archive; join the parts first"))
def part_of_a_zip(root):
    zipped(root, pets()).rename(root / "whole")
    (root / "pets.zip.001").write_bytes((root / "whole").read_bytes()[:900])
    return root / "pets.zip.001"


@case(Case(BOTH))
def colon_in_a_name(root):
    draw(root / "run 12:30", "cat", "dog")


@case(Case(BOTH))
def colon_in_a_tar(root):
    return tarred(root, pets(form="run 12:30/{}/{}.png"))


# --- values that mean something else than they seem to


@case(
    Case(
        {"a": 12, "b": 12},
        words=(
            "24 images have 16 bits a value, with values up to 40",
            "these are taken as of 12 bits (images.bits: auto)",
        ),
    )
)
def twelve_bits(root):
    """Nearly black, were they taken for 16 bits."""
    random = np.random.default_rng(0)
    for label, least in (("a", 90), ("b", 2090)):
        (root / label).mkdir(parents=True)
        for number in range(12):
            values = random.integers(least, least + 2000, (40, 44), dtype="uint16")
            values[0, 0] = 4000 + number
            Image.fromarray(values).save(root / label / f"{number}.png")


@case(
    Case(
        {"field": 12, "forest": 12},
        words=("call transparency",),
    )
)
def near_infrared(root):
    random = np.random.default_rng(0)
    for label in ("field", "forest"):
        (root / label).mkdir(parents=True)
        for number in range(12):
            bands = random.integers(0, 255, (40, 44, 4), dtype="uint8")
            Image.fromarray(bands, "RGBA").save(root / label / f"{number}.tif")


@pytest.fixture
def here(tmp_path, monkeypatch) -> Path:
    shutil.copy(ROOT / "params.yaml", tmp_path)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "case").mkdir()
    return tmp_path


def run(data: Data, scratch: Path) -> tuple[pd.DataFrame, pd.Series, str]:
    """Do what the stages download and split do; return the manifest, the split and what is said."""
    scratch.mkdir()
    values = params.read()
    root = source_folder.fetch_source(data, scratch, scratch)
    listing = (
        label_table.find(root, data.labels, data.layout) if data.labels
        else layout.find(root, data.layout)
    )  # fmt: skip
    inspect = functools.partial(inspection.inspect, min_side=8, max_pixels=1_000_000)
    decoding = params.check(Decoding, values, "images")
    valid, invalid = validation.check_alike(listing.found, root, inspect, decoding, runtime())
    valid, invalid = validation.part_contradictions(valid, invalid)
    validation.refuse(listing.found, valid, invalid, data)
    settings = params.check(Split, values, "split")
    split = splitting.assign(valid, duplicates.group(valid, settings.near_duplicates), settings)
    corrected = corrections.apply(valid, None, set())
    counts = validation.counts(valid, invalid, corrected, listing.skipped)
    assert counts["found"] == counts["used"] + counts["quarantined"]
    told = validation.summary(counts, invalid, [value_range.summary(valid, decoding)])
    said = f"{layout.summary(listing)}\n{told}"
    return valid, split, said


@pytest.mark.parametrize(
    ("make", "right"),
    [pytest.param(make, right, id=f"{make.__name__}-{'refused' if right.error else 'used'}{number}")
     for make, rights in TABLE.items() for number, right in enumerate(rights)],
)  # fmt: skip
def test_what_is_right(here, monkeypatch, capsys, make, right):
    source = make(here / "case") or here / "case"
    source = source.relative_to(here).as_posix()
    set_params(here / "params.yaml", {"data": {"source": source, **(right.data or {})}})
    data = params.load(Data, "data")
    if right.error:
        with pytest.raises(UserError) as error:
            run(data, here / "scratch")
        assert str(error.value).removeprefix("case/").startswith(right.error)
        assert "seed" not in str(error.value)
        assert "digest" not in str(error.value)
    else:
        valid, split, said = run(data, here / "scratch")
        said = capsys.readouterr().out + said
        assert valid["label"].value_counts().to_dict() == right.used
        given = valid["given_split"].value_counts().to_dict()
        assert given == (right.given or {"": len(valid)})
        assert (splitting.counts(valid["label"], split)[list(THREE)] > 0).all(axis=None)
        for words in right.words:
            assert words in said


def named_columns(make) -> bool:
    """Whether the last way on needs names of columns, which are for params.yaml alone."""
    return isinstance((TABLE[make][-1].data or {}).get("labels"), dict)


@pytest.mark.parametrize(
    "make", [make for make in TABLE if not named_columns(make)], ids=lambda make: make.__name__
)
def test_look_says_the_same(here, monkeypatch, capsys, make):
    source = (make(here / "case") or here / "case").relative_to(here).as_posix()
    right = TABLE[make][-1]
    data = right.data or {}
    words = ["look", source, "--layout", data.get("layout", "auto")]
    labels = data.get("labels")
    monkeypatch.setattr("sys.argv", [*words, *(["--labels", labels] if labels else [])])
    try:
        look.main()
        said = capsys.readouterr().out
    except UserError as error:
        said = str(error)
    if right.error:
        assert right.error in said
        return
    assert f": {sum(right.used.values()):,} images of {len(right.used)} classes" in said or (
        "pointer" in make.__name__  # counted, and then doubtful
    )
    assert "A RUN WOULD STOP" not in said
    for words in right.words:
        assert words in said


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_windows_list(here, encoding):
    draw(here, "new photos", count=3, name="new {}.png")
    names = [str(here / f"new photos/new {number}.png") for number in range(3)]
    data = "".join(f"{name}\r\n" for name in names).encode(encoding)
    assert inputs.images(["-"], inputs.lines_of(data)) == names
