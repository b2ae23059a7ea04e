"""Input files as plain bytes: memory-mapped, decompressed first where they end in ``.gz``."""

from __future__ import annotations

import gzip
import hashlib
import mmap
import os
import shutil
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import InputError, Problem


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """A path to the uncompressed content of `path`: itself, or for ``.gz`` a temporary file that is removed after.

    Raises InputError where `path` is no readable, non-empty file, or no whole gzip stream.
    """
    check_readable(path)
    if path.suffix != ".gz":
        yield path
        return
    with tempfile.TemporaryDirectory(prefix="ltcal-") as folder:
        plain = Path(folder) / path.stem
        try:
            with gzip.open(path) as packed, plain.open("wb") as unpacked:
                shutil.copyfileobj(packed, unpacked, 1 << 20)
        except (EOFError, gzip.BadGzipFile, zlib.error) as error:
            problem = Problem("content", "a whole gzip stream", str(error))
            raise InputError(str(path), [problem], "compress the file again, or pass it uncompressed") from error
        if plain.stat().st_size == 0:
            raise _empty(path)
        yield plain


@contextmanager
def mapped(path: Path) -> Iterator[mmap.mmap]:
    """The uncompressed content of `path`, memory-mapped for reading. Raises as `plain_file` does."""
    with (
        plain_file(path) as plain,
        plain.open("rb") as file,
        mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content,
    ):
        yield content


def check_readable(path: Path) -> None:
    """Raise InputError unless `path` is a readable file with something in it."""
    try:
        with path.open("rb") as file:
            first = file.read(1)
    except OSError as error:
        problem = Problem("file", "a file that can be read", error.strerror or str(error))
        raise InputError(str(path), [problem], "check the path and its permissions") from error
    if not first:
        raise _empty(path)


def digest(path: Path) -> str:
    """SHA-256 of the bytes of `path` as they lie on disk, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def printable(name: str) -> str:
    """A file name as text that can be written anywhere; bytes that are no UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")


def _empty(path: Path) -> InputError:
    problem = Problem("file", "content", "an empty file (0 bytes)")
    return InputError(str(path), [problem], "check the step that was to write the file")
