"""Input as plain bytes: of files, decompressed if their name ends in ``.gz``, and of text in memory."""

from __future__ import annotations

import errno
import gzip
import hashlib
import io
import json
import mmap
import os
import shutil
import stat
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext, suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.reading import check_unpacked, message_of, reading
from longtail_cli.files.staging import private_folder, temporary_file, temporary_folder

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

_CHUNK_BYTES = 1 << 20
_FIX_GZIP = "compress the file again, or pass it uncompressed"
_SPACE_LEFT = 1 << 26
"""Bytes that unpacking leaves free on the disk."""


class Content(Protocol):
    """The bytes of one input, read at any position and by any number of threads."""

    source: str
    """What errors call the input."""
    size: int
    """Number of bytes."""

    def read_at(self, buffer: memoryview, position: int) -> int:
        """Fill `buffer` with the bytes from `position` on; returns how many were read."""

    def stream(self) -> io.BufferedIOBase:
        """The uncompressed bytes from the start, before `unpacked` has to have them all; reading them raises as it."""

    def unpacked(self) -> Content:
        """The uncompressed content. Raises InputError if it cannot be decompressed, is empty or far too large."""

    def mapped(self) -> AbstractContextManager[bytearray | mmap.mmap]:
        """All bytes at once; what is written there does not reach the input."""

    def sha256(self) -> str:
        """Hex digest of the bytes, compressed ones as they are."""

    def unchanged(self) -> AbstractContextManager[None]:
        """Raises InputError if the input has changed since it was opened when the block ends."""

    def close(self) -> None:
        """Close what is open; nothing can be read after this."""


class Reader(io.RawIOBase):
    """A binary file object over ``content[begin:end]``, with its own position."""

    def __init__(self, content: Content, begin: int = 0, end: int | None = None) -> None:
        self._content, self._begin, self._position = content, begin, begin
        self._end = content.size if end is None else end

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._position - self._begin

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: self._begin, os.SEEK_CUR: self._position, os.SEEK_END: self._end}[whence]
        self._position = max(start + offset, self._begin)
        return self.tell()

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        view = memoryview(buffer).cast("B")[: max(self._end - self._position, 0)]
        got = self._content.read_at(view, self._position)
        self._position += got
        return got


class Unpacked(io.RawIOBase):
    """The uncompressed bytes of a gzip stream.

    Reading raises InputError if the stream is broken, or unpacks to far more than it should (see `check_unpacked`).
    """

    def __init__(self, packed: io.BufferedIOBase, size: int, source: str) -> None:
        """packed: the stream, of `size` bytes. source: what errors call it."""
        self._stream, self._size, self._source = gzip.GzipFile(fileobj=packed), size, source
        self._done = 0

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        with reading(self._source, "a whole gzip stream", _FIX_GZIP):
            got = self._stream.readinto(buffer)
        self._done += got
        check_unpacked(self._source, "content", self._size, self._done)
        return got


class TextContent:
    """Text in memory."""

    def __init__(self, text: bytes, source: str) -> None:
        self.source, self.size = source, len(text)
        self._text = text

    def read_at(self, buffer: memoryview, position: int) -> int:
        piece = memoryview(self._text)[position : position + len(buffer)]
        buffer[: len(piece)] = piece
        return len(piece)

    def stream(self) -> io.BufferedIOBase:
        return io.BytesIO(self._text)

    def unpacked(self) -> TextContent:
        return self

    def mapped(self) -> AbstractContextManager[bytearray]:
        return nullcontext(bytearray(self._text))

    def sha256(self) -> str:
        return hashlib.sha256(self._text).hexdigest()

    def unchanged(self) -> AbstractContextManager[None]:
        return nullcontext()

    def close(self) -> None:
        pass


class FileContent:
    """A file that is opened once, by `open_file`.

    If another file takes its name meanwhile, the content stays that of the file that was opened.
    """

    def __init__(self, file: IO[bytes], source: str, *, compressed: bool = False) -> None:
        self.source = source
        self.size = os.fstat(file.fileno()).st_size
        self._file = file
        self._compressed = compressed
        self._lock = threading.RLock()
        self._unpacked: FileContent | None = None
        self._version = self._current_version()

    def read_at(self, buffer: memoryview, position: int) -> int:
        with reading(self.source, "a file that can be read"):
            if hasattr(os, "preadv"):
                return os.preadv(self._file.fileno(), [buffer], position)
            with self._lock:  # on Windows
                self._file.seek(position)
                got: int = self._file.readinto(buffer)  # type: ignore[attr-defined]
                return got

    def stream(self) -> io.BufferedIOBase:
        if self._unpacked is not None:
            return self._unpacked.stream()
        plain = io.BufferedReader(Reader(self), _CHUNK_BYTES)
        return io.BufferedReader(Unpacked(plain, self.size, self.source)) if self._compressed else plain

    def unpacked(self) -> FileContent:
        """The file itself, or if it is compressed a temporary file that is kept until `close`."""
        if not self._compressed:
            return self
        with self._lock:
            if self._unpacked is None:
                with ExitStack() as opened:
                    file = opened.enter_context(temporary_file())
                    _unpack(self.stream(), file, self.source)
                    self._unpacked = FileContent(file, self.source)
                    opened.pop_all()
        return self._unpacked

    @contextmanager
    def mapped(self) -> Iterator[mmap.mmap]:
        with reading(self.source, "a file that can be mapped"):
            content = mmap.mmap(self._file.fileno(), 0, access=mmap.ACCESS_COPY)
        try:
            yield content
        finally:
            with suppress(BufferError):  # an exception holds on to a piece of it, and closes it when it is dropped
                content.close()

    def sha256(self) -> str:
        digest = hashlib.sha256()
        buffer = memoryview(bytearray(_CHUNK_BYTES))
        with self.unchanged():
            position = 0
            while got := self.read_at(buffer, position):
                digest.update(buffer[:got])
                position += got
        return digest.hexdigest()

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        try:
            yield
        except InputError:
            self._check_version()
            raise
        self._check_version()

    def close(self) -> None:
        self._file.close()
        if self._unpacked is not None:
            self._unpacked.close()

    def _current_version(self) -> tuple[int, int]:
        status = os.fstat(self._file.fileno())
        return status.st_size, status.st_mtime_ns

    def _check_version(self) -> None:
        if self._current_version() != self._version:
            problem = Problem("file", "no change while it is read", "a change")
            raise InputError(self.source, [problem], "run again when nothing writes to the file")


def open_file(path: Path) -> FileContent:
    """Open `path`, a ``.gz`` file as compressed.

    Raises InputError unless it is a readable, regular file with something in it; never waits for a pipe.
    """
    try:
        file = open(path, "rb", buffering=0, opener=_without_waiting)  # noqa: SIM115
    except (OSError, ValueError) as error:  # a name with a NUL is a ValueError
        raise _unreadable(path, error) from error
    with ExitStack() as opened:
        opened.enter_context(file)
        _check_content(file, path)
        opened.pop_all()
    return FileContent(file, str(path), compressed=path.suffix == ".gz")


def check_readable(path: Path) -> None:
    """Raise InputError unless `path` is a readable, regular file with something in it."""
    open_file(path).close()


@contextmanager
def plain_file(path: Path) -> Iterator[Path]:
    """A path to the uncompressed content of `path`: itself, or for ``.gz`` a temporary file that is removed after.

    Raises InputError if `path` is not a readable, non-empty file, or not a whole gzip stream.
    """
    check_readable(path)
    if path.suffix != ".gz":
        yield path
        return
    with private_folder(temporary_folder()) as folder:
        plain = folder / path.stem
        with path.open("rb") as packed, plain.open("wb") as file:
            _unpack(Unpacked(packed, os.fstat(packed.fileno()).st_size, str(path)), file, str(path))
        yield plain


def printable(name: str) -> str:
    """A file name as text that can be written anywhere; bytes that are not UTF-8 become replacement characters."""
    return os.fsencode(name).decode("utf-8", "replace")


def _check_content(file: IO[bytes], path: Path) -> None:
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        problem = Problem("file", "a regular file", "a pipe or a device")
        raise InputError(str(path), [problem], "write its content to a file first")
    try:
        first = file.read(1)
    except OSError as error:
        raise _unreadable(path, error) from error
    if not first:
        raise _empty(str(path))


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))


def _unpack(packed: io.RawIOBase | io.BufferedIOBase, plain: IO[bytes], source: str) -> None:
    """Decompress `packed` into `plain`, a temporary file. Raises InputError if it is broken, empty, or too large."""
    folder, buffer = temporary_folder(), memoryview(bytearray(_CHUNK_BYTES))
    try:
        while got := packed.readinto(buffer):
            if shutil.disk_usage(folder).free < got + _SPACE_LEFT:
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            plain.write(buffer[:got])
        plain.flush()
    except OSError as error:
        problem = Problem("content", f"no more than {folder} has room for when it is unpacked", message_of(error))
        fix = "set TMPDIR to a folder with more room, or unpack the file first and pass the unpacked file"
        raise InputError(source, [problem], fix) from error
    if plain.tell() == 0:
        raise _empty(source)


def _unreadable(path: Path, error: OSError | ValueError) -> InputError:
    problem = Problem("file", "a file that can be read", getattr(error, "strerror", None) or str(error))
    return InputError(str(path), [problem], "check the path and its permissions")


def _empty(source: str) -> InputError:
    problem = Problem("file", "content", "an empty file (0 bytes)")
    return InputError(source, [problem], "check the step that should have written the file")


def json_document(path: Path) -> Any:
    """The content of a JSON file, plain or ``.gz``. Raises InputError if it cannot be read or is not JSON."""
    with plain_file(path) as plain, reading(str(path), "JSON"):
        return json.loads(plain.read_bytes())
