import gzip
import io
import re
import shutil
import subprocess
import sys
import tarfile
import tracemalloc
import zipfile
from pathlib import Path
from random import Random

import pytest

from thaw.project.errors import UserError
from thaw.sources import archive, bounded_writer
from thaw.sources.settings import ArchiveLimits

LIMITS = ArchiveLimits(max_gigabytes=0.1, max_ratio=50.0, max_members=20)


def unpack(path: Path, folder: Path) -> str:
    return archive.unpack(path, folder, LIMITS, path.name)


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_every_compression(tmp_path, mode):
    (tmp_path / "x.png").write_bytes(b"pixels")
    with tarfile.open(tmp_path / "archive", mode) as file:
        file.add(tmp_path / "x.png", "cats/x y.png")
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "archive", tmp_path / "out")
    assert (tmp_path / "out/cats/x y.png").read_bytes() == b"pixels"


MEMBER = 512 + 1024  # bytes of a tar's member of 700


@pytest.mark.parametrize(
    "damaged",
    [
        lambda packed: packed[:MEMBER] + b"?" + packed[MEMBER + 1 :],  # the second's header
        lambda packed: packed[:MEMBER] + bytes(512) + packed[MEMBER + 512 :],
        lambda packed: packed[: MEMBER + 100],
        lambda packed: packed[:MEMBER],
        lambda packed: packed + packed,
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_tar_that_may_have_more_members_is_refused(tmp_path, damaged, pack):
    """Where tarfile takes what it cannot read for the archive's end."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as file:
        for name in ("0.png", "1.png"):
            member = tarfile.TarInfo(name)
            member.size = 700
            file.addfile(member, io.BytesIO(b"x" * 700))
    (tmp_path / "a.tar").write_bytes(pack(damaged(buffer.getvalue())))
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"^a\.tar: damaged archive: .* (after|bytes).*; fetch it"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("kind", ["ZIP_STORED", "ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA"])
def test_zip_of_every_compression(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "archive", "w", getattr(zipfile, kind)) as file:
        file.writestr("cats/é.png", b"pixels" * 99)
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "archive", tmp_path / "out")
    assert (tmp_path / "out/cats/é.png").read_bytes() == b"pixels" * 99


@pytest.mark.parametrize("name", ["../x", "cats/../../x", "/tmp/x", "..\\x", "C:\\x", "C:x"])
def test_a_zip_member_that_would_leave_is_named(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(zipfile.ZipInfo(name), b"")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.zip: member .*x' would leave the folder"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] in (["a.zip", "out"], ["out", "a.zip"])


def test_an_encrypted_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("cats/x.png", b"pixels")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match="is encrypted; unpack it first"):
        unpack(tmp_path / "a.zip", tmp_path)


@pytest.mark.parametrize(
    ("name", "kind", "target"),
    [
        ("../x", tarfile.REGTYPE, ""),
        ("link", tarfile.SYMTYPE, "../../x"),
        ("link", tarfile.LNKTYPE, "/etc/hostname"),
        ("device", tarfile.CHRTYPE, ""),
    ],
)
def test_a_tar_member_that_would_leave_is_named(tmp_path, name, kind, target):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        file.addfile(member, io.BytesIO())
    (tmp_path / "out").mkdir()
    with pytest.raises(
        UserError, match=rf"a\.tar: member '{name}' (would leave|is a device or links)"
    ):
        unpack(tmp_path / "a.tar", tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_link_inside_a_tar_becomes_a_copy(tmp_path):
    with tarfile.open(tmp_path / "a.tar", "w") as file:
        member = tarfile.TarInfo("cats/x.png")
        member.size = 6
        file.addfile(member, io.BytesIO(b"pixels"))
        for name, kind, target in [
            ("cats/y.png", tarfile.SYMTYPE, "x.png"),
            ("dogs/z.png", tarfile.LNKTYPE, "cats/x.png"),
        ]:
            link = tarfile.TarInfo(name)
            link.type, link.linkname = kind, target
            file.addfile(link)
    unpack(tmp_path / "a.tar", tmp_path)
    for name in ("cats/y.png", "dogs/z.png"):
        assert not (tmp_path / name).is_symlink()
        assert (tmp_path / name).read_bytes() == b"pixels"


@pytest.mark.parametrize("kind", ["zip", "gztar", "bztar", "xztar"])
def test_flipped_bytes_never_give_a_traceback(tmp_path, kind):
    (tmp_path / "in/cats").mkdir(parents=True)
    random = Random(0)
    (tmp_path / "in/cats/x.png").write_bytes(random.randbytes(500) * 20)
    whole = Path(shutil.make_archive(str(tmp_path / "a"), kind, tmp_path / "in"))
    data = whole.read_bytes()
    refused = 0
    for number in range(40):
        invalid = bytearray(data)
        invalid[random.randrange(len(invalid))] ^= 1 << random.randrange(8)
        whole.write_bytes(invalid)
        (tmp_path / f"out{number}").mkdir()
        try:
            unpack(whole, tmp_path / f"out{number}")
        except UserError:
            refused += 1
    assert refused > 5


def test_a_cut_archive_is_named(tmp_path):
    write_tar(tmp_path / "a.tgz", {"x": bytes(range(250)) * 200})
    data = (tmp_path / "a.tgz").read_bytes()
    (tmp_path / "a.tgz").write_bytes(data[: len(data) // 2])
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.tgz: damaged archive"):
        unpack(tmp_path / "a.tgz", tmp_path / "out")


def write_tar(path: Path, members: dict[str, bytes], mode: str = "w:gz") -> None:
    with tarfile.open(path, mode) as file:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))


@pytest.mark.parametrize("kind", ["zip", "tar"])
@pytest.mark.parametrize(
    ("members", "message"),
    [
        (
            {"/".join("abcdefghijk"): b"", "/".join("zyxwvutsrq"): b""},
            "more than 20 files and folders",
        ),
        (
            {str(i): b"" for i in range(21)},
            "more than 20 files and folders, .* raise data.archive.max_mem",
        ),
        ({"blank.bmp": bytes(70_000_000)}, "over 50 times its size unpacked, .*archive.max_ratio"),
        ({str(i): bytes(60_000_000) for i in "ab"}, "over 0.1 GB unpacked, .*archive.max_gigabyt"),
    ],
)
def test_a_bomb_is_refused(tmp_path, monkeypatch, kind, members, message):
    if "GB" in message:
        monkeypatch.setattr(bounded_writer, "RATIO_FROM", 1 << 40)
    if kind == "zip":
        with zipfile.ZipFile(tmp_path / "bomb", "w", zipfile.ZIP_DEFLATED) as file:
            for name, content in members.items():
                file.writestr(name, content)
    else:
        write_tar(tmp_path / "bomb", members)
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=f"^bomb: {message}"):
        unpack(tmp_path / "bomb", tmp_path / "out")
    written = sum(path.stat().st_size for path in (tmp_path / "out").iterdir())
    assert written <= 100_000_000


def test_blank_images_may_be_packed_tightly(tmp_path):
    write_tar(tmp_path / "blank", {"a.bmp": bytes(3_000_000)})
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "blank", tmp_path / "out")
    assert (tmp_path / "out/a.bmp").stat().st_size == 3_000_000


def test_the_size_that_a_zip_claims_does_not_count(tmp_path, monkeypatch):
    """A member that claims one byte, with 200 kB in it."""
    monkeypatch.setattr(bounded_writer, "RATIO_FROM", 1000)
    with zipfile.ZipFile(tmp_path / "a.zip", "w", zipfile.ZIP_DEFLATED) as file:
        file.writestr("x", bytes(200_000))
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace((200_000).to_bytes(4, "little"), b"\1\0\0\0"))
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"^a\.zip: "):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert sum(path.stat().st_size for path in (tmp_path / "out").iterdir()) <= 1


@pytest.mark.parametrize(
    "names", [("cats", "cats/x.png"), ("cats/x.png", "cats"), ("", "x"), ("a\\b", "a/b")]
)
def test_two_members_of_one_name_are_refused(tmp_path, names):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in names:
            file.writestr(zipfile.ZipInfo(name), b"pixels")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.zip: '.*' is there twice; pack it again without"):
        unpack(tmp_path / "a.zip", tmp_path / "out")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive; pack it again as zip or tar.gz"),
        (b"Rar!\x1a\7", "a RAR archive; pack it again"),
        (b"\x28\xb5\x2f\xfd1234", "a Zstandard archive; pack it again"),
        (b"PK\3\4 and no more", "damaged or incomplete archive; fetch it again"),
        (b"\n<!DOCTYPE html><html>", "an HTML page, not an archive; open its address in a browser"),
        (
            b"version https://git-lfs.github.com/spec/v1\n",
            "a Git LFS pointer, .*; run `git lfs pull`",
        ),
        (b"PK\7\x08PK\3\4", "a part of a split archive; join the parts first: `zip -s 0 pets.zip"),
        (b"%PDF-1.7", "PDF, and no zip or tar archive; name in data.source an archive"),
        (b"names", "no zip or tar archive; name in data.source an archive, or the folder"),
        (b"", "an empty file; fetch it again"),
        (b"<!-- Google Drive -->\n<html>", "an HTML page, not an archive"),
        ("<!DOCTYPE html>".encode("utf-16"), "an HTML page, not an archive"),
        (b'<?xml version="1.0"?><!DOCTYPE html><html>', "an HTML page, not an archive"),
        (b'<?xml version="1.0"?><Error><Code>AccessDenied', "SVG or another XML file, and no zip"),
        (
            gzip.compress(b"pixels", mtime=0),
            "packs a single file that is no tar archive; unpack it",
        ),
        (gzip.compress(b"pixels", mtime=0)[:-9], "damaged"),
    ],
)
def test_what_is_no_archive_is_named(tmp_path, content, message):
    (tmp_path / "x").write_bytes(content)
    with pytest.raises(UserError, match=f"^x: {message}"):
        unpack(tmp_path / "x", tmp_path)


def test_a_link_in_a_zip_is_refused(tmp_path):
    link = zipfile.ZipInfo("cats/x.png")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(link, "../../secret")
    with pytest.raises(UserError, match=r"a\.zip: member 'cats/x.png' is a link; pack it again"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_a_compression_that_is_not_known_is_named(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("x", b"pixels")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[8] = data[data.index(b"PK\x01\x02") + 10] = 9  # Deflate64
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match=r"^a\.zip: .*; pack it again as zip or tar.gz"):
        unpack(tmp_path / "a.zip", tmp_path)


def test_a_tar_that_holds_a_zip_is_a_tar(tmp_path):
    with zipfile.ZipFile(tmp_path / "inner.zip", "w") as file:
        file.writestr("x", b"pixels")
    inner = (tmp_path / "inner.zip").read_bytes()
    write_tar(tmp_path / "a.tar", {"cats/1.png": b"1", "inner": inner}, "w")
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.tar", tmp_path / "out")
    assert (tmp_path / "out/cats/1.png").read_bytes() == b"1"
    assert (tmp_path / "out/inner").read_bytes() == inner


@pytest.mark.parametrize("first", [True, False])
def test_endless_attributes_are_not_read(tmp_path, first):
    """A pax header of 50 MB, packed to 50 kB."""
    with tarfile.open(tmp_path / "a.tgz", "w:gz", format=tarfile.PAX_FORMAT) as file:
        for number in range(1 if first else 2):
            member = tarfile.TarInfo(f"cats/{number}.png")
            if first or number:
                member.pax_headers = {"comment": "x" * 50_000_000}
            file.addfile(member)
    tracemalloc.start()
    with pytest.raises(UserError, match=r"^a\.tgz: .*500000\d\d bytes of description of one memb"):
        unpack(tmp_path / "a.tgz", tmp_path)
    assert tracemalloc.get_traced_memory()[1] < 10_000_000
    tracemalloc.stop()


@pytest.mark.parametrize("members", [2, 1])
def test_the_last_part_of_a_split_zip_is_named(tmp_path, members):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for number in range(members):
            file.writestr(f"cats/{number}.png", b"pixels")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.rindex(b"PK\5\6") + 4] = 3
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(
        UserError, match=r"^a\.zip: a part of a split archive; join the parts first"
    ):
        unpack(tmp_path / "a.zip", tmp_path)


def test_a_name_in_a_tar_that_is_not_utf8_is_refused_with_the_way_out(tmp_path):
    with tarfile.open(tmp_path / "pets.tar", "w", encoding="gbk", format=tarfile.GNU_FORMAT) as tar:
        for label in ("猫", "狗"):
            member = tarfile.TarInfo(f"{label}/1.png")
            member.size = 5
            tar.addfile(member, io.BytesIO(b"image"))
    with pytest.raises(
        UserError, match=r"^pets.tar: member b'\\xb9\\xb7/1.png' is not in UT"
    ) as error:
        unpack(tmp_path / "pets.tar", tmp_path)
    code = re.search(r'`python -c "(.*)"`', str(error.value))[1]
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True)
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "pets-utf8.tar", tmp_path / "out")
    unpacked = {path.parent.name: path.read_bytes() for path in (tmp_path / "out").rglob("*.png")}
    assert unpacked == {"狗": b"image", "猫": b"image"}


@pytest.mark.parametrize("kind", ["zip", "tar.gz"])
@pytest.mark.parametrize("part", [0, 1])
@pytest.mark.parametrize("ending", ["00{}", "a{}", "part{}"])
def test_a_numbered_part_is_named(tmp_path, kind, part, ending):
    write_tar(tmp_path / "a.tar.gz", {"x": Random(0).randbytes(50_000)})
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("x", Random(0).randbytes(50_000))
    data = (tmp_path / f"a.{kind}").read_bytes()
    name = f"a.{kind}.{ending.format('ab'[part] if ending == 'a{}' else part + 1)}"
    (tmp_path / name).write_bytes((data[:30_000], data[30_000:])[part])
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=rf"^{name}: a part of a split archive"):
        unpack(tmp_path / name, tmp_path / "out")


@pytest.mark.parametrize("more", [[], ["sampleSubmission.csv", "README"], ["overview.png"]])
def test_an_archive_of_archives_is_named(tmp_path, more):
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("cat/1.png", b"pixels")
    with zipfile.ZipFile(tmp_path / "all.zip", "w") as file:
        for name in ("train.zip", "test1.zip"):
            file.writestr(name, inner.getvalue())
        for name in more:
            file.writestr(name, b"text")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError) as error:
        unpack(tmp_path / "all.zip", tmp_path / "out")
    assert str(error.value) == (
        "all.zip: holds other archives (test1.zip, train.zip) and no classes; unpack it, and name "
        "in data.source the one with the images, or a folder with all of them unpacked"
    )


@pytest.mark.parametrize("image", [("cat/x.avif", b"any"), ("cat/x", b"\xff\xd8\xff\xe0")])
def test_an_archive_beside_images_is_none_of_ours(tmp_path, image):
    name, content = image
    write_tar(tmp_path / "a.tar", {"more.zip": b"PK\3\4", name: content})
    (tmp_path / "out").mkdir()
    unpack(tmp_path / "a.tar", tmp_path / "out")


@pytest.mark.parametrize("inner", ["w", "w:gz"])
def test_a_tar_in_an_archive_is_named(tmp_path, inner):
    write_tar(tmp_path / "in.tar", {"cat/1.png": b"pixels"}, inner)
    write_tar(tmp_path / "a.tar", {"in.tar": (tmp_path / "in.tar").read_bytes()}, "w")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"^a.tar: holds other archives \(in.tar\) and no classes"):
        unpack(tmp_path / "a.tar", tmp_path / "out")


def test_folder_entries_of_windows_are_folders(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        for name in ("pets\\", "pets\\cat\\", "pets\\cat\\1.png", "pets\\dog\\"):
            entry = zipfile.ZipInfo("x")
            entry.filename = name
            file.writestr(entry, b"" if name.endswith("\\") else b"pixels")
    unpack(tmp_path / "a.zip", tmp_path)
    assert (tmp_path / "pets/cat/1.png").read_bytes() == b"pixels"
    assert (tmp_path / "pets/dog").is_dir()


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_a_colon_is_no_drive(tmp_path, kind):
    name = "run 12:30/cat:s/1:2.png"
    if kind == "tar":
        write_tar(tmp_path / "a", {name: b"pixels"})
    else:
        with zipfile.ZipFile(tmp_path / "a", "w") as file:
            file.writestr(name, b"pixels")
    assert unpack(tmp_path / "a", tmp_path) == ""
    assert (tmp_path / name).read_bytes() == b"pixels"


def test_names_in_shift_jis_are_decoded(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("XXXXXX/1.png", b"pixels")
    data = (tmp_path / "a.zip").read_bytes()
    (tmp_path / "a.zip").write_bytes(data.replace(b"XXXXXX", "ソース".encode("cp932")))
    assert unpack(tmp_path / "a.zip", tmp_path) == (
        "a.zip: names are read as Japanese (cp932): ソース"
    )
    assert (tmp_path / "ソース/1.png").read_bytes() == b"pixels"


@pytest.mark.parametrize("kind", ["zip", "tar"])
def test_folders_count_once_whether_they_are_members_or_not(tmp_path, kind):
    """Ten folders with a file in each, of 20 files and folders that may be."""
    path = tmp_path / f"a.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for number in range(10):
                archive.writestr(f"{number}/", b"")
                archive.writestr(f"{number}/x.png", b"pixels")
    else:
        with tarfile.open(path, "w") as archive:
            for number in range(10):
                member = tarfile.TarInfo(f"{number}")
                member.type = tarfile.DIRTYPE
                archive.addfile(member)
                archive.addfile(tarfile.TarInfo(f"{number}/x.png"), io.BytesIO())
    (tmp_path / "out").mkdir()
    unpack(path, tmp_path / "out")
    assert len([*(tmp_path / "out").rglob("*")]) == 20


def test_a_name_that_no_disk_takes_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr("a/" * 30_000 + "x.png", b"pixels")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match="has a name that no disk takes; pack it again"):
        unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [*(tmp_path / "out").iterdir()] == []
