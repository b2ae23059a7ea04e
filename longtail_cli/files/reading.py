"""What libraries raise while they read a file, as errors about that file; and limits for what a small file may become.

A damaged or hostile file can make a library raise almost anything. `reading` is put around calls of libraries alone, so
that a mistake in this package still shows as one.
"""

from __future__ import annotations

import csv
import lzma
import pickle
import struct
import tokenize
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import msgspec

from longtail_cli.errors import InputError, Problem

if TYPE_CHECKING:
    from pyarrow.parquet import FileMetaData

UNREADABLE: tuple[type[Exception], ...] = (
    OSError,
    EOFError,
    ValueError,  # also what cannot be decoded, and integers of more digits than Python converts
    TypeError,
    LookupError,
    ArithmeticError,
    AttributeError,
    AssertionError,
    RuntimeError,  # also nesting that is too deep, and what a library has not implemented
    SyntaxError,  # in the header of an array
    MemoryError,
    BufferError,
    struct.error,
    zlib.error,
    lzma.LZMAError,
    zipfile.BadZipFile,
    tokenize.TokenError,
    pickle.UnpicklingError,
    csv.Error,
    msgspec.MsgspecError,
)
"""What the libraries raise that read files, apart from exceptions of their own that are costly to import."""

FIX_COPY = "write or copy the file again"
FIX_MEMORY = "read it on a machine with more memory, or check that the file is not damaged"

UNPACKED_BYTES = 1 << 30
UNPACKED_RATIO = 100
"""What is compressed may become as large as `UNPACKED_BYTES`, or larger up to this many times its packed size."""

_ROW_BYTES = 8


@contextmanager
def reading(
    source: str, expected: str, fix: str = FIX_COPY, *own: type[Exception], where: str = "content"
) -> Iterator[None]:
    """Turn what a library raises in the block into an InputError about `source`; LtcalErrors pass.

    expected: what the content should be, for example ``"JSON"``. own: the exceptions of a library that are its own.
    where: which part of the file is read.
    """
    try:
        yield
    except (*UNREADABLE, *own) as error:
        raise _unreadable(source, where, expected, fix, error) from error


def _unreadable(source: str, where: str, expected: str, fix: str, error: Exception) -> InputError:
    if isinstance(error, MemoryError):
        problem = Problem(where, f"{expected} that fits into memory", "more than there is memory for")
        return InputError(source, [problem], FIX_MEMORY)
    return InputError(source, [Problem(where, expected, message_of(error))], fix)


def message_of(error: BaseException) -> str:
    """The message of an exception, its first line; its type if it has none."""
    if isinstance(error, RecursionError):
        return "too many levels"
    lines = str(error).strip().splitlines()
    return lines[0].partition("; use sys.set_int_max_str_digits")[0] if lines else type(error).__name__


def check_unpacked(source: str, where: str, packed: int, unpacked: int) -> None:
    """Raise InputError if `packed` bytes become so many `unpacked` ones that they can only be meant to fill a machine.

    where: the part of the file that is compressed.
    """
    if unpacked > max(UNPACKED_BYTES, UNPACKED_RATIO * packed):
        expected = f"at most {UNPACKED_RATIO} times its packed size of {packed:,} bytes, or 1 GiB"
        problem = Problem(where, f"content that unpacks to {expected}", f"{unpacked:,} bytes or more")
        raise InputError(source, [problem], "if this is meant, unpack it first and pass the unpacked file")


def check_parquet(metadata: FileMetaData, source: str, packed: int) -> None:
    """Raise InputError if a Parquet file of `packed` bytes states that it unpacks to far more than it should.

    A column of equal values takes next to nothing, so the rows are counted too, with `_ROW_BYTES` each.
    """
    groups = map(metadata.row_group, range(metadata.num_row_groups))
    unpacked = max(sum(group.total_byte_size for group in groups), metadata.num_rows * _ROW_BYTES)
    check_unpacked(source, "table", packed, unpacked)
