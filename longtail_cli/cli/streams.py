"""Inputs that are copied to files that all readers can use: streams, which can be read once, such as ``-``, named pipes
and ``<(...)``; and what URLs name. Outputs at URLs have such files until they are uploaded.

Messages and reports call them what the user typed.
"""

from __future__ import annotations

import shutil
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.texts import texts_mapped
from longtail_cli.files.urls import Url, is_url, local_path, parse_url

if TYPE_CHECKING:
    from longtail_cli.files.stores.mirror import Mirror
    from longtail_cli.workflow.options import ExecutionOptions

T = TypeVar("T")

_KEY = __name__
_HEAD = 4096
_PIECE = 1 << 20
_SUFFIXES = {b"PAR1": ".parquet", b"\x93NUMPY": ".npy"}


class Streams:
    """The files of a command for streams and URLs, which are removed with the command."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder: Path | None = None
        self._given: dict[Path, Path] = {}
        self._mirror: Mirror | None = None

    @property
    def used(self) -> bool:
        """Whether there is any such file."""
        return bool(self._given) or self._mirror is not None

    @property
    def mirror(self) -> Mirror:
        """The files for URLs; made when it is first asked for."""
        if self._mirror is None:
            from longtail_cli.files.stores.mirror import Mirror

            self._mirror = Mirror(self._stack)
        return self._mirror

    @property
    def originals(self) -> tuple[Path, ...]:
        """What the streams were read from, as paths."""
        return tuple(Path("/dev/stdin") if given == Path("-") else given for given in self._given.values())

    def copied(self, given: Path) -> Path:
        """A file with the content of a stream, named by its first bytes.

        Raises InputError if it is empty, or cannot be read or copied, click's BadParameter for ``-`` a second time.
        """
        if given == Path("-") and given in self._given.values():
            raise click.BadParameter("stdin can be read once: give - for one input only")
        shown = _shown(given)
        try:
            with _opened(given) as stream:
                head = stream.read(_HEAD)
                if not head:
                    problem = Problem("content", "an input", "an empty stream")
                    raise InputError(shown, [problem], "check the command that should write to it")
                path = self._new_path(_stem(given) + _suffix(head))
                self._given[path] = given
                with path.open("wb") as copy:
                    copy.write(head)
                    shutil.copyfileobj(stream, copy, _PIECE)
        except OSError as error:
            problem = Problem("content", "a stream that can be read and copied", error.strerror or str(error))
            fix = "check the command that writes to it, and the free space of the folder for temporary files ($TMPDIR)"
            raise InputError(shown, [problem], fix) from error
        return path

    def is_copy(self, path: Path) -> bool:
        """Whether `path` is the copy of a stream."""
        return path in self._given

    def as_given(self, text: str) -> str:
        """The text with streams and URLs as the user gave them instead of the copies."""
        for path, given in self._given.items():
            text = text.replace(str(path), _shown(given))
        return text if self._mirror is None else self._mirror.as_given(text)

    def _new_path(self, name: str) -> Path:
        from longtail_cli.files.staging import private_folder, temporary_folder

        if self._folder is None:
            self._folder = self._stack.enter_context(private_folder(temporary_folder()))
        folder = self._folder / str(len(self._given))
        folder.mkdir()
        return folder / name


@contextmanager
def reading_streams(ctx: click.Context) -> Iterator[None]:
    """Let the command read streams; their copies are removed at the end."""
    with ExitStack() as stack:
        ctx.meta[_KEY] = Streams(stack)
        yield


class InputPath(click.Path):
    """The path of an input. ``-`` is stdin; streams and what URLs name are copied to a file, whose path is the value.

    deferred: what URLs name is not copied before `copied` is called, as some commands read it in parts.
    """

    def __init__(self, *, dir_okay: bool = True, deferred: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)
        self._deferred = deferred

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        streams = _streams(ctx)
        if streams is not None and is_url(value):
            path = local_path(value)
            if path is None:
                path = streams.mirror.path_of(parse_url(value))
                if not self._deferred:
                    copied([path])
            value = path
        path = cast(Path, super().convert(value, param, ctx))
        return streams.copied(path) if streams is not None and _is_stream(path) else path


class OutputPath(click.Path):
    """The path of an output. That of a URL is a file of this machine, from which it is uploaded when all is written."""

    def __init__(self, *, file: bool = True, folder: bool = False) -> None:
        super().__init__(path_type=Path, dir_okay=folder, file_okay=file)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        streams = _streams(ctx)
        if streams is not None and is_url(value):
            value = local_path(value) or streams.mirror.output(parse_url(value))
        return cast(Path, super().convert(value, param, ctx))


class SpecText(click.ParamType[str]):
    """The spec of a method; a file after ``@`` may be named by a URL."""

    name = "spec"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        file = str(value).strip().removeprefix("@")
        if file == value or not is_url(file):
            return str(value)
        return f"@{InputPath(dir_okay=False).convert(file, param, ctx)}"


class WordOrInput(InputPath):
    """One of a few words, or the path of an input; both as text."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(dir_okay=False)
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in self._words else str(super().convert(value, param, ctx))


def copied(paths: Iterable[Path]) -> tuple[Path, ...]:
    """The paths; what URLs name has been copied to them."""
    paths, streams = tuple(paths), _streams(click.get_current_context(silent=True))
    if streams is not None and streams.used:
        from longtail_cli.cli.progress_bar import working

        for path in paths:
            with working(f"copying {streams.as_given(str(path))}"):
                streams.mirror.copy(path)
    return paths


def location_of(path: Path) -> Path | str:
    """The URL that `path` stands for, or `path` itself."""
    url = url_of(path)
    return path if url is None else str(url)


def url_of(path: Path) -> Url | None:
    """The URL that `path` stands for; None if it is a file of the user."""
    streams = _streams(click.get_current_context(silent=True))
    return None if streams is None or not streams.used else streams.mirror.url_of(path)


def inputs(paths: Iterable[object]) -> list[Path]:
    """Those of `paths` that are paths, and what the streams among the inputs were read from."""
    streams = _streams(click.get_current_context(silent=True))
    originals = () if streams is None else streams.originals
    return [*(path for path in paths if isinstance(path, Path)), *originals]


def check_reachable(paths: Iterable[Path], execution: ExecutionOptions) -> None:
    """Raise click's UsageError for copies of streams if other processes are to read the paths."""
    streams = _streams(click.get_current_context(silent=True))
    if execution.engine != "local" and streams is not None and any(map(streams.is_copy, paths)):
        raise click.UsageError("--engine: stdin and pipes are read by this process alone: save the detections")


def as_given(value: T) -> T:
    """A text, or any tree of dataclasses with texts, with streams and URLs as the user gave them."""
    streams = _streams(click.get_current_context(silent=True))
    return value if streams is None or not streams.used else cast(T, texts_mapped(value, streams.as_given))


def _streams(ctx: click.Context | None) -> Streams | None:
    return None if ctx is None else ctx.meta.get(_KEY)


def _is_stream(path: Path) -> bool:
    from longtail_cli.files.paths import descriptor_of

    if path == Path("-") or descriptor_of(path) is not None:
        return True
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    return stat.S_ISFIFO(mode)


@contextmanager
def _opened(given: Path) -> Iterator[IO[bytes]]:
    if given == Path("-"):
        yield sys.stdin.buffer
        return
    from longtail_cli.files.paths import open_path

    with open_path(given, "rb") as file:
        yield file


def _shown(given: Path) -> str:
    return "<stdin>" if given == Path("-") else str(given)


def _stem(given: Path) -> str:
    """The name of the copy without its suffixes: ``stdin``, ``fd63``, or that of the pipe."""
    if given == Path("-"):
        return "stdin"
    return f"fd{given.name}" if given.name.isdecimal() else given.name.partition(".")[0] or "pipe"


def _suffix(head: bytes) -> str:
    """The suffix of the format that content begins with `head`."""
    if head.startswith(b"\x1f\x8b"):
        return f"{_suffix(_unpacked(head))}.gz"
    for magic, suffix in _SUFFIXES.items():
        if head.startswith(magic):
            return suffix
    if head.startswith(b"PK\x03\x04"):
        first_member = head[30 : 30 + int.from_bytes(head[26:28], "little")]
        return ".npz" if first_member.endswith(b".npy") else ".pt"
    if head[4:9] == b"\0\0\0\0{":  # the length of the header in 8 bytes, then JSON
        return ".safetensors"
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text[:1] in (b"[", b"{"):
        return ".json"
    first_line = text.partition(b"\n")[0].strip()
    return ".csv" if b"," in first_line or b" " not in first_line else ".txt"


def _unpacked(head: bytes) -> bytes:
    """The first bytes of a gzip stream; empty if it is broken."""
    try:
        return zlib.decompressobj(wbits=31).decompress(head, _HEAD)
    except zlib.error:
        return b""
