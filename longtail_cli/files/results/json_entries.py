"""Result files in JSON: a list of detections, read strictly, and rewritten with other scores.

A large file is read in several parts at once, one thread per part. The seams are guessed: a closing brace, a comma, and
an opening brace. Reading checks the guess: every part except the last must end at its seam, just after an entry. If one
does not, or an entry has any fault, the file is read in one go, which reports the faults.

When scores are rewritten, only the values of `score` change; every other byte stays.
"""

from __future__ import annotations

import gzip
import os
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import Protocol

import msgspec
import numpy as np

from longtail_cli.files.output import replacing
from longtail_cli.files.results.columns import ResultColumns
from longtail_cli.files.results.entries import NEXT, START, Broken, EntryBlock, Refused, read_entries
from longtail_cli.files.results.json_kernels import CLOSE_LIST, COMMA, Bytes, kernel
from longtail_cli.files.results.problems import wrong_count
from longtail_cli.files.source import GZIP_ERRORS, Content, Reader
from longtail_cli.tables import Floats, Longs, Results

_COMPRESSION = 6  # of gzip, its default

PART_BYTES = 1 << 24
"""The smallest size of a part; smaller ones are not worth a thread."""

SEAM = re.compile(rb"\}(?=\s*,\s*\{)")
SEAM_WITHIN = 1 << 20
"""How far from an even cut to look for a seam; entries with masks are long."""


class _Writable(Protocol):
    def write(self, data: memoryview, /) -> int: ...


class JsonEntries:
    """The entries of a JSON list, plain or compressed. The methods do what those of `ResultFile` do."""

    def __init__(self, content: Content) -> None:
        self._content = content

    def fields(self) -> frozenset[str]:
        try:
            first = next(read_entries(self._content.stream(), boxes=True), None)
        except GZIP_ERRORS:
            return frozenset()
        if not isinstance(first, EntryBlock) or not len(first.score):
            return frozenset()
        held = {"bbox": not np.isnan(first.bbox[0, 0]), "masks": first.mask_span[0, 1] > 0}
        return frozenset(field for field, present in held.items() if present)

    def read(self, fields: frozenset[str], advance: Callable[[int], None] | None) -> Results:
        with self._content.unchanged():
            plain = self._content.unpacked()
            columns = _gather(plain, fields, advance)
            if "bbox" in fields and columns.masks_instead:
                columns = _gather(plain, fields | {"masks"}, None)
            return columns.results()

    def write_rescored(self, scores: Floats, out: Path, advance: Callable[[int], None] | None) -> None:
        with _writing(out) as written, self._content.unchanged():
            plain, rows = self._content.unpacked(), 0
            for block in read_entries(Reader(plain), boxes=False):
                if not isinstance(block, EntryBlock):
                    self.read(frozenset(), None)  # raises the error of the broken entry
                    raise wrong_count(plain.source, len(scores), f"{rows} or more")
                rows += len(block.score)
                if rows > len(scores):
                    raise wrong_count(plain.source, len(scores), f"{rows} or more")
                written.write(_respelled(block, scores[block.first : rows]))
                if advance is not None:
                    advance(len(block.content))
            if rows < len(scores):
                raise wrong_count(plain.source, len(scores), str(rows))


def _gather(content: Content, fields: frozenset[str], advance: Callable[[int], None] | None) -> ResultColumns:
    columns = gather_in_parts(content, fields, advance)
    if columns is not None:
        return columns
    columns = ResultColumns(content.source, content.size, fields)
    for part in read_entries(Reader(content), boxes="bbox" in fields):
        if isinstance(part, EntryBlock):
            columns.add(part)
            if advance is not None:
                advance(len(part.content))
        elif isinstance(part, Refused):
            columns.refuse(part)
        else:
            columns.stop(part, content)
        if columns.hopeless:
            break
    return columns


def gather_in_parts(
    content: Content, fields: frozenset[str], advance: Callable[[int], None] | None
) -> ResultColumns | None:
    """The columns of the whole file, or None if it is small or must be read in one go."""
    size = content.size
    seams = _seams(content, min(os.cpu_count() or 1, size // PART_BYTES))
    if not seams:
        return None

    def gather(part: tuple[int, int]) -> ResultColumns | None:
        begin, end = part
        columns = ResultColumns(content.source, size if begin == 0 else end - begin, fields)
        return columns if _fill(columns, content, begin, end, last=end == size, advance=advance) else None

    with ThreadPoolExecutor(len(seams) + 1) as pool:
        first, *others = pool.map(gather, pairwise([0, *seams, size]))
    for other in others:
        if first is None or other is None:
            return None
        first.extend(other)
    return first


def _fill(
    columns: ResultColumns, content: Content, begin: int, end: int, *, last: bool, advance: Callable[[int], None] | None
) -> bool:
    """Read ``content[begin:end]`` into `columns`; whether it held nothing but entries without faults."""
    done = 0
    part = Reader(content, begin, end)
    for piece in read_entries(part, boxes="bbox" in columns.fields, state=NEXT if begin else START):
        if isinstance(piece, Broken):
            return not last and done == end - begin and not columns.faults
        if not isinstance(piece, EntryBlock):
            return False
        columns.add(piece)
        done += len(piece.content)
        if advance is not None:
            advance(len(piece.content))
    return last and not columns.faults


def _seams(content: Content, parts: int) -> list[int]:
    """Positions, ascending and apart, that should lie just after an entry; none if one part is enough."""
    seams: list[int] = []
    for part in range(1, parts):
        start = part * content.size // parts
        found = SEAM.search(Reader(content, start).read(SEAM_WITHIN) or b"")
        if found and start + found.end() > max(seams, default=0):
            seams.append(start + found.end())
    return seams


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
        for position in range(read, end):
            out[written + position - read] = data[position]
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
    """A file that appears at `out`, compressed for ``.gz``, when the block ends well."""
    with replacing(out) as temporary, temporary.open("wb") as file:
        if out.suffix != ".gz":
            yield file
            return
        with gzip.GzipFile(filename="", mode="wb", compresslevel=_COMPRESSION, fileobj=file, mtime=0) as packed:
            yield packed
