import io
import shutil
import tarfile
import zipfile
from pathlib import Path
from random import Random

import pytest

from stages.lib import archive
from stages.lib.errors import UserError


@pytest.mark.parametrize("mode", ["w", "w:gz", "w:bz2", "w:xz"])
def test_tar_of_every_compression(tmp_path, mode):
    (tmp_path / "x.png").write_bytes(b"pixels")
    with tarfile.open(tmp_path / "archive", mode) as file:
        file.add(tmp_path / "x.png", "cats/x y.png")
    (tmp_path / "out").mkdir()
    assert archive.is_archive(tmp_path / "archive")
    archive.unpack(tmp_path / "archive", tmp_path / "out")
    assert (tmp_path / "out/cats/x y.png").read_bytes() == b"pixels"


@pytest.mark.parametrize("kind", ["ZIP_STORED", "ZIP_DEFLATED", "ZIP_BZIP2", "ZIP_LZMA"])
def test_zip_of_every_compression(tmp_path, kind):
    with zipfile.ZipFile(tmp_path / "archive", "w", getattr(zipfile, kind)) as file:
        file.writestr("cats/é.png", b"pixels" * 99)
    (tmp_path / "out").mkdir()
    assert archive.is_archive(tmp_path / "archive")
    archive.unpack(tmp_path / "archive", tmp_path / "out")
    assert (tmp_path / "out/cats/é.png").read_bytes() == b"pixels" * 99


@pytest.mark.parametrize("name", ["../x", "cats/../../x", "/tmp/x", "..\\x", "C:\\x", "C:x"])
def test_a_zip_member_that_would_leave_is_named(tmp_path, name):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr(zipfile.ZipInfo(name), b"")
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.zip: member .*x' would leave the folder"):
        archive.unpack(tmp_path / "a.zip", tmp_path / "out")
    assert [path.name for path in tmp_path.iterdir()] in (["a.zip", "out"], ["out", "a.zip"])


def test_an_encrypted_zip_is_refused(tmp_path):
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as file:
        file.writestr("cats/x.png", b"pixels")
    data = bytearray((tmp_path / "a.zip").read_bytes())
    data[data.index(b"PK\x01\x02") + 8] |= 1  # the flag in the central directory
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(UserError, match="is encrypted; unpack it first"):
        archive.unpack(tmp_path / "a.zip", tmp_path)


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
        archive.unpack(tmp_path / "a.tar", tmp_path / "out")
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
    archive.unpack(tmp_path / "a.tar", tmp_path)
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
        bad = bytearray(data)
        bad[random.randrange(len(bad))] ^= 1 << random.randrange(8)
        whole.write_bytes(bad)
        (tmp_path / f"out{number}").mkdir()
        try:
            archive.unpack(whole, tmp_path / f"out{number}")
        except UserError:
            refused += 1
    assert refused > 5


def test_a_cut_archive_is_named(tmp_path):
    with tarfile.open(tmp_path / "a.tgz", "w:gz") as file:
        member = tarfile.TarInfo("x")
        member.size = 50_000
        file.addfile(member, io.BytesIO(bytes(range(250)) * 200))
    data = (tmp_path / "a.tgz").read_bytes()
    (tmp_path / "a.tgz").write_bytes(data[: len(data) // 2])
    (tmp_path / "out").mkdir()
    with pytest.raises(UserError, match=r"a\.tgz: damaged archive"):
        archive.unpack(tmp_path / "a.tgz", tmp_path / "out")
