"""Output files and folders: written completely or not at all."""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import OutputError, Problem, UsageError


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the context ends; removed after an exception.

    The temporary name keeps the suffix of `path`. Raises OutputError if the folder cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".ltcal-", suffix=path.name, dir=path.parent)
    except OSError as error:
        raise cannot_write(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        try:
            temporary.replace(path)
        except OSError as error:
            raise cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, completely or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, renamed to `folder` when the context ends; removed after an exception.

    Raises OutputError if `folder` exists and is not empty, or its parent cannot be written to.
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
    """Raise OutputError unless `folder` does not exist or is an empty folder."""
    try:
        free = not folder.exists() or (folder.is_dir() and not any(folder.iterdir()))
    except OSError as error:
        raise cannot_write(folder, error) from error
    if not free:
        found = "a folder with files in it" if folder.is_dir() else "a file"
        problem = Problem("folder", "a new or empty folder", found)
        raise OutputError(str(folder), [problem], "choose another folder, or remove this one")


def cannot_write(path: Path, error: Exception) -> OutputError:
    """The error of a `path` that cannot be written to."""
    found = getattr(error, "strerror", None) or str(error)
    problem = Problem("output", "a path that can be written to", found)
    return OutputError(str(path), [problem], "choose another path, or check its permissions and the free disk space")


def check_outputs(outputs: Sequence[Path], inputs: Sequence[Path]) -> None:
    """Raise UsageError if an output would replace an input or another output, OutputError if its folder is missing."""
    taken = {path.resolve() for path in inputs}
    for path in outputs:
        if path.resolve() in taken:
            problem = Problem("output", "a path that is not in use", "the path of an input or of another output")
            raise UsageError(str(path), [problem], "choose another file")
        taken.add(path.resolve())
        if not path.absolute().parent.is_dir():
            problem = Problem("file", "a path that can be written to", "no such folder")
            raise OutputError(str(path), [problem], "make the folder first, or choose another path")


def refuse_overwriting(out: Path, path: Path, content: str) -> None:
    """Raise UsageError if `out` is the file `path`, which holds `content` that is still needed."""
    if out.exists() and path.exists() and out.samefile(path):
        problem = Problem("output", f"a file other than the {content}", f"the {content} itself")
        raise UsageError(str(out), [problem], "choose another name for the output")
