"""Logits as a ``.npz`` archive of NumPy arrays, compressed or not, read as a stream."""

from __future__ import annotations

import tokenize
import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import IO, Any

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logit_shards import Allocate, Block, TensorInfo, damaged, empty
from longtail_cli.files.source import check_readable

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

    def blocks(self, names: Sequence[str], sizes: Iterable[int], allocate: Allocate = empty) -> Iterator[Block]:
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
