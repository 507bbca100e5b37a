import shutil
import tarfile
from pathlib import Path

import pytest

from tests.conftest import draw_images
from tests.shards import image, samples, write_parquet, write_tar
from tests.sources.test_source_folder import SETTINGS
from thaw.project.errors import UserError
from thaw.sources import bounded_writer, shards, source_folder
from thaw.sources.settings import Data


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def fetched(source: str, **changes) -> Path:
    settings = Data.model_validate({"source": source, **SETTINGS, **changes})
    shutil.rmtree("scratch", ignore_errors=True)
    Path("scratch").mkdir()
    return source_folder.fetch_source(settings, Path("scratch"), Path("downloads"))


def names(folder: Path) -> list[str]:
    return sorted(p.relative_to(folder).as_posix() for p in folder.rglob("*") if p.is_file())


def test_each_shard_goes_into_a_folder_of_its_name():
    write_tar(Path("pets/train/0.tar"), samples(["cat", "dog"]))
    write_tar(Path("pets/val-0.tar.gz"), samples(["dog"]), "w:gz")
    Path("pets/README.md").write_text("two shards", encoding="utf-8")
    root = fetched("pets")
    assert shards.are_in(root)
    assert names(root) == [
        "train/0.tar/000.cls", "train/0.tar/000.png", "train/0.tar/001.cls", "train/0.tar/001.png",
        "val-0.tar.gz/000.cls", "val-0.tar.gz/000.png",
    ]  # fmt: skip
    assert (root / "train/0.tar/001.png").read_bytes() == image(1)


def test_a_single_tar_of_samples_is_a_shard():
    write_tar(Path("pets.tar"), samples(["cat", "dog"]) | {"002.png": image(2)})
    root = fetched("pets.tar")
    assert shards.are_in(root)
    assert "pets.tar/001.cls" in names(root)


@pytest.mark.parametrize("change", [{"layout": "{label}_*"}, {"labels": "train.csv"}])
def test_labels_that_are_asked_of_names_or_a_table_are_not_sought_in_samples(change):
    write_tar(Path("pets.tar"), samples(["cat", "dog"]))
    assert not shards.are_in(fetched("pets.tar", **change))


@pytest.mark.parametrize(
    "members",
    [
        {"cat/0.png": image(0), "cat/0.txt": "a cat", "dog/1.png": image(1), "dog/1.txt": "dog"},
        {"0.png": image(0), "1.png": image(1), "2.png": image(2), "2.cls": "cat"},
    ],
)
def test_other_tars_are_no_shards(members):
    write_tar(Path("pets.tar"), members)
    assert not shards.are_in(fetched("pets.tar"))


def test_archives_beside_class_folders_or_of_single_classes_are_no_shards():
    draw_images(Path("pets"), {"red": 3, "green": 2})
    write_tar(Path("pets/backup.tar"), samples(["cat"]))
    (Path("classes")).mkdir()
    write_tar(Path("classes/cat.tar"), {"0.png": image(0)})
    for folder in ("pets", "classes"):
        assert fetched(folder) == Path(folder)


def test_images_beside_shards_are_named_and_skipped(capsys):
    for name in "ab":
        write_tar(Path(f"pets/{name}.tar"), samples(["cat", "dog"]))
    for name in ("example.png", "cat.png"):
        Path(f"pets/{name}").write_bytes(image(7))
    Path("pets/README.md").write_text("two shards", encoding="utf-8")
    assert len(names(fetched("pets"))) == 8
    said = capsys.readouterr().out
    assert said == "beside shards, so skipped: cat.png and 1 more\n"


def test_the_limits_are_for_all_shards_together(monkeypatch):
    limits = dict(SETTINGS["archive"])
    for name in "ab":
        write_tar(Path(f"pets/{name}.tar"), samples(["cat", "dog", "cat"]))
    assert len(names(fetched("pets", archive=limits | {"max_members": 12}))) == 12
    with pytest.raises(UserError, match=r"^b\.tar: more than 11 files .*archive\.max_members"):
        fetched("pets", archive=limits | {"max_members": 11})
    size = sum(path.stat().st_size for path in Path("scratch").rglob("*") if path.is_file())
    with pytest.raises(UserError, match=r"^b\.tar: over .* GB unpacked"):
        fetched("pets", archive=limits | {"max_gigabytes": size / 1e9})
    monkeypatch.setattr(bounded_writer, "RATIO_FROM", 1)
    for name in "ab":
        blank = {"0.bmp": bytes(500_000), "0.cls": "cat"}
        write_tar(Path(f"blank/{name}.tar.gz"), blank, "w:gz")
    with pytest.raises(UserError, match=r"^a\.tar\.gz: over 100 times its size"):
        fetched("blank")


def test_a_shard_that_is_not_whole_is_named():
    write_tar(Path("pets/0.tar"), samples(["cat", "dog"]))
    write_tar(Path("pets/1.tar"), samples(["cat", "dog"]))
    Path("pets/1.tar").write_bytes(Path("pets/1.tar").read_bytes()[:1700])
    with pytest.raises(UserError, match=r"^1\.tar: damaged archive"):
        fetched("pets")


@pytest.mark.parametrize("ending", ["tar", "parquet"])
def test_a_pointer_is_told_from_a_shard(ending):
    Path("pets").mkdir()
    Path(f"pets/0.{ending}").write_text(
        "version https://git-lfs.github.com/spec/v1\noid sha256:0\n", encoding="utf-8"
    )
    with pytest.raises(UserError, match=rf"^0\.{ending}: a Git LFS pointer.*git lfs pull"):
        fetched("pets")


def test_a_link_that_leads_nowhere_is_named():
    Path("pets").mkdir()
    Path("pets/0.tar").symlink_to("elsewhere.tar")
    with pytest.raises(UserError, match=r"pets/0\.tar: No such file"):
        fetched("pets")


@pytest.mark.parametrize("name", ["../0.png", "/0.png", "a/../../0.png"])
def test_no_member_leaves_the_folder_of_its_shard(name):
    write_tar(Path("pets/0.tar"), samples(["cat"]) | {name: image(1)})
    with pytest.raises(UserError, match=r"^0\.tar: member '.*' would leave the folder"):
        fetched("pets")


def test_a_link_out_of_a_shard_is_refused(tmp_path):
    Path("secret.png").write_bytes(image(3))
    write_tar(Path("pets/0.tar"), samples(["cat"]))
    with tarfile.open("pets/0.tar", "a") as packed:
        link = tarfile.TarInfo("001.png")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path / "secret.png")
        packed.addfile(link)
    with pytest.raises(UserError, match=r"^0\.tar: member '001\.png' is a device or links"):
        fetched("pets")


@pytest.mark.parametrize(
    ("source", "name"),
    [("https://x.org/a/train.tar?download=1", "train.tar"), ("pets/.hidden.tar", "hidden.tar"),
     ("https://x.org/", "shard"), ("a/..", "shard")],
)  # fmt: skip
def test_a_shard_has_the_name_that_its_source_ends_with(source, name):
    assert shards.name_of(source) == name


def test_a_single_parquet_file_is_a_source():
    pytest.importorskip("pyarrow")
    write_parquet(Path("pets.parquet"), ["cat", "dog"])
    root = fetched("pets.parquet")
    assert names(root) == [
        f"pets.parquet/000000{row}{ending}" for row in (0, 1) for ending in (".cls", ".png")
    ]
