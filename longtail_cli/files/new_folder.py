"""Output folders: whole or not at all."""

from __future__ import annotations

import shutil
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import OutputError, Problem


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, renamed to `folder` when the block ends well, else removed.

    Raises OutputError where `folder` exists and is not empty, or its parent cannot be written to.
    """
    check_free(folder)
    temporary = folder.parent / f".ltcal-{uuid.uuid4().hex}"
    try:
        temporary.mkdir()
    except OSError as error:
        raise cannot_write(folder, error) from error
    try:
        yield temporary
        check_free(folder)
        try:
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def check_free(folder: Path) -> None:
    """Raise OutputError unless `folder` is not there, or is an empty folder."""
    try:
        free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise cannot_write(folder, error) from error
    if not free:
        found = "one with something in it" if folder.is_dir() else "a file"
        problem = Problem("folder", "a new or empty folder", found)
        raise OutputError(str(folder), [problem], "choose another folder, or remove this one")


def cannot_write(path: Path, error: Exception) -> OutputError:
    """The error of a `path` that cannot be written to."""
    found = getattr(error, "strerror", None) or str(error)
    problem = Problem("output", "a place that can be written to", found)
    return OutputError(str(path), [problem], "choose another place, mend its permissions, or make room there")
