"""What is said if temporary files cannot be written."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import OutputError, Problem


@contextmanager
def writing_temporary(folder: Path, expected: str = "room for a temporary file") -> Iterator[None]:
    """Raise OutputError if the block, which does nothing else, cannot write to a temporary file in `folder`."""
    try:
        yield
    except OSError as error:
        found = str(error) if error.errno is None else os.strerror(error.errno)
        raise no_room(folder, expected, found) from error


def no_room(folder: Path, expected: str, found: str) -> OutputError:
    """The error of a temporary file in `folder`."""
    fix = "free some space, or name another folder in the environment variable TMPDIR"
    return OutputError(str(folder), [Problem("temporary file", expected, found)], fix)
