"""Files of shared stores, through fsspec: listed once, copied to this machine, checked against what was listed.

The stores are configured as their own tools are: `s3fs` reads AWS_PROFILE, AWS_ENDPOINT_URL, ``~/.aws`` and so on,
`gcsfs` the Google credentials of the machine. Neither they nor fsspec are imported before a URL is used.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.paths import expanded
from longtail_cli.files.staging import private_folder, temporary_folder
from longtail_cli.files.stores.systems import info_of, no_such_object, path_in, store_errors, store_of
from longtail_cli.files.texts import named_as_given
from longtail_cli.files.urls import Url, is_pattern, is_url, local_path, parse_url

_SPACE_LEFT = 1 << 26
"""Bytes that a copy leaves free on the disk."""
_FIX_LISTED = "run again when nothing writes to it"
_FIX_NONE = "check the URL, and quote a pattern so that the shell leaves it as it is"


@dataclass(frozen=True, slots=True)
class StoredFile:
    """A file as it was listed: of this machine, or an object of a store. Can be pickled."""

    location: str
    """A local path, or a URL of `urls.STORES`."""
    size: int
    """Bytes, at least 0."""
    version: str | None
    """What changes with the content: the ETag or the generation of an object, the time of the last change of a local
    file in ns; None if the store has nothing of the kind."""

    @property
    def name(self) -> str:
        """The last component of the location."""
        return PurePosixPath(self.location).name if self.is_remote else Path(self.location).name

    @property
    def is_remote(self) -> bool:
        """Whether the file is in a store."""
        return is_url(self.location)


def listed(location: str | os.PathLike[str], suffixes: Sequence[str] = ()) -> tuple[StoredFile, ...]:
    """The files at a location, in order of their names: one file, those that fit a pattern such as
    ``s3://b/run/rank_*.parquet``, or those of a folder, without the folders in it and hidden files.

    location: a path or a URL. A file whose name holds characters of patterns is no pattern.
    suffixes: ends of the names of files in a folder, such as ``.json.gz``; empty for all. They do not apply to one file
        and to patterns.
    Raises InputError if nothing is found or the store cannot be read, UsageError for a URL that is not valid,
    MissingExtraError without the package for the store.
    """
    text = os.fspath(location)
    if not is_url(text):
        return _listed_here(Path(text), suffixes)
    path = local_path(text)
    return _listed_here(path, suffixes) if path is not None else _listed_there(parse_url(text), suffixes)


@contextmanager
def staged(file: StoredFile) -> Iterator[Path]:
    """A path to the content of `file` for the time of the block: itself, or a copy that has its name.

    Errors of the block about the copy get the name of the file. Raises InputError if it is not there, has changed since
    it was listed, or cannot be copied whole.
    """
    if not file.is_remote:
        _check_same(file, listed(file.location)[0])
        yield Path(file.location)
        return
    with private_folder(temporary_folder()) as folder:
        copy = folder / file.name
        download(file, copy)
        with named_as_given({str(copy): file.location}):
            yield copy


@contextmanager
def opened(file: StoredFile) -> Iterator[IO[bytes]]:
    """`file` opened for reading at any position; of a store only the ranges that are read are transferred.

    Raises InputError as `staged`, also for what the block raises when it reads.
    """
    if not file.is_remote:
        _check_same(file, listed(file.location)[0])
        with Path(file.location).open("rb") as local:
            yield local
        return
    url = parse_url(file.location)
    store = store_of(url)
    with store_errors(url, InputError, store):
        with store.open(url.path, "rb", cache_type="none") as remote:
            yield cast("IO[bytes]", remote)
        _check_same(file, _file(url, info_of(store, url.path)))


def download(file: StoredFile, path: Path) -> None:
    """Copy an object of a store to the new file `path`.

    Raises InputError if it has changed since it was listed, is cut short on its way, or the disk has no room for it.
    """
    url = parse_url(file.location)
    store = store_of(url)
    _check_space(file, path.parent)
    with store_errors(url, InputError, store):
        store.get_file(url.path, str(path))
        now = _file(url, info_of(store, url.path))
    _check_same(file, now)
    size = path.stat().st_size
    if size != file.size:
        problem = Problem("content", f"{file.size:,} bytes, as the store states", f"{size:,} bytes")
        raise InputError(file.location, [problem], "run again; if it stays so, check the connection to the store")


def found(location: str) -> StoredFile | None:
    """The object at a URL; None if there is none, or it is not to be seen. Raises as `listed`."""
    url = parse_url(location)
    store = store_of(url)
    with store_errors(url, InputError, store):
        try:
            info = info_of(store, url.path)
        except (FileNotFoundError, PermissionError):
            return None
    return _file(url, info) if info["type"] == "file" else None


def _listed_here(path: Path, suffixes: Sequence[str]) -> tuple[StoredFile, ...]:
    try:
        if path.is_dir():
            return _in_folder(path, suffixes)
        return tuple(_local_file(one) for one in expanded([path]))
    except OSError as error:
        problem = Problem("file", "one that can be read", error.strerror or str(error))
        raise InputError(str(path), [problem], "check the path and its permissions") from error


def _in_folder(folder: Path, suffixes: Sequence[str]) -> tuple[StoredFile, ...]:
    wanted = [one for one in folder.iterdir() if _is_wanted(one.name, suffixes) and one.is_file()]
    if not wanted:
        raise _nothing(str(folder), suffixes)
    return tuple(map(_local_file, sorted(wanted)))


def _local_file(path: Path) -> StoredFile:
    status = path.stat()
    return StoredFile(str(path), status.st_size, str(status.st_mtime_ns))


def _listed_there(url: Url, suffixes: Sequence[str]) -> tuple[StoredFile, ...]:
    store = store_of(url)
    with store_errors(url, InputError, store):
        info = _info(store, url)
        if info is None and is_pattern(url):
            infos = store.glob(url.path, detail=True).values()
            files = [one for one in infos if one["type"] == "file"]
        elif info is None:
            raise no_such_object(store, url, InputError)
        elif info["type"] == "file":
            return (_file(url, info),)
        else:
            entries = store.ls(url.path, detail=True)
            files = [one for one in entries if one["type"] == "file" and _is_wanted(_name(one), suffixes)]
    if not files:
        raise _nothing(str(url), () if is_pattern(url) else suffixes)
    return tuple(sorted((_file(url, one) for one in files), key=lambda file: file.location))


def _info(store: Any, url: Url) -> dict[str, Any] | None:
    try:
        return info_of(store, url.path)
    except FileNotFoundError:
        return None


def _file(url: Url, info: Mapping[str, Any]) -> StoredFile:
    """The object that fsspec describes. url: what was asked for."""
    version = info.get("ETag") or info.get("generation") or info.get("etag")
    location = str(parse_url(f"{url.scheme}://{path_in(info)}"))
    return StoredFile(location, int(info["size"]), None if version is None else str(version))


def _name(info: Mapping[str, Any]) -> str:
    return path_in(info).rpartition("/")[2]


def _is_wanted(name: str, suffixes: Sequence[str]) -> bool:
    return bool(name) and not name.startswith(".") and (not suffixes or name.endswith(tuple(suffixes)))


def _nothing(source: str, suffixes: Sequence[str]) -> InputError:
    expected = f"files that end in {', '.join(suffixes)}" if suffixes else "files"
    return InputError(source, [Problem("location", expected, "none")], _FIX_NONE)


def _check_same(file: StoredFile, now: StoredFile) -> None:
    if (now.size, now.version) != (file.size, file.version):
        expected = f"no change since it was listed with {file.size:,} bytes"
        found = f"{now.size:,} bytes" if now.size != file.size else "other content"
        raise InputError(file.location, [Problem("file", expected, found)], _FIX_LISTED)


def _check_space(file: StoredFile, folder: Path) -> None:
    free = shutil.disk_usage(folder).free
    if free < file.size + _SPACE_LEFT:
        problem = Problem("size", f"a file that {temporary_folder()} has room for", f"{file.size:,} bytes")
        raise InputError(file.location, [problem], "set TMPDIR to a folder with more room")
