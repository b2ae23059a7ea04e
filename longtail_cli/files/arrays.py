"""NumPy's files, ``.npy`` and ``.npz``, by their headers: what they hold, before memory is taken for it."""

from __future__ import annotations

import warnings
import zipfile
from collections.abc import Callable, Iterator
from math import prod
from pathlib import Path
from typing import IO, Any, NamedTuple

import numpy as np
import numpy.typing as npt

from longtail_cli.files.reading import check_unpacked, reading

SUFFIX = ".npy"
"""Of the members of a ``.npz`` file."""

_ZIP = b"PK"


class Header(NamedTuple):
    """What the header of an array says."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    columns_first: bool
    """Whether it is in Fortran order; never true with fewer than two axes."""


def header_of(stream: IO[bytes], size: int, name: str) -> Header:
    """The header at the start of `stream`, of `size` bytes, which then is at the content.

    Raises ValueError and what NumPy raises if it is damaged, or does not describe as many bytes as follow.
    """
    version = np.lib.format.read_magic(stream)
    if version not in ((1, 0), (2, 0)):
        raise ValueError(f"{name} has version {version} of the format")
    read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # files of Python 2 are read, but NumPy finds them slow
        shape, columns_first, dtype = read(stream)
    content = size - stream.tell()
    if any(side < 0 for side in shape) or (prod(shape) * dtype.itemsize != content and not dtype.hasobject):
        raise ValueError(f"{name} has {content} bytes, but its header says shape {list(shape)} of {dtype}")
    return Header(shape, dtype, columns_first and len(shape) > 1)


def members_of(archive: zipfile.ZipFile, path: Path) -> Iterator[zipfile.ZipInfo]:
    """The arrays of a ``.npz`` file. Raises InputError if one unpacks to far more than it should."""
    packed = path.stat().st_size
    for member in archive.infolist():
        if member.filename.endswith(SUFFIX):
            where = f"array `{member.filename.removesuffix(SUFFIX)}`"
            check_unpacked(str(path), where, min(member.compress_size, packed), member.file_size)
            yield member


def load_arrays(
    path: Path, source: str, expected: str, fix: str, choose: Callable[[list[str]], list[str]] = list
) -> dict[str, npt.NDArray[Any]]:
    """Arrays of a ``.npz`` file by name, or that of a ``.npy`` file, whose name is empty; the first bytes tell which.

    source: what errors call it. expected, fix: what it should be, and how to make it. choose: which of the names to
    load; all without it.
    Raises InputError if the file is damaged, holds Python objects, or unpacks to far more than it should.
    """
    with reading(source, expected, fix), path.open("rb") as file:
        packed = file.read(len(_ZIP)) == _ZIP
        file.seek(0)
        if not packed:
            return {"": _loaded(file, path.stat().st_size, "the file")} if choose([""]) else {}
        with zipfile.ZipFile(file) as archive:
            members = {one.filename.removesuffix(SUFFIX): one for one in members_of(archive, path)}
            arrays = {}
            for name in choose(list(members)):
                with archive.open(members[name]) as stream:
                    arrays[name] = _loaded(stream, members[name].file_size, members[name].filename)
            return arrays


def _loaded(stream: IO[bytes], size: int, name: str) -> npt.NDArray[Any]:
    """The array in `stream`, of `size` bytes; its header is checked before memory is taken for its content."""
    shape, dtype, columns_first = header_of(stream, size, name)
    if dtype.hasobject:
        raise ValueError(f"Object arrays cannot be loaded: {name}")
    return np.ndarray(shape, dtype, stream.read(), order="F" if columns_first else "C")
