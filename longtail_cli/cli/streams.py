"""Inputs that can be read once, such as ``-``, named pipes and ``<(...)``: copied to a file that all readers can use.

Messages and reports call them what the user typed.
"""

from __future__ import annotations

import dataclasses
import shutil
import stat
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import IO, Any, TypeVar, cast

import click

from longtail_cli.errors import InputError, Problem

T = TypeVar("T")

_KEY = __name__
_HEAD = 4096
_PIECE = 1 << 20
_SUFFIXES = {b"PAR1": ".parquet", b"\x93NUMPY": ".npy"}


class Streams:
    """The streams that a command reads, copied to files that are removed with the command."""

    def __init__(self, stack: ExitStack) -> None:
        self._stack = stack
        self._folder: Path | None = None
        self._given: dict[Path, Path] = {}

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

    def as_given(self, text: str) -> str:
        """The text with streams as the user gave them instead of the copies."""
        for path, given in self._given.items():
            text = text.replace(str(path), _shown(given))
        return text

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
    """The path of an input. ``-`` is stdin; streams are copied to a file, whose path is the value."""

    def __init__(self, *, dir_okay: bool = True) -> None:
        super().__init__(path_type=Path, dir_okay=dir_okay)

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Path:
        path = cast(Path, super().convert(value, param, ctx))
        streams = _streams(ctx)
        return streams.copied(path) if streams is not None and _is_stream(path) else path


class WordOrInput(InputPath):
    """One of a few words, or the path of an input; both as text."""

    def __init__(self, words: Sequence[str]) -> None:
        super().__init__(dir_okay=False)
        self._words = words

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        return value if value in self._words else str(super().convert(value, param, ctx))


def inputs(paths: Iterable[object]) -> list[Path]:
    """Those of `paths` that are paths, and what the streams among the inputs were read from."""
    streams = _streams(click.get_current_context(silent=True))
    originals = () if streams is None else streams.originals
    return [*(path for path in paths if isinstance(path, Path)), *originals]


def as_given(value: T) -> T:
    """A text, or any tree of dataclasses with texts, with streams as the user gave them."""
    streams = _streams(click.get_current_context(silent=True))
    return value if streams is None or not streams.originals else cast(T, _mapped(value, streams))


def _mapped(value: Any, streams: Streams) -> Any:
    if isinstance(value, str):
        return streams.as_given(value)
    if isinstance(value, tuple):
        return tuple(_mapped(one, streams) for one in value)
    if isinstance(value, Mapping):
        return {_mapped(key, streams): _mapped(one, streams) for key, one in value.items()}
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        fields = {field.name: _mapped(getattr(value, field.name), streams) for field in dataclasses.fields(value)}
        return dataclasses.replace(value, **fields)
    return value


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
