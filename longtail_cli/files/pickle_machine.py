"""The stack machine of Python's pickles, for data alone: it builds plain containers, and looks up nothing by name.

Objects that a pickle names go through a `Maker`, which knows a few and refuses the rest. Nothing is imported or called
on behalf of the file. Opcodes and their arguments are those of `pickletools` (protocols 0 to 5).
"""

from __future__ import annotations

import ast
import pickletools
import sys
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import numpy as np

Kind = TypeVar("Kind")


class Stream(Protocol):
    """A binary file, or a mapped one."""

    def read(self, size: int, /) -> bytes: ...
    def readline(self) -> bytes: ...
    def tell(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Named:
    """An object that a pickle refers to."""

    name: str
    """Module and name, such as ``collections.OrderedDict``."""


class Attributes(dict[str, Any]):
    """The attributes of an object, in place of the object."""


class Unbuilt(ABC):
    """An object whose content follows after it was first named."""

    value: Any = None
    """What it becomes."""

    @abstractmethod
    def build(self, state: Any) -> Any:
        """Take the content; returns the value."""


class Maker(Protocol):
    """Makes the objects that are not plain containers."""

    def named(self, name: str, position: int) -> Any:
        """What is meant by a name. Raises InputError for one that is not known."""

    def made(self, named: Named, arguments: tuple[Any, ...]) -> Any:
        """The object that a call would return. Raises ValueError for arguments that it does not take."""

    def stored(self, key: Any) -> Any:
        """The object that is stored outside the pickle under a key."""


_SCALARS = (str, int, float, bytes, bool, type(None), np.generic)
_MOST_IN_KEY = 64
_MOST_SETS, _SET_BYTES = 1000, 100
"""A set takes two hundred bytes of memory for one of the file: beyond the first, one for so many bytes is enough."""


class Machine:
    """Runs one pickle.

    Memory is in proportion to the bytes that are read: each opcode makes at most one object of some bytes.
    """

    def __init__(self, stream: Stream, maker: Maker) -> None:
        self.stream, self.maker = stream, maker
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.sets = 0

    def run(self) -> Any:
        """The object that is pickled; the stream is then after it.

        Raises ValueError, IndexError, KeyError, TypeError or what `pickletools` raises if the pickle is damaged, and
        what the maker raises.
        """
        read, actions = self.stream.read, _ACTIONS
        while True:
            code = read(1)
            if not code:
                raise ValueError("the end of the file before that of the pickle")
            if code == b".":
                return self.stack.pop()
            if code == b"q":  # a third of all, BINPUT
                self.memo[read(1)[0]] = self.stack[-1]
                continue
            if code == b"r":  # LONG_BINPUT
                self.memo[int.from_bytes(read(4), "little")] = self.stack[-1]
                continue
            if code not in actions:
                raise ValueError(f"the byte {code!r} in place of an opcode")
            argument, action = actions[code]
            action(self, None if argument is None else argument(self.stream))

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def mark(self, _: None) -> None:
        self.below.append(self.stack)
        self.stack = []

    def marked(self) -> list[Any]:
        """What was pushed since the last mark, which is removed."""
        values, self.stack = self.stack, self.below.pop()
        return values

    def pop(self, _: None) -> None:
        if self.stack:
            self.stack.pop()
        else:
            self.marked()

    def put(self, number: int) -> None:
        self.memo[number] = self.stack[-1]

    def memoize(self, _: None) -> None:
        self.memo[len(self.memo)] = self.stack[-1]

    def get(self, number: int) -> None:
        if number not in self.memo:
            raise ValueError(f"a reference to object {number}, which there is not")
        value = self.memo[number]
        self.push(value if not isinstance(value, Unbuilt) or value.value is None else value.value)

    def take(self, number: int) -> list[Any]:
        """The last `number` values, which are removed."""
        if len(self.stack) < number:
            raise IndexError("fewer values than an opcode takes")
        values = self.stack[-number:]
        del self.stack[-number:]
        return values

    def append(self, _: None) -> None:
        (value,) = self.take(1)
        _a(list, self.stack[-1]).append(value)

    def appends(self, _: None) -> None:
        values = self.marked()
        _a(list, self.stack[-1]).extend(values)

    def set_items(self, pairs: list[Any]) -> None:
        target = _a(dict, self.stack[-1])
        for key, value in zip(pairs[::2], pairs[1::2], strict=True):
            target[_hashable(key)] = value

    def empty_set(self, _: None) -> None:
        self.count_set()
        self.push(set())

    def frozen_set(self, _: None) -> None:
        self.count_set()
        self.push(frozenset(map(_hashable, self.marked())))

    def count_set(self) -> None:
        self.sets += 1
        if self.sets > _MOST_SETS + self.stream.tell() // _SET_BYTES:
            raise ValueError("more sets than data")

    def add_items(self, _: None) -> None:
        values = self.marked()
        _a(set, self.stack[-1]).update(map(_hashable, values))

    def dict_of(self, _: None) -> None:
        pairs = self.marked()
        self.push({})
        self.set_items(pairs)

    def refer(self, name: str) -> None:
        self.push(self.maker.named(name.replace(" ", "."), self.stream.tell()))

    def refer_to_texts(self, _: None) -> None:
        module, name = self.take(2)
        self.refer(f"{_a(str, module)} {_a(str, name)}")

    def reduce(self, _: None) -> None:
        named, arguments = self.take(2)
        self.push(self.maker.made(_a(Named, named), _a(tuple, arguments)))

    def new_with_keywords(self, _: None) -> None:
        named, arguments, keywords = self.take(3)
        if keywords:
            raise ValueError("an object with keyword arguments")
        self.push(self.maker.made(_a(Named, named), _a(tuple, arguments)))

    def build(self, _: None) -> None:
        target, state = self.take(2)
        if isinstance(target, Unbuilt):
            target = target.build(state)
        elif isinstance(target, Attributes):
            for part in state if isinstance(state, tuple) else (state,):  # the second part is of __slots__
                target.update({_a(str, name): value for name, value in _a(dict, part or {}).items()})
        elif not isinstance(target, dict):  # such as OrderedDict, whose attributes say nothing
            raise TypeError(f"a {type(target).__name__} with attributes")
        self.push(target)

    def stored(self, _: None) -> None:
        (key,) = self.take(1)
        self.push(self.maker.stored(key))


def _a(kind: type[Kind], value: Any) -> Kind:
    """The value, if it is of a kind. Raises TypeError."""
    if not isinstance(value, kind):
        raise TypeError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _hashable(key: Any) -> Any:
    """A key or a member of a set: hashing nested tuples can take forever, and more of the stack than there is."""
    flat = isinstance(key, tuple) and len(key) <= _MOST_IN_KEY and all(isinstance(one, _SCALARS) for one in key)
    if not flat and not isinstance(key, (*_SCALARS, Named)):
        raise TypeError(f"{type(key).__name__} as a key")
    return key


def _unsigned(width: int) -> Callable[[Stream], int]:
    def read(stream: Stream) -> int:
        data = stream.read(width)
        if len(data) < width:
            raise ValueError("the end of the file within a number")
        return int.from_bytes(data, "little")

    return read


def _sized(width: int) -> Callable[[Stream], bytes]:
    """Bytes after their number, which has `width` bytes."""
    length = _unsigned(width)

    def read(stream: Stream) -> bytes:
        size = length(stream)
        data = stream.read(min(size, sys.maxsize))
        if len(data) < size:
            raise ValueError(f"{size} bytes are stated, {len(data)} remain")
        return data

    return read


_read_text = _sized(4)


def _text(stream: Stream) -> str:
    return _read_text(stream).decode("utf-8", "surrogatepass")


def _old_text(stream: Stream) -> str:
    """A quoted text of Python 2, one character for each byte."""
    value = ast.literal_eval("b" + stream.readline().decode("ascii").strip())
    return _a(bytes, value).decode("latin-1")


def _constant(value: Any) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.push(value)


def _tuple(number: int) -> Callable[[Machine, Any], None]:
    return lambda machine, _: machine.push(tuple(machine.take(number)))


def _ignored(machine: Machine, argument: Any) -> None:
    pass


_BY_NAME: dict[str, Callable[[Machine, Any], None]] = {
    **dict.fromkeys(
        (
            "INT",
            "BININT",
            "BININT1",
            "BININT2",
            "LONG",
            "LONG1",
            "LONG4",
            "FLOAT",
            "BINFLOAT",
            "STRING",
            "BINSTRING",
            "SHORT_BINSTRING",
            "UNICODE",
            "BINUNICODE",
            "SHORT_BINUNICODE",
            "BINUNICODE8",
            "BINBYTES",
            "SHORT_BINBYTES",
            "BINBYTES8",
            "BYTEARRAY8",
        ),
        Machine.push,
    ),
    **dict.fromkeys(("PROTO", "FRAME"), _ignored),
    **dict.fromkeys(("PUT", "BINPUT", "LONG_BINPUT"), Machine.put),
    **dict.fromkeys(("GET", "BINGET", "LONG_BINGET"), Machine.get),
    "NONE": _constant(None),
    "NEWTRUE": _constant(True),
    "NEWFALSE": _constant(False),
    "EMPTY_TUPLE": _constant(()),
    "EMPTY_LIST": lambda machine, _: machine.push([]),
    "EMPTY_DICT": lambda machine, _: machine.push({}),
    "EMPTY_SET": Machine.empty_set,
    "LIST": lambda machine, _: machine.push(machine.marked()),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.marked())),
    "TUPLE1": _tuple(1),
    "TUPLE2": _tuple(2),
    "TUPLE3": _tuple(3),
    "DICT": Machine.dict_of,
    "FROZENSET": Machine.frozen_set,
    "APPEND": Machine.append,
    "APPENDS": Machine.appends,
    "SETITEM": lambda machine, _: machine.set_items(machine.take(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.marked()),
    "ADDITEMS": Machine.add_items,
    "MARK": Machine.mark,
    "POP": Machine.pop,
    "POP_MARK": lambda machine, _: _ignored(machine, machine.marked()),
    "DUP": lambda machine, _: machine.push(machine.stack[-1]),
    "MEMOIZE": Machine.memoize,
    "GLOBAL": Machine.refer,
    "STACK_GLOBAL": Machine.refer_to_texts,
    "REDUCE": Machine.reduce,
    "NEWOBJ": Machine.reduce,
    "NEWOBJ_EX": Machine.new_with_keywords,
    "BUILD": Machine.build,
    "BINPERSID": Machine.stored,
}
_ARGUMENTS: dict[str, Callable[[Any], Any]] = {
    "STRING": _old_text,
    "BYTEARRAY8": _sized(8),
    **dict.fromkeys(("BININT1", "BINPUT", "BINGET"), _unsigned(1)),  # the most frequent ones, at double speed
    "BININT2": _unsigned(2),
    **dict.fromkeys(("LONG_BINPUT", "LONG_BINGET"), _unsigned(4)),
    "BINUNICODE": _text,
}


def _refused(name: str) -> Callable[[Machine, Any], None]:
    def refuse(machine: Machine, argument: Any) -> None:
        raise ValueError(f"the opcode {name}, which is not for data")

    return refuse


_ACTIONS: dict[bytes, tuple[Callable[[Any], Any] | None, Callable[[Machine, Any], None]]] = {
    one.code.encode("latin-1"): (
        _ARGUMENTS.get(one.name, one.arg.reader if one.arg else None),
        _BY_NAME.get(one.name, _refused(one.name)),
    )
    for one in pickletools.opcodes
}
