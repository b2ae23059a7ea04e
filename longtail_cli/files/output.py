"""Output files: whole or not at all."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from longtail_cli.errors import OutputError, Problem


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary path in the folder of `path`, renamed to `path` when the block ends well, else removed.

    The temporary name keeps the suffix of `path`. Raises OutputError where the folder cannot be written to.
    """
    try:
        handle, name = tempfile.mkstemp(prefix=".ltcal-", suffix=path.name, dir=path.parent)
    except OSError as error:
        raise _cannot_write(path, error) from error
    os.close(handle)
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o666 & ~_umask())
        try:
            temporary.replace(path)
        except OSError as error:
            raise _cannot_write(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_text(text, encoding="utf-8", newline="")


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to `path`, whole or not at all."""
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def _cannot_write(path: Path, error: OSError) -> OutputError:
    problem = Problem("file", "a place that can be written to", error.strerror or str(error))
    return OutputError(str(path), [problem], "choose another place, or mend its permissions")


def _umask() -> int:
    current = os.umask(0)
    os.umask(current)
    return current
