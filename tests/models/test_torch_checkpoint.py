import io
import pickle
import struct
import sys
import types
from collections import OrderedDict

import numpy as np
import pytest

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


def test_a_short_or_wrong_file_is_refused(save, tmp_path):
    tensors = OrderedDict(x=Tensor("0", FloatStorage, 6, 0, (6,), (1,)))
    whole = save(tensors, [("0", 6, floats(0, 1, 2, 3, 4, 5))]).read_bytes()
    for data in [whole[:-1], whole[:-30], whole[:40], b"", b"\x80\x02K\x07.", b"no pickle"]:
        (tmp_path / "invalid.pth").write_bytes(data)
        with pytest.raises(ValueError, match=r"state dict|ends inside|magic number|instead of"):
            read_state_dict(tmp_path / "invalid.pth")
