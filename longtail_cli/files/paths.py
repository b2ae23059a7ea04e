"""What a path leads to: which file, which descriptor, and which other files belong to it."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import IO, Any, Literal

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.reading import reading

STDOUT = Path("-")
LOGIT_SUFFIXES = (".safetensors", ".npz", ".pt", ".pth")
FOLDER_SUFFIXES = (*LOGIT_SUFFIXES, ".txt")
"""Of files that are read if they are in an input folder: shards of logits, and detections of one image or class."""
RESULT_SUFFIXES = (".parquet", ".json", ".json.gz")
"""Of the shards of results in a folder."""
METADATA_SUFFIX = "meta.json"
"""With which the names of files about logits end."""
_WITH_SIDECAR = (*LOGIT_SUFFIXES, ".npy", ".pkl", ".pickle", ".p", ".csv", ".parquet")

_LINKS = 40
_MAGIC = set("*?[")
_FIX_PATTERN = "check the folder, and quote the pattern so that the shell leaves it as it is"
Key = str | tuple[int, int]


def sidecars(path: Path) -> tuple[Path, ...]:
    """The files with metadata that are read with a logits file or a folder of shards, whether they exist or not."""
    if path.is_dir():
        return (*(one.with_suffix(".meta.json") for one in _shards(path)), path / "meta.json")
    return (path.with_suffix(".meta.json"),) if path.suffix in _WITH_SIDECAR else ()


def files_read(inputs: Iterable[Path]) -> list[Path]:
    """The inputs with all other files that are read along with them: the shards in a folder, and sidecars."""
    return [one for path in inputs for one in (path, *_shards(path), *sidecars(path))]


def paths_in(source: Any) -> tuple[Path, ...]:
    """The paths of an input: one, or those of the shards of a run; none for data in memory."""
    if isinstance(source, str | os.PathLike):
        return (Path(source),)
    several = isinstance(source, list | tuple) and all(isinstance(one, str | os.PathLike) for one in source)
    return tuple(map(Path, source)) if several else ()


def expanded(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths, with a pattern such as ``rank_*.json`` replaced by the files that fit it, in order of their names.

    A path that exists is no pattern. Raises InputError for a pattern that no file fits.
    """
    return tuple(one for path in paths for one in _matching(path))


def name_of_shards(paths: Sequence[Path | str]) -> str:
    """What messages and reports call one path or URL, or the shards of a run."""
    first, *others = map(str, paths)
    return f"{first} and {len(others)} more" if others else first


def _matching(path: Path) -> list[Path]:
    if not _MAGIC & set(str(path)) or os.path.lexists(path):
        return [path]
    with reading(str(path), "a pattern for the names of files", _FIX_PATTERN, where="pattern"):
        found = sorted(Path(path.anchor).glob(str(path.relative_to(path.anchor))))
    if not found:
        raise InputError(
            str(path), [Problem("pattern", "one that fits the name of a file", "no such file")], _FIX_PATTERN
        )
    return found


def _shards(folder: Path) -> list[Path]:
    """The shards in a folder, in order; none if it is no folder, or cannot be listed."""
    try:
        return sorted(one for one in folder.iterdir() if one.suffix in LOGIT_SUFFIXES)
    except OSError:
        return []


def descriptor_of(path: Path) -> int | None:
    """The descriptor that a path such as ``/dev/stdout`` or ``/dev/fd/63`` names; None for all other paths."""
    for _ in range(_LINKS):
        folder = os.path.realpath(path.parent)
        if folder in ("/dev/fd", f"/proc/{os.getpid()}/fd") and path.name.isdecimal():
            return int(path.name)
        if not path.is_symlink():
            return None
        path = Path(folder) / path.readlink()
    return None


def is_stdout(path: Path) -> bool:
    """Whether `path` is ``-`` or names the descriptor of stdout."""
    return path == STDOUT or descriptor_of(path) == 1


def open_path(path: Path, mode: Literal["rb", "wb", "ab"]) -> IO[bytes]:
    """Open a file, or a copy of the descriptor that `path` names, which stays open itself. Raises OSError."""
    descriptor = descriptor_of(path)
    return open(path if descriptor is None else os.dup(descriptor), mode)  # noqa: PTH123


def is_stream(path: Path) -> bool:
    """Whether to write to `path` and never to replace it: a descriptor, a named pipe, a device, or ``-`` for stdout."""
    if path == STDOUT or descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode) and not stat.S_ISDIR(mode)


def keys_of(path: Path) -> set[Key]:
    """What two paths share if they lead to the same file, through links of either kind; empty for character devices.

    A path without a file has the key of its name.
    """
    if path == STDOUT:
        return {str(STDOUT), *_stdout_keys()}
    try:
        status = path.stat()
    except OSError:
        return {os.path.realpath(path)}
    return set() if stat.S_ISCHR(status.st_mode) else {os.path.realpath(path), (status.st_dev, status.st_ino)}


def _stdout_keys() -> set[Key]:
    try:
        status = os.fstat(sys.stdout.fileno())
    except (OSError, ValueError, AttributeError):  # closed, or replaced by an object without a descriptor
        return set()
    return set() if stat.S_ISCHR(status.st_mode) else {(status.st_dev, status.st_ino)}
