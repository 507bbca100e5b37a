import os

import pytest
from PIL import Image

from thaw.images import image_checks
from thaw.images.image_checks import InvalidImage


def reason(path) -> str:
    with pytest.raises(InvalidImage) as caught:
        image_checks.check_kind(path)
    return str(caught.value)


def test_only_a_file_with_something_in_it_will_do(tmp_path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to("file")
    for name in ("file", "link"):
        image_checks.check_kind(tmp_path / name)
    (tmp_path / "empty").touch()
    (tmp_path / "to a folder").symlink_to(".")
    os.mkfifo(tmp_path / "pipe")
    assert reason(tmp_path / "empty") == "empty file"
    assert reason(tmp_path).startswith("a folder; ")
    assert reason(tmp_path / "to a folder").startswith("a link to a folder; ")
    assert reason(tmp_path / "pipe").startswith("a device, pipe or socket")
    for target, said in {
        "nowhere": "a link that leads nowhere",
        "link to itself": "a link that leads nowhere",
        "../.git/annex/objects/x/y": "a link that leads nowhere; it is git-annex', run `git annex",
        "../.dvc/cache/files/md5/0a/bc": "a link that leads nowhere; it is DVC's, run `dvc pull`",
        "../../blobs/0a": "a link that leads nowhere; it is of a Hugging Face snapshot, downl",
    }.items():
        (tmp_path / "link to itself").unlink(missing_ok=True)
        (tmp_path / "link to itself").symlink_to(target)
        assert reason(tmp_path / "link to itself").startswith(said)
    with pytest.raises(FileNotFoundError):
        image_checks.check_kind(tmp_path / "nothing")


def test_a_header_is_read_and_no_pixel(tmp_path, monkeypatch):
    Image.new("RGB", (31, 23)).save(tmp_path / "a.bmp")
    monkeypatch.setattr("PIL.ImageFile.ImageFile.load", lambda *_: pytest.fail("decoded"))
    with image_checks.opened(tmp_path / "a.bmp", 23, 31 * 23) as image:
        assert image.size == (31, 23)
    for limits in ((24, 31 * 23), (23, 31 * 23 - 1)):
        with pytest.raises(InvalidImage, match="31 x 23 pixels"):
            image_checks.opened(tmp_path / "a.bmp", *limits).__enter__()


def test_whatever_decoders_raise_is_a_reason_but_for_the_disks_faults(tmp_path):
    file = tmp_path / "a.bmp"
    Image.new("RGB", (31, 23)).save(file)
    with (
        pytest.raises(InvalidImage, match=r"^damaged: odd file$"),
        image_checks.opened(file, 1, 1e6),
    ):
        raise RuntimeError(f"odd\n{file}")
    with pytest.raises(PermissionError), image_checks.opened(file, 1, 1e6):
        raise PermissionError(13, "Permission denied")
