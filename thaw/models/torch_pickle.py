"""Read the pickles of a state dict as data, by the few opcodes that they have.

Python's own reader of pickles calls what a file names. Where it is kept from that, a file of some
MB still makes it take gigabytes (a large number in the memo) or crash (a key of nested tuples).
"""

import pickletools
from collections.abc import Callable
from typing import BinaryIO, NamedTuple

import numpy as np

DTYPES = {"torch FloatStorage": np.dtype("<f4"), "torch LongStorage": np.dtype("<i8")}
DICT, TENSOR = "collections OrderedDict", "torch._utils _rebuild_tensor_v2"
PLAIN = {"BINUNICODE", "BININT", "BININT1", "BININT2", "LONG1"}  # their argument is the value
FOREIGN = "{} does not belong into a state dict"


class Storage(NamedTuple):
    key: str
    dtype: np.dtype
    count: int


class Tensor(NamedTuple):
    """A view of a storage, in elements."""

    storage: Storage
    offset: int
    shape: tuple[int, ...]
    strides: tuple[int, ...]


class _Name(NamedTuple):
    """What a pickle names by module and name, which is never looked up."""

    text: str


class _Machine:
    """What the opcodes so far have built."""

    def __init__(self) -> None:
        self.stack: list = []
        self.marks: list[int] = []
        self.memo: dict[int, object] = {}

    def after_mark(self) -> list:
        place = self.marks.pop()
        values = self.stack[place:]
        del self.stack[place:]
        return values

    def last(self, count: int) -> list:
        return [self.stack.pop() for _ in range(count)][::-1]


def load(file: BinaryIO) -> object:
    """Return the next pickle of a file: dicts by text, lists, tuples, Tensors and plain values.

    `file` must not give room to more than it has, as mmap does. Memory is some times what is read.
    Raises ValueError, TypeError or LookupError for whatever a state dict has not.
    """
    machine = _Machine()
    for opcode, argument, _ in pickletools.genops(file):
        if opcode.name == "STOP":
            return machine.stack.pop()
        if opcode.name in PLAIN:
            machine.stack.append(argument)
        elif opcode.name in OPCODES:
            OPCODES[opcode.name](machine, argument)
        else:
            raise ValueError(FOREIGN.format(f"opcode {opcode.name}"))
    raise ValueError("a pickle without an end")


def _name(machine: _Machine, text: str) -> None:
    if text not in (DICT, TENSOR, *DTYPES):
        raise ValueError(FOREIGN.format(text.replace(" ", ".")))
    machine.stack.append(_Name(text))


def _call(machine: _Machine, _: None) -> None:
    called, arguments = machine.last(2)
    if not isinstance(called, _Name) or not isinstance(arguments, tuple):
        raise ValueError(FOREIGN.format("this call"))
    if called.text == DICT and not arguments:
        machine.stack.append({})
    elif called.text == TENSOR:
        machine.stack.append(_tensor(*arguments[:4]))
    else:
        raise ValueError(FOREIGN.format(f"a call of {called.text}"))


def _tensor(storage: object, offset: object, shape: object, strides: object) -> Tensor:
    if not (
        isinstance(storage, Storage)
        and isinstance(shape, tuple)
        and isinstance(strides, tuple)
        and len(shape) == len(strides)
        and all(isinstance(number, int) for number in (offset, *shape, *strides))
    ):
        raise ValueError(FOREIGN.format("this tensor"))
    return Tensor(storage, offset, shape, strides)


def _storage(machine: _Machine, _: None) -> None:
    kind, dtype, key, _, count, view = machine.stack.pop()
    if kind != "storage" or view is not None:
        raise ValueError("persistent id of an unknown kind")
    if not (isinstance(dtype, _Name) and isinstance(key, str) and isinstance(count, int)):
        raise ValueError(FOREIGN.format("this storage"))
    machine.stack.append(Storage(key, DTYPES[dtype.text], count))


def _set(machine: _Machine, pairs: list) -> None:
    names, values = pairs[::2], pairs[1::2]
    if not all(isinstance(name, str) for name in names):
        raise ValueError(FOREIGN.format("a name that is no text"))
    target = machine.stack[-1]
    if not isinstance(target, dict):
        raise ValueError(FOREIGN.format("this item"))
    target.update(zip(names, values, strict=True))


def _extend(machine: _Machine, values: list) -> None:
    if not isinstance(machine.stack[-1], list):
        raise ValueError(FOREIGN.format("this item"))
    machine.stack[-1].extend(values)


def _put(machine: _Machine, place: int) -> None:
    machine.memo[place] = machine.stack[-1]


def _get(machine: _Machine, place: int) -> None:
    machine.stack.append(machine.memo[place])


def _push(make: Callable[[_Machine], object]) -> Callable[[_Machine, object], None]:
    return lambda machine, _: machine.stack.append(make(machine))


OPCODES: dict[str, Callable[[_Machine, object], None]] = {
    "PROTO": lambda machine, _: None,
    "MARK": lambda machine, _: machine.marks.append(len(machine.stack)),
    "NONE": _push(lambda _: None),
    "NEWTRUE": _push(lambda _: True),
    "NEWFALSE": _push(lambda _: False),
    "EMPTY_TUPLE": _push(lambda _: ()),
    "TUPLE1": _push(lambda machine: (*machine.last(1),)),
    "TUPLE2": _push(lambda machine: (*machine.last(2),)),
    "TUPLE3": _push(lambda machine: (*machine.last(3),)),
    "TUPLE": _push(lambda machine: (*machine.after_mark(),)),
    "EMPTY_LIST": _push(lambda _: []),
    "APPEND": lambda machine, _: _extend(machine, machine.last(1)),
    "APPENDS": lambda machine, _: _extend(machine, machine.after_mark()),
    "EMPTY_DICT": _push(lambda _: {}),
    "SETITEM": lambda machine, _: _set(machine, machine.last(2)),
    "SETITEMS": lambda machine, _: _set(machine, machine.after_mark()),
    "BINPUT": _put,
    "LONG_BINPUT": _put,
    "BINGET": _get,
    "LONG_BINGET": _get,
    "GLOBAL": _name,
    "REDUCE": _call,
    "BUILD": lambda machine, _: machine.stack.pop(),  # attributes of a dict, which tell nothing
    "BINPERSID": _storage,
}
