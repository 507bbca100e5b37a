"""Read a state dict that an old torch saved, without torch and without running its pickle.

The format (torch.serialization, before 1.6): three pickles (magic number, protocol, machine), the
state dict as a pickle whose storages are persistent ids, a pickle with the storages' keys in file
order, and each storage as a little-endian int64 count followed by its values.
"""

import pickle
from collections import OrderedDict
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np

MAGIC = 0x1950A86A20F9469CFC6C
DTYPES = {"FloatStorage": np.dtype("<f4"), "LongStorage": np.dtype("<i8")}


class _Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int


class _Tensor(NamedTuple):
    storage: _Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


def _rebuild_tensor(storage, offset, shape, strides, *_) -> _Tensor:
    return _Tensor(storage, offset, tuple(shape), tuple(strides))


class _Unpickler(pickle.Unpickler):
    """Builds the four kinds of object that a state dict needs, and refuses every other."""

    def find_class(self, module: str, name: str):
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return _rebuild_tensor
        if module == "torch" and name in DTYPES:
            return DTYPES[name]
        raise pickle.UnpicklingError(f"{module}.{name} does not belong into a state dict")

    def persistent_load(self, pid) -> _Storage:
        kind, dtype, key, _location, count, view = pid
        if kind != "storage" or view is not None:
            raise pickle.UnpicklingError(f"persistent id of an unknown kind: {kind!r}")
        return _Storage(key, dtype, count)


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a `.pth` file by name, as C-contiguous float32 or int64 arrays.

    Raises ValueError when the file is not of this format, is cut short, or holds other objects.
    """
    try:
        with open(path, "rb") as file:
            if _Unpickler(file).load() != MAGIC:
                raise ValueError("no torch magic number")
            for _ in ("protocol", "machine"):
                _Unpickler(file).load()
            tensors = _Unpickler(file).load()
            storages = _read_storages(file, tensors, keys=_Unpickler(file).load())
        return {name: _to_array(tensor, storages) for name, tensor in tensors.items()}
    except (pickle.UnpicklingError, EOFError, AttributeError, TypeError, KeyError) as error:
        raise ValueError(f"not a state dict of the old torch format: {error}") from error


def _read_storages(file: BinaryIO, tensors: dict[str, _Tensor], keys: list[str]) -> dict:
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in keys:
        storage = declared[key]
        count = int.from_bytes(file.read(8), "little")
        if count != storage.count:
            raise ValueError(f"storage {key} holds {count} values instead of {storage.count}")
        data = file.read(count * storage.dtype.itemsize)
        if len(data) < count * storage.dtype.itemsize:
            raise ValueError(f"the file ends inside storage {key}")
        storages[key] = np.frombuffer(data, storage.dtype)
    return storages


def _to_array(tensor: _Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Copy the view that offset, shape and strides (in elements) describe out of its storage."""
    values = storages[tensor.storage.key]
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides))
    if min(tensor.strides, default=0) < 0 or not 0 <= tensor.offset <= len(values) - 1 - reach:
        raise ValueError(f"a tensor of shape {tensor.shape} reaches outside its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
    return np.ascontiguousarray(view).reshape(tensor.shape)
