"""The files and arrays that hold logits, as tables of named tensors that are read a few rows at a time."""

from __future__ import annotations

import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack
from dataclasses import dataclass, replace
from io import FileIO
from math import prod
from pathlib import Path
from typing import IO, Any, ClassVar, Protocol

import msgspec
import numpy as np
import numpy.typing as npt
import torch
from safetensors import SafetensorError, safe_open

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.arrays import SUFFIX, header_of, members_of
from longtail_cli.files.reading import FIX_COPY, reading
from longtail_cli.files.source import check_readable
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores import StoredFile, opened
from longtail_cli.files.texts import named_as_given

TensorBlock = Mapping[str, torch.Tensor]
"""The same rows of several tensors, on the CPU."""

Allocate = Callable[[tuple[int, ...], torch.dtype], torch.Tensor]
"""Gives a tensor of this shape and type; its content does not matter."""


def empty(shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
    """A new tensor."""
    return torch.empty(shape, dtype=dtype)


_SAFETENSORS_DTYPES = {
    "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "I8": "int8", "I16": "int16", "I32": "int32", "I64": "int64",
    "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "BOOL": "bool",
}  # fmt: skip
_REOPEN_BYTES = 1 << 26  # a mapped file is reopened after this many bytes, so that its pages leave the memory
_LONGEST_HEADER = 100_000_000  # the library's limit
_ITEM_BYTES = 4
_ZIP = b"PK\x03\x04"
_SAFETENSORS = "a complete safetensors file"
_TORCH = "a complete file of torch.save"
_NPY = "a complete .npy file"
_FIX_PT = 'save a plain dict: torch.save({"logits": ..., "metadata": {"head": ...}}, path)'


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Shape and type of a tensor, from its header."""

    shape: tuple[int, ...]
    dtype: str
    """The name, such as ``float16``."""

    def __str__(self) -> str:
        return f"{self.dtype} {list(self.shape)}"


class Shard(Protocol):
    """One file of tensors, or arrays in memory."""

    @property
    def path(self) -> Path:
        """The file, or the name of the arrays."""

    @property
    def tensors(self) -> Mapping[str, TensorInfo]:
        """Shape and type of each tensor."""

    @property
    def metadata(self) -> dict[str, Any]:
        """The metadata inside the file; empty if it has none, or cannot have any."""

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """Consecutive rows of the tensors `names` from row 0 on, one block for each number of rows in `sizes`.

        allocate: gives the memory that the first of the tensors is read into; kinds that bring their own ignore it.
        A block stays valid whatever is read after it. Memory: the blocks that are still in use.
        Raises InputError if the file turns out to be damaged.
        """


@dataclass(frozen=True, slots=True)
class MemoryShard:
    """NumPy arrays and torch tensors in memory."""

    path: Path
    """A name for messages; not a file."""
    arrays: Mapping[str, npt.NDArray[Any] | torch.Tensor]
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, arrays: Mapping[str, Any], name: str, metadata: Mapping[str, Any] | None = None) -> MemoryShard:
        """The arrays by shape and type; nothing is copied.

        Raises InputError for nested lists of different lengths, and for sparse and meta tensors.
        """
        held = {key: _array(value, f"`{key}`", name) for key, value in arrays.items()}
        tensors = {key: TensorInfo(tuple(array.shape), _dtype(array)) for key, array in held.items()}
        return cls(Path(name), held, tensors, dict(metadata or {}))

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. The rows are views of the arrays wherever torch can use them as they are."""
        start = 0
        for size in sizes:
            rows = slice(start, start + size)
            yield {name: _tensor(self.arrays[name][rows], self.tensors[name].dtype) for name in names}
            start += size


def _array(value: object, where: str, source: str) -> npt.NDArray[Any] | torch.Tensor:
    if isinstance(value, torch.Tensor):
        if _is_dense(value) and value.device.type != "meta":
            return _plain(value)
        found = "a tensor without dense content"
    else:
        try:
            return np.asarray(value)
        except ValueError:
            found = "rows of different lengths"
    raise InputError(source, [Problem(where, "an array", found)], "pass a NumPy array or a torch tensor")


def _dtype(array: npt.NDArray[Any] | torch.Tensor) -> str:
    """The name of the type, as torch has it."""
    if isinstance(array, torch.Tensor):
        return str(array.dtype).removeprefix("torch.")
    return array.dtype.name if array.dtype.kind in "biuf" else f"NumPy's {array.dtype.name}"


def _tensor(array: npt.NDArray[Any] | torch.Tensor, dtype: str) -> torch.Tensor:
    """The array on the CPU; copied only if it is elsewhere, of another type, or in a memory order torch cannot use."""
    if isinstance(array, np.ndarray):
        native = np.require(array, array.dtype.newbyteorder("="), ["C", "W"])
        array = torch.from_numpy(native.copy() if min(native.strides, default=0) < 0 else native)
    return array.to("cpu", getattr(torch, dtype))


@dataclass(frozen=True, slots=True)
class SafetensorsShard:
    """A ``.safetensors`` file."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]
    offsets: Mapping[str, int]
    """Where the content of each tensor begins, in bytes from the start of the file."""
    first: int = 0
    """Of some rows of a file alone, the row of the file that they begin with."""
    stored: StoredFile | None = None
    """The object of a store that is read, whose URL as a path is `path`; None for a file of this machine."""

    @classmethod
    def open(cls, path: Path) -> SafetensorsShard:
        """The file by its header. Raises InputError if it is not a complete safetensors file."""
        with _readable_safetensors(path), safe_open(path, "pt") as file:
            slices = {name: file.get_slice(name) for name in file.keys()}  # noqa: SIM118  (not a mapping)
            tensors = {
                name: TensorInfo(tuple(one.get_shape()), _SAFETENSORS_DTYPES.get(one.get_dtype(), one.get_dtype()))
                for name, one in slices.items()
            }
            return cls(path, tensors, dict(file.metadata() or {}), _offsets(path))

    @classmethod
    def open_stored(cls, file: StoredFile) -> SafetensorsShard:
        """An object of a store by its header, read from there; it is checked in a file of its size without content.

        Raises InputError as `open` and `opened`.
        """
        with private_folder(temporary_folder()) as folder, opened(file) as stream:
            path = folder / file.name
            with path.open("wb") as copy:
                length = stream.read(8)
                copy.write(length + stream.read(min(int.from_bytes(length, "little"), file.size, _LONGEST_HEADER)))
                copy.truncate(file.size)
            with named_as_given({str(path): file.location}):
                found = cls.open(path)
        return replace(found, path=Path(file.location), stored=file)

    def rows(self, first: int, number: int, names: Iterable[str]) -> SafetensorsShard:
        """Consecutive rows of the tensors `names`, as a shard of its own."""
        tensors = {
            name: TensorInfo((number, *self.tensors[name].shape[1:]), self.tensors[name].dtype) for name in names
        }
        offsets = {name: self.offsets[name] + first * self.row_bytes(name) for name in tensors}
        return SafetensorsShard(self.path, tensors, self.metadata, offsets, self.first + first, self.stored)

    def index_of(self, row: int) -> int:
        """The row of the file that is row `row` here."""
        return self.first + row

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. Rows are read, not mapped: the page faults of a mapping cost more than the copy."""
        file: IO[bytes] | FileIO
        with ExitStack() as stack:
            if self.stored is not None:
                file = stack.enter_context(opened(self.stored))
            else:
                with _readable_safetensors(self.path):
                    file = stack.enter_context(self.path.open("rb", buffering=0))
            start = 0
            for size in sizes:
                with reading(str(self.path), _SAFETENSORS):
                    block = {
                        name: self._rows(file, name, start, size, empty if index else allocate)
                        for index, name in enumerate(names)
                    }
                yield block
                start += size

    def _rows(self, file: IO[bytes] | FileIO, name: str, start: int, size: int, allocate: Allocate) -> torch.Tensor:
        info = self.tensors[name]
        rows = allocate((size, *info.shape[1:]), getattr(torch, info.dtype))
        content = memoryview(rows.reshape(-1).view(torch.uint8).numpy().data)
        file.seek(self.offsets[name] + start * self.row_bytes(name))
        done = 0
        while done < len(content):
            more = file.readinto(content[done:])  # type: ignore[union-attr]
            if not more:
                raise OSError("the file ends early; it seems to have changed since it was opened")
            done += more
        return rows

    def row_bytes(self, name: str) -> int:
        """The size of one row of a tensor."""
        info = self.tensors[name]
        return prod(info.shape[1:]) * int(getattr(torch, info.dtype).itemsize)


def _offsets(path: Path) -> dict[str, int]:
    """Where the content of each tensor of a safetensors file begins; the library checks the header but hides this."""
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
    def open(cls, path: Path) -> TorchShard:
        """The file by its tensors, none of them read. Raises InputError if it holds anything else."""
        content = _mapped_pt(path)
        metadata = content.pop("metadata", {}) if isinstance(content, dict) else {}
        if not isinstance(content, dict) or not isinstance(metadata, dict):
            raise _not_tensors(path, f"a {type(content).__name__} with metadata {type(metadata).__name__}")
        for name, value in content.items():
            if not isinstance(name, str) or not isinstance(value, torch.Tensor):
                raise _not_tensors(path, f"{ascii(name)[:60]}: {type(value).__name__}")
            if not _is_dense(value) or value.device.type != "cpu":
                raise _not_tensors(path, f"{ascii(name)[:60]}: a tensor without dense content")
            if value.numel() * value.itemsize > value.untyped_storage().nbytes():
                raise _not_tensors(path, f"{ascii(name)[:60]}: an expanded tensor, whose rows share their content")
        tensors = {name: TensorInfo(tuple(one.shape), str(one.dtype)[6:]) for name, one in content.items()}
        return cls(path, tensors, metadata)

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. The rows are views of the mapped file and keep it mapped while they are in use."""
        for spans in _readings(sizes, _row_bytes(self.tensors, names)):
            content = _mapped_pt(self.path)
            for start, end in spans:
                yield {name: _plain(content[name][start:end]) for name in names}


def _is_dense(tensor: torch.Tensor) -> bool:
    """Whether every element is stored as it is, with rows all of one length."""
    return tensor.layout == torch.strided and not tensor.is_nested and not tensor.is_quantized


def _plain(tensor: torch.Tensor) -> torch.Tensor:
    """The tensor without gradient, its values as they count; a tensor may be marked as the negative of its content."""
    return tensor.detach().resolve_conj().resolve_neg()


def _readings(sizes: Iterable[int], row_bytes: int) -> Iterator[list[tuple[int, int]]]:
    """Consecutive spans of rows of the given `sizes`, in lists of about `_REOPEN_BYTES`."""
    spans: list[tuple[int, int]] = []
    start = 0
    for size in sizes:
        spans.append((start, start + size))
        start += size
        if (start - spans[0][0]) * row_bytes >= _REOPEN_BYTES:
            yield spans
            spans = []
    if spans:
        yield spans


def _row_bytes(tensors: Mapping[str, TensorInfo], names: Sequence[str]) -> int:
    """About how many bytes one row of all tensors `names` takes."""
    return sum(_ITEM_BYTES * prod(tensors[name].shape[1:]) for name in names)


def _readable_safetensors(path: Path) -> AbstractContextManager[None]:
    """Raise InputError if `path` turns out not to be a safetensors file."""
    check_readable(path)
    return reading(str(path), _SAFETENSORS, FIX_COPY, SafetensorError)


def _mapped_pt(path: Path) -> Any:
    """The content of a ``.pt`` file, its tensors mapped. Only tensors and plain values are ever unpickled."""
    check_readable(path)
    with path.open("rb") as file:
        signature = file.read(len(_ZIP))
    if signature != _ZIP:
        found = "a file without the zip archive that torch.save writes since version 1.6"
        raise InputError(str(path), [Problem("content", "a complete file of torch.save", found)], _FIX_PT)
    with reading(str(path), _TORCH), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # whatever the library warns about ends in an error
        try:
            return torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError as error:
            raise _not_tensors(path, "other objects, or a damaged pickle; they are not loaded") from error


def _not_tensors(path: Path, found: str) -> InputError:
    return InputError(
        str(path), [Problem("content", "a dict of tensors, and plain values as metadata", found)], _FIX_PT
    )


def holds_tensors(path: Path) -> bool:
    """Whether a file of torch.save is a dict of tensors, with or without `metadata`, which can be mapped."""
    check_readable(path)
    with reading(str(path), _TORCH), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            content = torch.load(path, map_location="cpu", mmap=True, weights_only=True)
        except pickle.UnpicklingError:
            return False
    tensors = [value for name, value in content.items() if name != "metadata"] if isinstance(content, dict) else []
    return bool(tensors) and all(isinstance(value, torch.Tensor) for value in tensors)


_PIECE = 1 << 20  # bytes read at once, so that what is copied is still in the cache


@dataclass(frozen=True, slots=True)
class NpzShard:
    """A ``.npz`` file, which cannot hold metadata itself."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]

    @classmethod
    def open(cls, path: Path) -> NpzShard:
        """The archive by the headers of its arrays. Raises InputError if one is damaged."""
        tensors = {}
        with _readable(path), zipfile.ZipFile(path) as archive:
            for member in members_of(archive, path):
                with archive.open(member) as stream:
                    header = header_of(stream, member.file_size, member.filename)
                tensors[member.filename.removesuffix(SUFFIX)] = TensorInfo(header.shape, header.dtype.name)
        return cls(path, tensors, {})

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`. All members are read in lockstep, each as one stream.

        An array in Fortran order has its first row complete at its end only: all of it is held in memory.
        """
        with ExitStack() as stack:
            with _readable(self.path):
                archive = stack.enter_context(zipfile.ZipFile(self.path))
                members = {name: archive.getinfo(name + SUFFIX) for name in names}
                rows = {
                    name: _rows_of(stack.enter_context(archive.open(one)), one.file_size, one.filename)
                    for name, one in members.items()
                }
            for size in sizes:
                with _readable(self.path):
                    block = {name: take(size) for name, take in rows.items()}
                yield block


@dataclass(frozen=True, slots=True)
class NpyShard:
    """A ``.npy`` file: one array, which is called `NAME`."""

    path: Path
    tensors: Mapping[str, TensorInfo]
    metadata: dict[str, Any]

    NAME: ClassVar[str] = "arr_0"

    @classmethod
    def open(cls, path: Path) -> NpyShard:
        """The file by its header. Raises InputError if it is damaged."""
        check_readable(path)
        with reading(str(path), _NPY), path.open("rb") as file:
            header = header_of(file, path.stat().st_size, "the file")
        return cls(path, {cls.NAME: TensorInfo(header.shape, header.dtype.name)}, {})

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[TensorBlock]:
        """As `Shard.blocks`; all of an array in Fortran order is held in memory."""
        with ExitStack() as stack:
            with reading(str(self.path), _NPY):
                file = stack.enter_context(self.path.open("rb"))
                take = _rows_of(file, self.path.stat().st_size, self.path.name)
            for size in sizes:
                with reading(str(self.path), _NPY):
                    block = dict.fromkeys(names, take(size))
                yield block


def _readable(path: Path) -> AbstractContextManager[None]:
    """Raise InputError if `path` turns out not to be an archive of arrays."""
    check_readable(path)
    return reading(str(path), "a complete .npz file")


def _rows_of(stream: IO[bytes], size: int, name: str) -> Callable[[int], torch.Tensor]:
    """A function that returns the next rows of the array in `stream`, of `size` bytes, as many as it is asked for."""
    shape, dtype, columns_first = header_of(stream, size, name)
    if not columns_first:
        return lambda rows: _rows(stream, rows, shape, dtype)
    first, whole = 0, _rows(stream, shape[-1], shape[::-1], dtype).permute(*reversed(range(len(shape))))

    def take(rows: int) -> torch.Tensor:
        nonlocal first
        first += rows
        return whole[first - rows : first].contiguous()

    return take


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
