import io
import os
import pickle
import struct
import subprocess
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

from tests.imports import ROOT
from thaw.models.torch_checkpoint import MAGIC, read_state_dict


class FloatStorage: ...


class LongStorage: ...


class ShortStorage: ...


def _rebuild_tensor_v2(*_): ...


class Tensor:
    def __init__(self, key, kind, count, offset, shape, strides):
        self.storage, self.view = (
            ("storage", kind, key, "cpu", count, None),
            (offset, shape, strides),
        )

    def __reduce__(self):
        rest = (*self.view, False, OrderedDict())
        return _rebuild_tensor_v2, (Persistent(self.storage), *rest)


class Persistent:
    def __init__(self, pid):
        self.pid = pid


class Pickler(pickle._Pickler):
    def persistent_id(self, obj):
        return obj.pid if isinstance(obj, Persistent) else None


@pytest.fixture
def save(tmp_path, monkeypatch):
    """Write a file as torch before 1.6 did, from {name: Tensor} and [(key, bytes)]."""
    torch, utils = types.ModuleType("torch"), types.ModuleType("torch._utils")
    for kind in (FloatStorage, LongStorage, ShortStorage):
        monkeypatch.setattr(kind, "__module__", "torch")
        setattr(torch, kind.__name__, kind)
    monkeypatch.setattr(_rebuild_tensor_v2, "__module__", "torch._utils")
    utils._rebuild_tensor_v2 = _rebuild_tensor_v2
    monkeypatch.setitem(sys.modules, "torch", torch)
    monkeypatch.setitem(sys.modules, "torch._utils", utils)

    def write(tensors, storages):
        file = io.BytesIO()
        for value in (MAGIC, 1001, {"little_endian": True}):
            pickle.dump(value, file, protocol=2)
        Pickler(file, protocol=2).dump(tensors)
        pickle.dump([key for key, _, _ in storages], file, protocol=2)
        for _, count, data in storages:
            file.write(struct.pack("<q", count) + data)
        path = tmp_path / "x.pth"
        path.write_bytes(file.getvalue())
        return path

    return write


def floats(*values):
    return np.array(values, "<f4").tobytes()


def test_strides_and_offsets_are_honoured(save):
    tensors = OrderedDict(
        plain=Tensor("0", FloatStorage, 6, 0, (2, 3), (3, 1)),
        transposed=Tensor("0", FloatStorage, 6, 0, (3, 2), (1, 3)),
        tail=Tensor("0", FloatStorage, 6, 4, (2,), (1,)),
        step=Tensor("1", LongStorage, 1, 0, (), ()),
    )
    storages = [("1", 1, struct.pack("<q", 7)), ("0", 6, floats(0, 1, 2, 3, 4, 5))]
    got = read_state_dict(save(tensors, storages))
    assert got["plain"].tolist() == [[0, 1, 2], [3, 4, 5]]
    assert got["transposed"].tolist() == [[0, 3], [1, 4], [2, 5]]
    assert got["transposed"].flags.c_contiguous
    assert got["transposed"].dtype == "float32"
    assert got["tail"].tolist() == [4, 5]
    assert (got["step"].shape, got["step"].dtype, int(got["step"])) == ((), np.dtype("int64"), 7)


def test_other_objects_are_refused(save):
    for value in (print, ShortStorage, io.BytesIO):
        with pytest.raises(ValueError, match="does not belong into a state dict"):
            read_state_dict(save(OrderedDict(invalid=value), []))


def test_a_view_outside_its_storage_is_refused(save):
    for view in [(0, (7,), (1,)), (-1, (2,), (1,)), (0, (2, 2), (5, 1)), (3, (2,), (-1,))]:
        tensors = OrderedDict(invalid=Tensor("0", FloatStorage, 6, *view))
        with pytest.raises(ValueError, match="outside its storage"):
            read_state_dict(save(tensors, [("0", 6, floats(0, 1, 2, 3, 4, 5))]))


@pytest.mark.parametrize("view", [(0, (1,), (1 << 70,)), (0, (0, 1 << 70), (0, 0))])
def test_numbers_of_over_64_bits_are_refused(save, view):
    tensors = OrderedDict(invalid=Tensor("0", FloatStorage, 1, *view))
    with pytest.raises(ValueError, match=r"^not a state dict of the old torch format: "):
        read_state_dict(save(tensors, [("0", 1, floats(7))]))


def test_a_short_or_wrong_file_is_refused(save, tmp_path):
    tensors = OrderedDict(x=Tensor("0", FloatStorage, 6, 0, (6,), (1,)))
    whole = save(tensors, [("0", 6, floats(0, 1, 2, 3, 4, 5))]).read_bytes()
    for data in [whole[:-1], whole[:-30], whole[:40], b"", b"\x80\x02K\x07.", b"no pickle"]:
        (tmp_path / "invalid.pth").write_bytes(data)
        with pytest.raises(ValueError, match=r"state dict|ends inside|magic number|instead of"):
            read_state_dict(tmp_path / "invalid.pth")


def test_one_storage_that_many_tensors_spread_is_refused(save):
    """A tensor with strides of 0 is as large as it says, whatever its storage holds."""
    for shape, count in (((1 << 40,), 1), ((3, 100), 40)):
        spread = {
            str(number): Tensor("0", FloatStorage, 6, 0, shape, (0,) * len(shape))
            for number in range(count)
        }
        with pytest.raises(ValueError, match="declare more values than the file holds"):
            read_state_dict(save(OrderedDict(spread), [("0", 6, floats(0, 1, 2, 3, 4, 5))]))


BOMBS = {
    "memo": (b"Nr\xff\xff\xff\xff", "no torch magic number"),
    "text": (b"X\xff\xff\xff\x7f", "expected 2147483647 bytes"),
    "number": (b"\x8b\xff\xff\xff\x7f", "not enough data in stream"),
    "nested key": (b"}" + b"\x85" * 1_000_000 + b"K\x01s", "a name that is no text"),
    "doubled": (b"N" + b"q\0h\0\x86" * 60, "no torch magic number"),
    "digits": (b"I" + b"9" * 5_000 + b"\n", "integer"),
    "call": (b"cos\nsystem\n(X\x08\0\0\0touch oh\x85R", "os.system does not belong"),
    "no stack": (b"R", "pop from empty list"),
}
READ = """
import resource, sys
from pathlib import Path
from tests.imports import ROOT
from thaw.models.torch_checkpoint import read_state_dict
used = int(open("/proc/self/statm").read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (used + (256 << 20),) * 2)
try:
    read_state_dict(Path(sys.argv[1]))
except ValueError as error:
    print(error)
"""


@pytest.mark.parametrize("name", BOMBS)
def test_a_pickle_that_would_take_memory_or_crash_is_one_line(tmp_path, name):
    """In a process of its own, of 256 MB, as Python's own reader dies of some of these."""
    code, message = BOMBS[name]
    (tmp_path / "x.pth").write_bytes(b"\x80\x02" + code + b".")
    done = subprocess.run(
        [sys.executable, "-c", READ, tmp_path / "x.pth"],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert message in done.stdout, done.stderr
    assert done.stdout.count("\n") == 1
    assert not (tmp_path / "oh").exists()
