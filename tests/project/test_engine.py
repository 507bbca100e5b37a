import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from tests.conftest import runtime
from thaw.project import engine, ray_engine, ray_worker
from thaw.project.errors import UserError


class Ref:
    """Stand in for a reference to an object in Ray's store."""

    def __init__(self, value=None, error=None):
        self.value, self.error = value, error

    def hex(self):
        return str(id(self))


class FakeRay:
    """Stand in for Ray: tasks run at once, in this process, and the newest is done first."""

    class exceptions:
        class RayError(Exception):
            pass

    def __init__(self):
        self.cancelled, self.fails = [], ""
        self.is_initialized = lambda: True
        self.nodes = lambda: [{"Alive": True, "Resources": {"CPU": 2.0}}, {"Alive": False}]
        self.put, self.cancel = Ref, lambda ref, force: self.cancelled.append(ref)

    def remote(self, function):
        return SimpleNamespace(options=lambda **_: SimpleNamespace(remote=self.submit(function)))

    def submit(self, function):
        def submit(*arguments):
            given = [each.value if isinstance(each, Ref) else each for each in arguments]
            if self.fails and any(self.fails in str(item[0]) for item in given[0].items):
                return Ref(error=self.exceptions.RayError("the worker died\nagain"))
            return Ref(function(*given))

        return submit

    def wait(self, refs, num_returns):
        return refs[-1:], refs[:-1]

    def get(self, ref):
        if ref.error:
            raise ref.error
        return ref.value


@pytest.fixture
def fake(monkeypatch):
    ray = FakeRay()
    monkeypatch.setitem(sys.modules, "ray", ray)
    monkeypatch.delenv(ray_engine.ADDRESS, raising=False)
    return ray


def lengths(items, prepared):
    return [(path.stat().st_size, number * prepared) for path, number in items]


def seven() -> int:
    return 7


def written(folder: Path, count: int = 11) -> list[tuple[Path, int]]:
    folder.mkdir(exist_ok=True)
    paths = [folder / f"{number:02}.bin" for number in range(count)]
    for number, path in enumerate(paths):
        path.write_bytes(bytes(number))
    return [*zip(paths, range(count))]


def joined(items, settings, function=lengths, most=4) -> list:
    found = [None] * len(items)
    for rows, result in engine.map_shards(function, items, settings, seven, most):
        assert None not in result
        found[rows] = result
    return found


EXPECTED = [(number, 7 * number) for number in range(11)]


def test_local_is_one_shard_here_and_needs_no_ray(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    items = written(tmp_path)
    assert [*engine.map_shards(lengths, items, runtime(), seven)] == [(slice(0, 11), EXPECTED)]
    assert [*engine.map_shards(lengths, [], runtime(), seven)] == []


def test_without_ray_one_line_says_what_to_install(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError) as refused:
        joined(written(tmp_path), runtime(engine="ray"))
    assert str(refused.value) == (
        "params.yaml [runtime.engine]: Ray is not installed; run `make ray` "
        "(requirements-ray.txt), or set it to local"
    )


@pytest.mark.parametrize("address", [None, "127.0.0.1:1"])
@pytest.mark.parametrize("shared", [True, False])
def test_shards_are_joined_by_row_in_whatever_order_they_end(
    tmp_path, monkeypatch, fake, address, shared
):
    monkeypatch.chdir(tmp_path)
    if address:
        monkeypatch.setenv(ray_engine.ADDRESS, address)
    items = written(Path("below"))
    assert joined(items, runtime(engine="ray", shared_folder=shared)) == EXPECTED


def test_bytes_travel_in_parts_that_are_not_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "LARGEST", 12)
    items = written(tmp_path, 7)
    cut = [(part.start, part.stop) for part in ray_engine._parts(items, 4, True)]
    assert cut == [(0, 4), (4, 6), (6, 7)]
    assert [(part.start, part.stop) for part in ray_engine._parts(items, 4, False)] == [
        (0, 4), (4, 7),
    ]  # fmt: skip
    assert ray_engine._sent(items, False).contents is None
    assert [len(each) for each in ray_engine._sent(items, True).contents] == [*range(7)]


def test_a_file_too_large_to_travel_is_looked_at_here_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(ray_engine, "LARGEST", 5)
    items = written(tmp_path, 8)
    parts = [*ray_engine._parts(items, 4, True)]
    here = [items[part] for part in parts if ray_engine._sent(items[part], True) is None]
    assert here == [items[6:7], items[7:8]]


def kinds(items, _):
    return [(path.is_symlink(), path.is_fifo()) for path, _ in items]


def test_what_cannot_travel_is_looked_at_here(tmp_path, monkeypatch, fake):
    monkeypatch.setenv(ray_engine.ADDRESS, "127.0.0.1:1")
    items = written(tmp_path)
    items[2][0].unlink()
    items[2][0].symlink_to(tmp_path / "nowhere")
    items[9][0].unlink()
    os.mkfifo(items[9][0])
    found = joined(items, runtime(engine="ray"), kinds)
    assert [row for row, (link, _) in enumerate(found) if link] == [2]
    assert [row for row, (_, pipe) in enumerate(found) if pipe] == [9]


def test_a_shard_that_fails_for_good_is_named_in_one_line(tmp_path, fake):
    items = written(tmp_path)
    fake.fails = "05"
    with pytest.raises(UserError) as refused:
        joined(items, runtime(engine="ray"))
    said = str(refused.value)
    assert said.startswith(f"{items[4][0]} to {items[7][0]} (4 files) failed on Ray: RayError, ")
    assert "the worker died again; set runtime.engine to local" in said
    assert len(fake.cancelled) == 1  # the one that ran beside it


def test_a_host_without_the_shared_folder_is_refused(tmp_path, monkeypatch):
    """And does not take its images for missing ones, which others may be."""
    monkeypatch.chdir(tmp_path)
    items = [(Path("below/gone.jpg"), 0), *written(Path("below"), 3)]
    shard = ray_engine._sent(items, False)
    assert ray_worker._placed(shard, Path())[0] == (tmp_path / "below/gone.jpg", 0)
    elsewhere = shard._replace(folder=tmp_path / "elsewhere")
    with pytest.raises(UserError, match=r"\[runtime.shared_folder\]: .* has no below/00.bin"):
        ray_worker._placed(elsewhere, Path())


def refuse(items, _):
    raise UserError(f"{items[1][0]} is none", "images.bits")


def test_a_user_error_names_the_file_of_this_machine(tmp_path, monkeypatch, fake):
    monkeypatch.setenv(ray_engine.ADDRESS, "127.0.0.1:1")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UserError, match=r"\[images.bits\]: below/0[159].bin is none"):
        joined(written(Path("below")), runtime(engine="ray"), refuse)


def test_a_host_of_other_software_is_refused(tmp_path, monkeypatch, fake):
    monkeypatch.setattr(fake, "put", lambda given: Ref({} if isinstance(given, dict) else given))
    with pytest.raises(UserError, match=r"has other code, instructions, .* than this one, so last"):
        joined(written(tmp_path), runtime(engine="ray"))


def test_a_cluster_that_does_not_answer_is_one_line(tmp_path, monkeypatch, fake):
    monkeypatch.setattr(fake, "is_initialized", lambda: False)
    monkeypatch.setenv(ray_engine.ADDRESS, "127.0.0.1:9")
    with pytest.raises(UserError, match=r"^RAY_ADDRESS 127.0.0.1:9: .*refused; unset it to use"):
        joined(written(tmp_path), runtime(engine="ray"))
