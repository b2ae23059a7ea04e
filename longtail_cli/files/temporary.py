"""What is said if temporary files cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from longtail_cli.errors import OutputError, Problem
from longtail_cli.files.staging import temporary_file, temporary_folder


@contextmanager
def writing_temporary(folder: Path, expected: str = "room for a temporary file") -> Iterator[None]:
    """Raise OutputError if the block, which does nothing else, cannot write to a temporary file in `folder`."""
    try:
        yield
    except OSError as error:
        found = str(error) if error.errno is None else os.strerror(error.errno)
        raise no_room(folder, expected, found) from error


class TemporaryFile:
    """A context with a new file without a name, in the folder for temporary files; it is gone at the end.

    Each of its own errors is an OutputError, so other errors of the block stay as they are.
    """

    def __init__(self, expected: str) -> None:
        """expected: for messages, see `writing_temporary`."""
        self._folder, self._expected = temporary_folder(), expected

    def __enter__(self) -> TemporaryFile:
        with writing_temporary(self._folder, self._expected):
            self._file = temporary_file(self._folder)
        return self

    def __exit__(self, *_: object) -> None:
        with suppress(OSError):  # what is still to be written if the disk is full
            self._file.close()

    def write(self, data: bytes | memoryview) -> None:
        with writing_temporary(self._folder, self._expected):
            self._file.write(data)

    def seek(self, offset: int) -> None:
        """Go to a byte; what was written before is written out."""
        with writing_temporary(self._folder, self._expected):
            self._file.seek(offset)

    def read(self, size: int) -> bytes:
        """The next `size` bytes, or as many as there are."""
        with writing_temporary(self._folder, self._expected):
            return self._file.read(size)


def no_room(folder: Path, expected: str, found: str) -> OutputError:
    """The error of a temporary file in `folder`."""
    fix = "free some space, or name another folder in the environment variable TMPDIR"
    return OutputError(str(folder), [Problem("temporary file", expected, found)], fix)
