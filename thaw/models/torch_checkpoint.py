"""Read a state dict that an old torch saved, without torch and without running its pickle.

The format (torch.serialization, before 1.6): three pickles (magic number, protocol, machine), the
state dict as a pickle whose storages are persistent ids, a pickle with the storages' keys in file
order, and each storage as a little-endian int64 count followed by its values.
"""

import math
import mmap
from pathlib import Path

import numpy as np

from thaw.models import torch_pickle
from thaw.models.torch_pickle import Tensor

MAGIC = 0x1950A86A20F9469CFC6C
DAMAGE = (ValueError, TypeError, LookupError, OverflowError)


def read_state_dict(path: Path) -> dict[str, np.ndarray]:
    """Return the tensors of a `.pth` file by name, as C-contiguous float32 or int64 arrays.

    They take no more memory than the file twice. Raises ValueError when the file is not of this
    format, is cut short, or holds other objects.
    """
    try:
        with open(path, "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            if torch_pickle.load(data) != MAGIC:
                raise ValueError("no torch magic number")
            for _ in ("protocol", "machine"):
                torch_pickle.load(data)
            tensors, keys = torch_pickle.load(data), torch_pickle.load(data)
            _check_tensors(tensors, most=len(data))
            storages = _read_storages(data, tensors, keys)
        return {name: _to_array(tensor, storages) for name, tensor in tensors.items()}
    except DAMAGE as error:
        raise ValueError(f"not a state dict of the old torch format: {error}") from None


def _check_tensors(tensors: object, most: int) -> None:
    """Raise ValueError for what are no tensors by name, or hold over `most` bytes together."""
    whole = isinstance(tensors, dict) and all(isinstance(each, Tensor) for each in tensors.values())
    if not whole:
        raise ValueError("other values than tensors")
    sizes = (math.prod(each.shape) * each.storage.dtype.itemsize for each in tensors.values())
    if sum(map(abs, sizes)) > most:
        raise ValueError("the tensors declare more values than the file holds")


def _read_storages(data: mmap.mmap, tensors: dict[str, Tensor], keys: object) -> dict:
    if not isinstance(keys, list) or not all(isinstance(key, str) for key in keys):
        raise ValueError("no keys of storages")
    declared = {tensor.storage.key: tensor.storage for tensor in tensors.values()}
    storages = {}
    for key in keys:
        storage = declared[key]
        count = int.from_bytes(data.read(8), "little")
        if count != storage.count:
            raise ValueError(f"storage {key} holds {count} values instead of {storage.count}")
        size = count * storage.dtype.itemsize
        if size > len(data) - data.tell():
            raise ValueError(f"the file ends inside storage {key}")
        storages[key] = np.frombuffer(data.read(size), storage.dtype)
    return storages


def _to_array(tensor: Tensor, storages: dict[str, np.ndarray]) -> np.ndarray:
    """Copy the view that offset, shape and strides (in elements) describe out of its storage."""
    values = storages[tensor.storage.key]
    reach = sum((size - 1) * stride for size, stride in zip(tensor.shape, tensor.strides))
    least = min((*tensor.strides, *tensor.shape), default=0)
    if least < 0 or not 0 <= tensor.offset <= len(values) - 1 - reach:
        raise ValueError(f"a tensor of shape {tensor.shape} reaches outside its storage")
    strides = [stride * values.itemsize for stride in tensor.strides]
    view = np.lib.stride_tricks.as_strided(values[tensor.offset :], tensor.shape, strides)
    return np.ascontiguousarray(view).reshape(tensor.shape)
