import pytest

from tests.conftest import set_params
from thaw.features.store import FeatureStore
from thaw.project.errors import UserError
from tools import store as tool


def called(monkeypatch, *arguments: str) -> None:
    monkeypatch.setattr("sys.argv", ["store", *arguments])
    tool.main()


def test_it_says_what_is_there_and_makes_room(project, monkeypatch, capsys):
    set_params(project / "params.yaml", {"runtime": {"store": "kept"}})
    called(monkeypatch)
    assert capsys.readouterr().out == "kept/features.sqlite: nothing is there yet\n"
    with FeatureStore(project / "kept/features.sqlite", 1.0) as kept:
        kept.put((bytes([number]) * 32, b"x" * 10_000) for number in range(17))
    called(monkeypatch)
    assert (
        "17 features of images and augmented copies, and networks; 0.2 MB of at most 5000 MB"
        in capsys.readouterr().out
    )
    called(monkeypatch, "--prune", "0.0001")
    with FeatureStore(project / "kept/features.sqlite", 1.0) as kept:
        assert 0 < kept.count() < 12
    called(monkeypatch, "--prune", "0")
    assert " 0 features of images" in capsys.readouterr().out


def test_mistakes_are_one_line(project, monkeypatch):
    with pytest.raises(UserError, match="null means that there is no store") as raised:
        called(monkeypatch)
    assert raised.value.key == "runtime.store"
    set_params(project / "params.yaml", {"runtime": {"store": "kept"}})
    with pytest.raises(UserError, match="--prune should be at least 0"):
        called(monkeypatch, "--prune", "-1")
    (project / "kept").mkdir()
    (project / "kept/features.sqlite").write_text("no database" * 100)
    with pytest.raises(UserError, match=r"features.sqlite cannot be used"):
        called(monkeypatch)


def test_a_damaged_store_is_one_line_and_begun_anew(project, monkeypatch, capsys):
    set_params(project / "params.yaml", {"runtime": {"store": "kept"}})
    file = project / "kept/features.sqlite"
    with FeatureStore(file, 1.0) as kept:
        kept.put((bytes([number]) * 32, b"x" * 10_000) for number in range(17))
    content = file.read_bytes()
    file.write_bytes(content[:4096] + b"x" * (len(content) - 4096))
    with pytest.raises(
        UserError, match=r"features.sqlite: .* is malformed; it was damaged; it is d"
    ):
        called(monkeypatch, "--prune", "0")
    called(monkeypatch)
    assert "nothing is there yet" in capsys.readouterr().out
