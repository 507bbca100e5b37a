import os

import pytest

from thaw.sources import links


def touch(root, *names: str) -> None:
    for name in names:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).touch()


def found(folder) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in links.entries(folder))


def test_linked_files_and_folders_are_listed_where_the_link_is(tmp_path):
    touch(tmp_path, "in/a/1.png", "out/2.png", "out/deep/3.png")
    (tmp_path / "in/b").symlink_to("../out")
    (tmp_path / "in/a/4.png").symlink_to("../../out/2.png")
    (tmp_path / "in/a/gone").symlink_to("nowhere")
    names = ["a/1.png", "a/4.png", "a/gone", "b/2.png", "b/deep/3.png"]
    assert found(tmp_path / "in") == names
    (tmp_path / "to it").symlink_to("in")
    assert found(tmp_path / "to it") == names
    assert links.linked_folders(tmp_path / "in") == [tmp_path / "in/b"]
    assert links.linked_folders(tmp_path / "to it") == [tmp_path / "to it"]


@pytest.mark.parametrize("target", [".", "..", "../..", "/"])
def test_a_link_to_a_folder_above_is_not_entered(tmp_path, target):
    touch(tmp_path, "in/a/1.png")
    (tmp_path / "in/a/up").symlink_to(target)
    assert found(tmp_path / "in") == ["a/1.png", "a/up"]


def test_folders_that_link_to_each_other_do_not_go_round(tmp_path):
    touch(tmp_path, "a/1.png", "b/2.png")
    (tmp_path / "a/b").symlink_to("../b")
    (tmp_path / "b/a").symlink_to("../a")
    assert found(tmp_path) == ["a/1.png", "a/b/2.png", "a/b/a", "b/2.png", "b/a/1.png", "b/a/b"]


def test_a_folder_that_cannot_be_listed_stops(tmp_path, monkeypatch):
    touch(tmp_path, "a/1.png")
    list_folder = os.scandir

    def denied(path):
        if str(path).endswith("a"):
            raise PermissionError(13, "Permission denied", str(path))
        return list_folder(path)

    monkeypatch.setattr(os, "scandir", denied)
    with pytest.raises(PermissionError, match="a"):
        links.entries(tmp_path)
