"""All outputs of a command: checked before its work, written to private folders, and given their names together."""

from __future__ import annotations

import io
import os
import shutil
import stat
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from pathlib import Path
from types import MappingProxyType
from typing import IO

from longtail_cli.errors import LtcalError, OutputError, Problem, UsageError
from longtail_cli.files.paths import FOLDER_SUFFIXES, STDOUT, Key, files_read, is_stream, keys_of, open_path
from longtail_cli.files.staging import Rename, private_folder, rename_all, signals_held, temporary_folder
from longtail_cli.files.urls import Url

NOTHING: Mapping[Path, Sequence[str]] = MappingProxyType({})
_PIECE = 1 << 20


def no_url(path: Path) -> Url | None:
    """None: a path that stands for itself."""
    return None


@contextmanager
def outputs_of(
    files: Iterable[Path],
    *,
    inputs: Iterable[Path],
    folders: Mapping[Path, Sequence[str]] = NOTHING,
    appended: Iterable[Path] = (),
    stream_suffix: str = "",
    url_of: Callable[[Path], Url | None] = no_url,
) -> Iterator[Mapping[Path, Path]]:
    """The path to write each output to while the block runs. If it ends well, all that was written there appears at
    once under the given names; after an exception nothing has changed.

    files: outputs, which may be left unwritten. A symbolic link is followed, and an existing file keeps its mode.
        ``-`` is stdout; it, devices, named pipes and paths such as ``/dev/stdout`` are written to when the block ends,
        before any file gets its name.
    inputs: what is read: files, and folders of shards. What belongs to a logits file is found by itself.
    folders: folders for further outputs, with the suffixes that these will have. They need not exist.
    appended: files that what is written is appended to.
    stream_suffix: of the path to write to, for streams whose names have none.
    url_of: the URL that a path stands for, see `longtail_cli.files.stores.mirror`. Such outputs are uploaded before any
        file gets its name; see `uploaded` for what happens if one of them fails.

    Raises UsageError if an output is an input, another output, or would become a part of an input folder; OutputError
    if there is no such folder, or it cannot be written to. An error about a path to write to gets the name as given.
    """
    files, appended, inputs = tuple(files), tuple(appended), tuple(inputs)
    _check((*files, *appended), folders, inputs)
    _check_buckets([url for path in (*files, *folders) if (url := url_of(path)) is not None])
    with ExitStack() as stack:
        staging = _Staging(stack)
        targets = {path: Path(os.path.realpath(path)) for path in (*files, *folders) if not is_stream(path)}
        staged = {}
        for path, target in targets.items():
            staged[path] = staging.beside(_existing(target if path in folders else target.parent), path)
            if path in folders:
                staged[path].mkdir()
        streams = (*(path for path in files if path not in targets), *appended)
        for path in streams:
            staged[path] = staging.beside(temporary_folder(), path, stream_suffix)
        with _names_as_given(staged):
            yield MappingProxyType(staged)
        written = {path: one for path, one in staged.items() if one.exists()}
        for path in streams:
            if path in written:
                _copy(written[path], path, append=path in appended)
        renames = [(path, one) for path, target in targets.items() if path in written
                   for one in _renames(written[path], target)]  # fmt: skip
        uploads = {url: one.staged for _, one in renames if (url := url_of(one.target)) is not None}
        with _uploaded(uploads):
            _commit([(path, one) for path, one in renames if url_of(one.target) is None], staging.decided_in)


def open_output(path: Path) -> IO[bytes]:
    """A new file at `path`, which must not exist. Raises OutputError, also when it is written to or closed."""
    try:
        return io.BufferedWriter(_NewFile(path), _PIECE)
    except OSError as error:
        raise cannot_write(path, error) from error


def write_text(path: Path, text: str) -> None:
    """Write `text` as UTF-8 to the new file `path`."""
    write_bytes(path, text.encode())


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` to the new file `path`."""
    with open_output(path) as file:
        file.write(content)


def check_free_space(sizes: Mapping[Path, int]) -> None:
    """Raise OutputError unless the file systems have room for files of these sizes in bytes, all together."""
    needed: dict[int, int] = {}
    for path, size in sizes.items():
        device = path.parent.stat().st_dev
        needed[device] = needed.get(device, 0) + size
        free = shutil.disk_usage(path.parent).free
        if free < needed[device]:
            problem = Problem("output", f"{_megabytes(needed[device])} of free disk space", _megabytes(free))
            raise OutputError(str(path), [problem], "free some space, or choose a path on another disk")


@contextmanager
def new_folder(folder: Path) -> Iterator[Path]:
    """A temporary folder beside `folder`, renamed to `folder` when the context ends; removed after an exception.

    Raises OutputError if `folder` exists and is not empty, or its parent cannot be written to.
    """
    check_free(folder)
    with ExitStack() as stack:
        try:
            temporary = stack.enter_context(private_folder(folder.parent)) / folder.name
            temporary.mkdir()
        except OSError as error:
            raise cannot_write(folder, error) from error
        yield temporary
        check_free(folder)
        try:
            if folder.exists():
                folder.rmdir()
            temporary.rename(folder)
        except OSError as error:
            raise cannot_write(folder, error) from error


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
    return OutputError(
        name_of(path), [problem], "choose another path, or check its permissions and the free disk space"
    )


def name_of(output: Path) -> str:
    """What messages call an output."""
    return "stdout" if output == STDOUT else str(output)


class _NewFile(io.FileIO):
    """A file that raises OutputError where others raise OSError, whatever library writes to it."""

    def __init__(self, path: Path) -> None:
        super().__init__(path, "xb")
        self._path = path

    def write(self, content: object, /) -> int:
        try:
            return super().write(content)  # type: ignore[arg-type]
        except OSError as error:
            raise cannot_write(self._path, error) from error

    def close(self) -> None:
        try:
            super().close()
        except OSError as error:
            raise cannot_write(self._path, error) from error


class _Staging:
    """The private folders of a command, one in each parent folder, and a path in them for each output."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folders: dict[Path, Path] = {}
        self._number = 0

    @property
    def decided_in(self) -> Path | None:
        """The private folder that is to hold the decision; None if there is none."""
        return next(iter(self._folders.values()), None)

    def beside(self, parent: Path, output: Path, suffix: str = "") -> Path:
        """A new path in a private folder in `parent`, with the file name of `output`; `suffix` if that has none."""
        name = name_of(output) if output == STDOUT else output.name
        folder = self._folders.get(parent)
        try:
            if folder is None:
                folder = self._stack.enter_context(private_folder(parent, self.decided_in))
                self._folders[parent] = folder
            numbered = folder / str(self._number)
            numbered.mkdir()
        except OSError as error:
            raise cannot_write(output, error) from error
        self._number += 1
        return numbered / (name if Path(name).suffix else name + suffix)


def _check(files: Sequence[Path], folders: Mapping[Path, Sequence[str]], inputs: Sequence[Path]) -> None:
    """Raise UsageError if an output meets an input or another output, OutputError if its folder is missing."""
    read = {key for path in files_read(inputs) for key in keys_of(path)}
    input_folders = {os.path.realpath(path) for path in inputs if path.is_dir()}
    taken: set[Key] = set()
    for path in (*files, *folders):
        keys = keys_of(path)
        target = Path(os.path.realpath(path))
        if keys & read and path not in folders:
            raise _in_use(path, "that of an input")
        if keys & taken:
            raise _in_use(path, "that of another output")
        if target.suffix in FOLDER_SUFFIXES and str(target.parent) in input_folders:
            problem = Problem("output", "a path outside of the input folder", "one that would be read as a part of it")
            raise UsageError(str(path), [problem], "choose another folder")
        taken |= keys
    for path in (*files, *files_read(inputs)):
        for folder, suffixes in folders.items():
            if path.suffix in suffixes and os.path.realpath(path.parent) == os.path.realpath(folder):
                raise _in_use(path, f"one in {folder}, where another file may get this name")
    for path in files:
        _check_writable(path)


def _check_writable(path: Path) -> None:
    if is_stream(path):
        return
    target = Path(os.path.realpath(path))
    if not target.parent.is_dir():
        problem = Problem("file", "a path that can be written to", "no such folder")
        raise OutputError(str(path), [problem], "make the folder first, or choose another path")
    if target.is_dir():
        raise OutputError(
            str(path), [Problem("file", "a path that can be written to", "a folder")], "name a file in it"
        )


def _in_use(path: Path, found: str) -> UsageError:
    problem = Problem("output", "a path that is not in use", found)
    return UsageError(name_of(path), [problem], "choose another path for the output")


def _existing(folder: Path) -> Path:
    """The folder, or the nearest one above it that exists."""
    return next(one for one in (folder, *folder.parents) if one.is_dir())


@contextmanager
def _names_as_given(staged: Mapping[Path, Path]) -> Iterator[None]:
    """Give errors about a path to write to the name of the output."""
    try:
        yield
    except LtcalError as error:
        for given, path in staged.items():
            if Path(error.source).is_relative_to(path):
                source = name_of(given / Path(error.source).relative_to(path))
                raise type(error)(source, error.problems, error.fix, total=error.total) from error
        raise


def _check_buckets(urls: Sequence[Url]) -> None:
    if urls:
        from longtail_cli.files.stores import check_buckets

        check_buckets(urls)


def _uploaded(files: Mapping[Url, Path]) -> AbstractContextManager[None]:
    if not files:
        return nullcontext()
    from longtail_cli.files.stores import uploaded  # few outputs have URLs

    return uploaded(files)


def _copy(staged: Path, stream: Path, *, append: bool) -> None:
    """Write what was staged to a stream, or append it to a file."""
    before = stream.stat().st_size if append and stream.is_file() else None
    try:
        with staged.open("rb") as content, _opened(stream, append=append) as file:
            shutil.copyfileobj(content, file, _PIECE)
    except BrokenPipeError:
        raise
    except OSError as error:
        if before is not None:
            os.truncate(stream, before)
        raise cannot_write(stream, error) from error


@contextmanager
def _opened(stream: Path, *, append: bool) -> Iterator[IO[bytes]]:
    if stream == STDOUT:
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    with open_path(stream, "ab" if append else "wb") as file:
        yield file


def _renames(staged: Path, target: Path) -> list[Rename]:
    """The renames of a file, or of all files of a folder."""
    if not staged.is_dir():
        return [Rename(staged, target)]
    return [Rename(one, target / one.name) for one in sorted(staged.iterdir())]


def _commit(renames: Sequence[tuple[Path, Rename]], decided_in: Path | None) -> None:
    """Give all files their names, or none. renames: with the output as it was given."""
    if not renames or decided_in is None:
        return
    with signals_held():
        try:
            for _, one in renames:
                if one.target.exists():
                    one.staged.chmod(stat.S_IMODE(one.target.stat().st_mode))
            rename_all([one for _, one in renames], decided_in)
        except OSError as error:
            failed = [path for path, one in renames if error.filename2 == str(one.target)]
            raise cannot_write((failed or [renames[0][0]])[0], error) from error


def _megabytes(size: int) -> str:
    return f"{size / 1e6:,.1f} MB"
