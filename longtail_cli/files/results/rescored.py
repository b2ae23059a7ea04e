"""A result file with other scores: only the values of `score` change, every other byte stays."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.output import replacing
from longtail_cli.files.results.entries import EntryBlock, read_entries
from longtail_cli.files.results.file import read_results
from longtail_cli.files.results.json_kernels import CLOSE_LIST, COMMA, Bytes, kernel
from longtail_cli.files.source import plain_file
from longtail_cli.tables import Floats, Longs

_COMPRESSION = 6  # of gzip, its default


class _Writable(Protocol):
    def write(self, data: memoryview, /) -> int: ...


def write_rescored(source: Path, scores: Floats, out: Path, *, advance: Callable[[int], None] | None = None) -> None:
    """Write the result file `source` to `out`, whole or not at all, with `scores` in place of its scores.

    source, out: both Parquet (``.parquet``), or both JSON, each plain or ``.gz``. They may be the same file.
    scores: float64 [N], finite, one for every entry in file order. In JSON a score that equals the old one in every bit
        keeps its spelling; others are written with the fewest digits that read back as the same float64.
    advance: is told how many more bytes of the unpacked text are done.

    Raises UsageError where one file is Parquet and the other is not, InputError where `source` is no list of N
    detections, OutputError where `out` cannot be written to.
    """
    if not np.isfinite(scores).all():
        raise ValueError("scores must be finite")
    if (source.suffix == ".parquet") != (out.suffix == ".parquet"):
        problem = Problem("output", f"a name that ends like the input, {source.name}", out.name)
        raise UsageError(str(out), [problem], "write JSON to JSON and Parquet to Parquet")
    if source.suffix == ".parquet":
        from longtail_cli.files.results.parquet import write_parquet  # pyarrow takes its time

        write_parquet(source, scores, out, advance)
        return
    with plain_file(source) as plain, plain.open("rb", buffering=0) as file, _writing(out) as written:
        rows = 0
        for block in read_entries(file, boxes=False):
            if not isinstance(block, EntryBlock):
                read_results(source, fields=frozenset())  # raises, and says what is wrong
                raise _changed(source, len(scores), rows)
            rows += len(block.score)
            if rows > len(scores):
                raise _changed(source, len(scores), rows)
            written.write(_respelled(block, scores[block.first : rows]))
            if advance is not None:
                advance(len(block.content))
        if rows < len(scores):
            raise _changed(source, len(scores), rows)


def _respelled(block: EntryBlock, scores: Floats) -> memoryview:
    """The text of `block` with `scores`, float64 [N]."""
    rows = np.flatnonzero(
        np.ascontiguousarray(scores).view(np.int64) != np.ascontiguousarray(block.score).view(np.int64)
    )
    texts = np.frombuffer(msgspec.json.encode(scores[rows].tolist()), np.uint8)
    out = np.empty(len(block.content) + len(texts), np.uint8)
    length = _splice(block.content, block.score_span[rows], texts, out)
    return out[:length].data


@kernel
def _splice(data: Bytes, spans: Longs, texts: Bytes, out: Bytes) -> int:
    """Copy `data` to `out` with the pieces at `spans` replaced by `texts`; returns how many bytes were written.

    spans: int64 [M, 2], begin and end, ascending. texts: ``[first,second,...]``, the M pieces as a JSON list.
    """
    read, taken, written = 0, 1, 0
    for piece in range(len(spans) + 1):
        end = spans[piece, 0] if piece < len(spans) else len(data)
        for place in range(read, end):
            out[written + place - read] = data[place]
        written += end - read
        if piece < len(spans):
            read = spans[piece, 1]
            while texts[taken] != COMMA and texts[taken] != CLOSE_LIST:
                out[written] = texts[taken]
                written += 1
                taken += 1
            taken += 1
    return written


@contextmanager
def _writing(out: Path) -> Iterator[_Writable]:
    with replacing(out) as temporary, temporary.open("wb") as file:
        if out.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as packed:
            yield packed


def _changed(source: Path, expected: int, found: int) -> InputError:
    problem = Problem("entries", f"{expected}, as there are scores", f"{found} or more")
    return InputError(str(source), [problem], "run the command again; the file seems to have changed meanwhile")
