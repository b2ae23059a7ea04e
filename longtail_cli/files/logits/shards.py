"""The files that logits come in, as tables of named tensors that are read a few rows at a time."""

from __future__ import annotations

import pickle
import tokenize
import warnings
import zipfile
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from io import FileIO
from math import prod
from pathlib import Path
from typing import IO, Any, Protocol

import msgspec
import numpy as np
import torch
from safetensors import SafetensorError, safe_open

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.source import check_readable

TensorBlock = Mapping[str, torch.Tensor]
"""The same rows of several tensors, on the CPU."""

Allocate = Callable[[tuple[int, ...], torch.dtype], torch.Tensor]
"""Gives a tensor of this shape and type, its content not looked at."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """Memory of its own."""
    return torch.empty(shape, dtype=dtype)


_SAFETENSORS_DTYPES = {
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip
_SITTING = 1 << 26  # a mapped file is opened anew after as many bytes, so that its pages leave the memory
_ITEM_BYTES = 4
_ZIP = b"PK\x03\x04"
_FIX_COPY = "write or copy the file again"
_FIX_PT = 'save a plain dict: torch.save({"logits": ..., "metadata": {"head": ...}}, path)'
_UNREADABLE_PT = (
    pickle.UnpicklingError,  # objects that are no tensors, or a damaged pickle
    RuntimeError,  # no zip archive, or a damaged one
    ValueError,
    TypeError,
    AttributeError,
    LookupError,
    ArithmeticError,
    AssertionError,
    EOFError,
    OSError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape and type of a tensor, by its header. dtype: the name, such as ``float16``."""

    shape: tuple[int, ...]
    dtype: str

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class Shard(Protocol):
    """One file of tensors."""

    @classmethod
    def opened(cls, path: Path) -> Shard:
        """The file by its headers. Raises InputError where it is damaged, or of another kind."""

    @property
    def path(self) -> Path:
        """Where it is."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """What it holds."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata that it holds itself; empty where it has none, or is of a kind that cannot have any."""

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """Consecutive rows of the tensors `names` from row 0 on, a block for each number of rows in `sizes`.

        allocate: where the first of the tensors may be read to; kinds that do without do not call it.
        A block stays valid whatever is read after it. Memory: the blocks that are still in use.
        Raises InputError where the file turns out to be damaged.
        """


@dataclass(frozen=True, slots=True)
class SafetensorsShard:
    """A ``.safetensors`` file. begin: where the content of each tensor begins, in bytes from the start of the file."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    begin: Mapping[str, int]

    @classmethod
    def opened(cls, path: Path) -> SafetensorsShard:
        """The file by its header. Raises InputError where it is no whole safetensors file."""
        with _readable_safetensors(path), safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (it is no mapping)
            tensors = {
                name: TensorInfo(tuple(one.get_shape()), _SAFETENSORS_DTYPES.get(one.get_dtype(), one.get_dtype()))
                for name, one in slices.items()
            }
            return cls(path, tensors, dict(file.metadata() or {}), _begins(path))

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. Rows are read, not mapped: the page faults of a mapping take longer than the copy."""
        with _readable_safetensors(self.path), self.path.open("rb", buffering=0) as file:
            start = 0
            for size in sizes:
                places = (allocate, *(empty for _ in names[1:]))
                yield {
                    name: self._rows(file, name, start, size, place) for name, place in zip(names, places, strict=True)
                }
                start += size

    def _rows(self, file: FileIO, name: str, start: int, size: int, allocate: Allocate) -> torch.Tensor:
        info = self.tensors[name]
        row_bytes = prod(info.shape[1:]) * getattr(torch, info.dtype).itemsize
        rows = allocate((size, *info.shape[1:]), getattr(torch, info.dtype))
        content = memoryview(rows.reshape(-1).view(torch.uint8).numpy().data)
        file.seek(self.begin[name] + start * row_bytes)
        done = 0
        while done < len(content):
            more = file.readinto(content[done:])
            if not more:
                raise OSError("the file ends too early; it seems to have changed meanwhile")
            done += more
        return rows


def _begins(path: Path) -> dict[str, int]:
    """Where the content of each tensor of a safetensors file begins; the library checks the header and keeps it."""
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = msgspec.json.decode(file.read(length))
    return {name: 8 + length + entry["data_offsets"][0] for name, entry in header.items() if name != "__metadata__"}


@dataclass(frozen=True, slots=True)
class TorchShard:
    """A ``.pt`` or ``.pth`` file: a dict of tensors, with or without a dict ``metadata`` of plain values."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]

    @classmethod
    def opened(cls, path: Path) -> TorchShard:
        """The file by its tensors, none of them read. Raises InputError where it holds anything else."""
        content = _mapped_pt(path)
        metadata = content.pop("metadata", {}) if isinstance(content, dict) else {}
        if not isinstance(content, dict) or not isinstance(metadata, dict):
            raise _no_dict_of_tensors(path, f"a {type(content).__name__} with metadata {type(metadata).__name__}")
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, torch.Tensor):
                raise _no_dict_of_tensors(path, f"{ascii(name)[:60]}: {type(value).__name__}")
            if value.layout != torch.strided or value.device.type != "cpu":
                raise _no_dict_of_tensors(path, f"{ascii(name)[:60]}: a tensor without dense content")
        tensors = {name: TensorInfo(tuple(one.shape), str(one.dtype)[6:]) for name, one in content.items()}
        return cls(path, tensors, metadata)

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. The rows are views of the mapped file, and keep it mapped for as long as they are used."""
        for spans in _sittings(sizes, _row_bytes(self.tensors, names)):
            content = _mapped_pt(self.path)
            for start, end in spans:
                yield {name: content[name].detach()[start:end] for name in names}


def _sittings(sizes: Iterable[int], row_bytes: int) -> Iterator[list[tuple[int, int]]]:
    """Consecutive spans of rows of the given `sizes`, in lists of about `_SITTING` bytes."""
    spans: list[tuple[int, int]] = []
    start = 0
    for size in sizes:
        spans.append((start, start + size))
        start += size
        if (start - spans[0][0]) * row_bytes >= _SITTING:
            yield spans
            spans = []
    if spans:
        yield spans


def _row_bytes(tensors: Mapping[str, TensorInfo], names: Sequence[str]) -> int:
    """About how many bytes a row of the tensors `names` takes together."""
    return sum(_ITEM_BYTES * prod(tensors[name].shape[1:]) for name in names)


@contextmanager
def _readable_safetensors(path: Path) -> Iterator[None]:
    """Raise InputError where the block meets something in `path` that is no safetensors file."""
    check_readable(path)
    try:
        yield
    except (SafetensorError, OSError, ValueError, RuntimeError) as error:
        raise damaged(path, "a whole safetensors file", error) from error


def _mapped_pt(path: Path) -> Any:
    """The content of a ``.pt`` file, its tensors mapped. Nothing but tensors and plain values is ever unpickled."""
    check_readable(path)
    with path.open("rb") as file:
        signature = file.read(len(_ZIP))
    if signature != _ZIP:
        found = "no zip archive, as torch.save writes since version 1.6"
        raise InputError(str(path), [Problem("content", "a whole file of torch.save", found)], _FIX_PT)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what the library warns of ends in an error
            return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
    except pickle.UnpicklingError as error:
        raise _no_dict_of_tensors(path, "other objects, or a damaged pickle; they are not loaded") from error
    except _UNREADABLE_PT as error:
        raise damaged(path, "a whole file of torch.save", error) from error


def _no_dict_of_tensors(path: Path, found: str) -> InputError:
    return InputError(
        str(path), [Problem("content", "a dict of tensors, and plain values as metadata", found)], _FIX_PT
    )


def damaged(path: Path, expected: str, error: BaseException) -> InputError:
    """The error of a file that is not of the kind its suffix says, or cut short."""
    text = str(error).strip() or type(error).__name__
    found = ascii(text.splitlines()[0][:150])[1:-1]
    return InputError(str(path), [Problem("content", expected, found)], _FIX_COPY)


_SUFFIX = ".npy"
_PIECE = 1 << 20  # bytes read at once: what is copied is still in the cache
_UNREADABLE = (
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,  # a damaged header
    SyntaxError,
    ValueError,
    TypeError,
    LookupError,
    RuntimeError,  # encrypted, or compressed in an unknown way
    EOFError,
    OSError,
    MemoryError,
)


@dataclass(frozen=True, slots=True)
class NpzShard:
    """A ``.npz`` file; it cannot hold metadata itself."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]

    @classmethod
    def opened(cls, path: Path) -> NpzShard:
        """The archive by the headers of its arrays. Raises InputError where one is damaged or cannot be streamed."""
        tensors = {}
        with _readable(path), zipfile.ZipFile(path) as archive:
            for member in archive.infolist():
                if member.filename.endswith(_SUFFIX):
                    with archive.open(member) as stream:
                        shape, dtype = _header(stream, member, path)
                    tensors[member.filename.removesuffix(_SUFFIX)] = TensorInfo(shape, dtype.name)
        return cls(path, tensors, {})

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. All members are read in lockstep; each is one stream."""
        with ExitStack() as stack:
            with _readable(self.path):
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                members = {name: archive.getinfo(name + _SUFFIX) for name in names}
                streams = {name: stack.enter_context(archive.open(member)) for name, member in members.items()}
                headers = {name: _header(streams[name], members[name], self.path) for name in names}
            for size in sizes:
                with _readable(self.path):
                    block = {name: _rows(streams[name], size, *headers[name]) for name in names}
                yield block


@contextmanager
def _readable(path: Path) -> Iterator[None]:
    """Raise InputError where the block meets something in `path` that is no archive of arrays."""
    check_readable(path)
    try:
        yield
    except _UNREADABLE as error:
        raise damaged(path, "a whole .npz file", error) from error


def _header(stream: IO[bytes], member: zipfile.ZipInfo, path: Path) -> tuple[tuple[int, ...], np.dtype[Any]]:
    """Shape and type of the array whose content follows in `stream`."""
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{member.filename} has version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, columns_first, dtype = read(stream)
    content = member.file_size - stream.tell()
    if any(size < 0 for size in shape) or (prod(shape) * dtype.itemsize != content and not dtype.hasobject):
        raise ValueError(f"{member.filename} has {content} bytes where shape {list(shape)} of {dtype} is announced")
    if columns_first and len(shape) > 1:
        problem = Problem(f"array `{member.filename}`", "C order, rows one after another", "Fortran order")
        raise InputError(str(path), [problem], "save numpy.ascontiguousarray of the array")
    return shape, dtype


def _rows(stream: IO[bytes], rows: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> torch.Tensor:
    """The next `rows` rows of an array, in native byte order."""
    array = np.empty((rows, *shape[1:]), dtype)
    content = array.reshape(-1).view(np.uint8).data
    done = 0
    while done < len(content):
        piece = stream.read(min(_PIECE, len(content) - done))
        if not piece:
            raise EOFError("the file ends early")
        content[done : done + len(piece)] = piece
        done += len(piece)
    return torch.from_numpy(array if dtype.isnative else array.astype(dtype.newbyteorder("=")))
