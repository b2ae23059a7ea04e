"""The objects of pickles that are read: arrays and scalars of NumPy, tensors of torch, and what is a plain container.

Tensors become arrays. NumPy has no bfloat16: its values are widened to float32, which holds all of them.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import prod
from typing import Any, Literal, NoReturn

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.pickle_machine import Attributes, Kind, Named, Unbuilt

Array = npt.NDArray[Any]
ByteOrder = Literal["<", ">"]

FIX = (
    "save plain data instead: NumPy arrays or torch tensors, in lists and dicts of text and numbers, with `torch.save` "
    "or `numpy.savez`; or COCO results as JSON"
)

STORAGES = {
    "DoubleStorage": "f8", "FloatStorage": "f4", "HalfStorage": "f2", "BFloat16Storage": "bfloat16",
    "LongStorage": "i8", "IntStorage": "i4", "ShortStorage": "i2", "CharStorage": "i1", "ByteStorage": "u1",
    "BoolStorage": "?", "ComplexFloatStorage": "c8", "ComplexDoubleStorage": "c16", "UntypedStorage": "u1",
}  # fmt: skip
TORCH_TYPES = {
    "float64": "f8", "float32": "f4", "float16": "f2", "bfloat16": "bfloat16", "int64": "i8", "int32": "i4",
    "int16": "i2", "int8": "i1", "uint8": "u1", "uint16": "u2", "uint32": "u4", "uint64": "u8", "bool": "?",
    "complex64": "c8", "complex128": "c16",
}  # fmt: skip

_TYPE = re.compile(r"[<>=|]?([?]|[biufc]\d{1,2}|[SU]\d{1,6})")
_TUPLES = (
    "transformers.trainer_utils.PredictionOutput",
    "transformers.trainer_utils.EvalLoopOutput",
)
"""Named tuples, read as tuples."""
_CLASSES = (
    "detectron2.structures.instances.Instances",
    "detectron2.structures.boxes.Boxes",
    "transformers.trainer_utils.EvalPrediction",
    "transformers.feature_extraction_utils.BatchFeature",
    "transformers.image_processing_base.BatchFeature",
)
"""Classes of data, of which the attributes are read, as a dict."""
_SUBCLASSES = (
    "torch.Tensor",
    "torch._tensor.Tensor",
    "torch.nn.parameter.Parameter",
    "torchvision.tv_tensors._bounding_boxes.BoundingBoxes",
    "torchvision.tv_tensors._mask.Mask",
)
"""Tensors with attributes, read without those."""


@dataclass(frozen=True, slots=True)
class Storage:
    """The numbers behind tensors."""

    values: Array
    """[M], widened if they are bfloat16."""
    kind: str
    """Their type as saved: ``bfloat16``, or NumPy's name."""


def storage_of(data: bytes, kind: str, numbers: object, order: ByteOrder) -> Storage:
    """Numbers of one kind. order: ``<`` or ``>``. Raises ValueError if there are fewer bytes than stated."""
    dtype = np.dtype("u2" if kind == "bfloat16" else kind).newbyteorder(order)
    count = _integer(numbers)
    if count < 0 or count * dtype.itemsize > len(data):
        raise ValueError(f"a storage of {count} numbers in {len(data)} bytes")
    values = np.frombuffer(data, dtype, count)
    return Storage(_widened(values) if kind == "bfloat16" else values, kind)


class Objects:
    """A `Maker` of data. `store` gives the storage of a persistent id; None where there is none."""

    def __init__(
        self,
        source: str,
        store: Callable[[Any], Any] | None = None,
        nested: Callable[[bytes], Any] | None = None,
    ) -> None:
        """source: what errors call the file. nested: reads a tensor's storage saved inside the pickle."""
        self.source = source
        self.store, self.nested = store, nested

    def named(self, name: str, position: int) -> Named:
        if name not in _MAKERS and not _is_inert(name):
            problem = Problem(
                f"byte {position} of the pickle", "arrays, tensors, and plain containers", f"the object `{name}`"
            )
            raise InputError(self.source, [problem], FIX)
        return Named(name)

    def made(self, named: Named, arguments: tuple[Any, ...]) -> Any:
        if named.name == "torch.storage._load_from_bytes" and self.nested is not None:
            return self.nested(_of(bytes, *arguments))
        if named.name not in _MAKERS:
            raise ValueError(f"a call of `{named.name}`")
        return _MAKERS[named.name](*arguments)

    def stored(self, key: Any) -> Any:
        if self.store is None:
            raise ValueError("a reference to data outside the pickle")
        return self.store(key)


def _is_inert(name: str) -> bool:
    """Whether an object may be named, as an argument."""
    module, _, last = name.rpartition(".")
    return (
        name in _INERT
        or (module in ("torch", "torch.storage") and last in STORAGES)
        or (module == "torch" and last in TORCH_TYPES)
    )


_INERT = frozenset(
    (
        "numpy.ndarray", "torch.storage._load_from_bytes", "builtins.list", "builtins.dict", "builtins.int",
        "builtins.float", "builtins.str", "builtins.object", "__builtin__.list", "__builtin__.dict", "__builtin__.int",
        "__builtin__.float", "__builtin__.object", *_SUBCLASSES,
    )
)  # fmt: skip


class _Type(Unbuilt):
    """A dtype; its byte order follows."""

    def __init__(self, name: str) -> None:
        if not _TYPE.fullmatch(name):
            objects = "an array of Python objects" if name[:1] == "O" else f"an array of the type {name[:20]!r}"
            raise ValueError(f"{objects}; numbers and text are read")
        self.dtype = np.dtype(name)

    def build(self, state: Any) -> np.dtype[Any]:
        order = _of(tuple, state)[1]
        if order not in ("<", ">", "=", "|"):
            raise ValueError(f"the byte order {order!r}")
        self.value = built = self.dtype.newbyteorder(order)
        return built


class _Array(Unbuilt):
    """An array; shape, type and content follow."""

    def build(self, state: Any) -> Array:
        _, shape, dtype, columns_first, data = _of(tuple, state)
        self.value = built = _array(data, dtype, shape, "F" if columns_first else "C")
        return built


def _array(data: Any, dtype: Any, shape: Any, order: str = "C") -> Array:
    if isinstance(data, list):
        raise ValueError("an array of Python objects; numbers and text are read")
    content = data.encode("latin-1") if isinstance(data, str) else _of(bytes, data)  # text in pickles of Python 2
    sides = _shape(shape)
    if prod(sides) * _of(np.dtype, dtype).itemsize != len(content):
        raise ValueError(f"an array of shape {list(sides)} and type {dtype} in {len(content)} bytes")
    return np.ndarray(sides, dtype, content, order="F" if order == "F" else "C")


def _scalar(dtype: Any, data: Any) -> Any:
    return _array(data, dtype, ())[()]


def _tensor(storage: Any, offset: Any, size: Any, stride: Any, *_: Any) -> Array:
    """A view of a storage, no larger than that."""
    values = _of(Storage, storage).values
    shape, steps, first = _shape(size), _shape(stride), _integer(offset)
    if len(shape) != len(steps) or first < 0:
        raise ValueError(f"a tensor of shape {list(shape)} with strides {list(steps)} from {first}")
    if prod(shape) == 0:
        return np.empty(shape, values.dtype)
    last = first + sum((side - 1) * step for side, step in zip(shape, steps, strict=True))
    if last >= len(values) or prod(shape) > len(values):
        found = f"a tensor of shape {list(shape)} with strides {list(steps)} in a storage of {len(values)} numbers"
        raise ValueError(f"{found}; save `tensor.contiguous()` or `tensor.clone()`")
    if _is_contiguous(shape, steps):
        return values[first : first + prod(shape)].reshape(shape)
    strides = [step * values.itemsize for step in steps]
    return np.lib.stride_tricks.as_strided(values[first:], shape, strides, writeable=False)


def _is_contiguous(shape: tuple[int, ...], steps: tuple[int, ...]) -> bool:
    """Whether the numbers of a tensor follow one another, the last axis first."""
    expected = 1
    for side, step in zip(shape[::-1], steps[::-1], strict=True):
        if step != expected and side != 1:
            return False
        expected *= side
    return True


def _typed_tensor(storage: Any, offset: Any, size: Any, stride: Any, _: Any, __: Any, kind: Any, *___: Any) -> Array:
    """A tensor of a type that has no storage of its own."""
    raw = _of(Storage, storage).values
    name = TORCH_TYPES.get(_of(Named, kind).name.removeprefix("torch."))
    if name is None:
        raise ValueError(f"a tensor of the type {_of(Named, kind).name}")
    width = 2 if name == "bfloat16" else np.dtype(name).itemsize
    return _tensor(storage_of(raw.tobytes(), name, len(raw) // width, "<"), offset, size, stride)


def _parameter(data: Any, *_: Any) -> Array:
    return _of(np.ndarray, data)


def _of_subclass(rebuild: Any, kind: Any, arguments: Any, _: Any = None) -> Any:
    if _of(Named, rebuild).name not in _TENSORS or _of(Named, kind).name not in _SUBCLASSES:
        raise ValueError("a tensor of an unknown class")
    return _TENSORS[rebuild.name](*_of(tuple, arguments))


def _encoded(text: Any, encoding: Any) -> bytes:
    """How protocols before 3 write bytes."""
    if encoding not in ("latin1", "latin-1"):
        raise ValueError("text in place of bytes")
    return _of(str, text).encode("latin-1")


def _dict(pairs: Any = ()) -> dict[Any, Any]:
    """An OrderedDict, or a Counter."""
    if isinstance(pairs, dict):
        return dict(pairs)
    plain: dict[Any, Any] = {}
    for pair in _sequence(pairs):
        key, value = _sequence(pair)
        if not isinstance(key, str | int | float | bytes | None):
            raise ValueError(f"{type(key).__name__} as a key")
        plain[key] = value
    return plain


def _members(values: Any = ()) -> set[Any]:
    found = list(_sequence(values))
    if not all(isinstance(one, str | int | float | bytes | None) for one in found):
        raise ValueError("a set of other than text and numbers")
    return set(found)


def _bytes(*values: Any) -> bytes:
    if values:
        raise ValueError("bytes with arguments")
    return b""


def _range(*bounds: Any) -> range:
    return range(*map(_integer, bounds))


def _slice(*bounds: Any) -> slice:
    return slice(*(None if bound is None else _integer(bound) for bound in bounds))


def _size(sides: Any = ()) -> tuple[int, ...]:
    return _shape(sides)


def _device(name: Any, index: Any = None) -> str:
    return _of(str, name)


def _attributes(*_: Any) -> Attributes:
    return Attributes()


def _new_object(kind: Any, *_: Any) -> Any:
    """An object of protocols 0 and 1, before its attributes."""
    if _of(Named, kind).name not in _CLASSES:
        raise ValueError(f"an object of `{_of(Named, kind).name}`")
    return Attributes()


def _shape(sides: Any) -> tuple[int, ...]:
    shape = tuple(map(_integer, _sequence(sides)))
    if any(side < 0 for side in shape) or len(shape) > 32:
        raise ValueError(f"the shape {list(shape[:32])}")
    return shape


def _integer(value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not -(1 << 62) < value < 1 << 62:
        raise ValueError(f"{type(value).__name__} in place of an integer")
    return value


def _of(kind: type[Kind], value: Any, *more: Any) -> Kind:
    if not isinstance(value, kind) or more:
        raise ValueError(f"{type(value).__name__} in place of {kind.__name__}")
    return value


def _sequence(value: Any) -> list[Any] | tuple[Any, ...]:
    if not isinstance(value, list | tuple):
        raise ValueError(f"{type(value).__name__} in place of a list")
    return value


def _widened(values: Array) -> Array:
    """bfloat16, as uint16, as float32: the upper half of its bits."""
    return (values.astype(np.uint32) << 16).view(np.float32)


_TENSORS: Mapping[str, Callable[..., Any]] = {
    "torch._utils._rebuild_tensor": _tensor,
    "torch._utils._rebuild_tensor_v2": _tensor,
    "torch._utils._rebuild_tensor_v3": _typed_tensor,
}
_MAKERS: Mapping[str, Callable[..., Any]] = {
    **_TENSORS,
    **{f"numpy.{core}.multiarray._reconstruct": lambda *_: _Array() for core in ("core", "_core")},
    **{f"numpy.{core}.multiarray.scalar": _scalar for core in ("core", "_core")},
    **{f"numpy.{core}.numeric._frombuffer": _array for core in ("core", "_core")},
    "numpy.dtype": lambda name, *_: _Type(_of(str, name)),
    "torch._utils._rebuild_parameter": _parameter,
    "torch._tensor._rebuild_from_type_v2": _of_subclass,
    "torch.Size": _size,
    "torch.device": _device,
    "torch.storage._load_from_bytes": lambda *_: _refuse(),
    "_codecs.encode": _encoded,
    "collections.OrderedDict": _dict,
    "collections.Counter": _dict,
    "collections.defaultdict": lambda *_: {},
    "copy_reg._reconstructor": _new_object,
    "copyreg._reconstructor": _new_object,
    **{
        f"{module}.{name}": make
        for module in ("builtins", "__builtin__")
        for name, make in (
            ("set", _members),
            ("frozenset", lambda *values: frozenset(_members(*values))),
            ("bytes", _bytes),
            ("bytearray", _bytes),
            ("range", _range),
            ("xrange", _range),
            ("slice", _slice),
            ("complex", complex),
        )
    },
    **dict.fromkeys(_TUPLES, lambda *values: values),
    **dict.fromkeys(_CLASSES, _attributes),
}


def _refuse() -> NoReturn:
    raise ValueError("a tensor saved inside another")
