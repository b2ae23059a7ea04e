"""The kernel that reads a JSON list of detections into columns, strictly.

As in `json_kernels`, a kernel returns the position after its piece, or ``~i`` if it stopped at position i.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from longtail_cli.files.results.json_kernels import (
    CLOSE_LIST,
    CLOSE_OBJECT,
    COMMA,
    OPEN_LIST,
    OPEN_OBJECT,
    Bytes,
    blank,
    inlined,
    integer,
    kernel,
    key,
    name_of,
    real,
    rows_of,
    skip,
)
from longtail_cli.files.results.problems import entry_problems
from longtail_cli.tables import Floats, Longs

START, FIRST, NEXT, CLOSED = range(4)
"""What was read last: nothing, the bracket that opens the list, an entry, the bracket that closes the list."""

MORE, REFUSED, BROKEN = range(3)
"""Why `scan` stopped: the text ends, an entry is not valid, or something else is between two entries."""

_IMAGE_ID, _CATEGORY_ID, _SCORE, _BBOX, _SEGMENTATION, _OTHER = range(6)
_NAMES = rows_of("image_id", "category_id", "score", "bbox", "segmentation")
_REQUIRED = 0b111  # image_id, category_id, score


@kernel
def scan(
    data: Bytes, end: int, begin: int, state: int, boxes: bool, integers: Longs, scores: Floats, bboxes: Floats
) -> tuple[int, int, int, int, int]:
    """Read as many entries as ``data[begin:end]`` holds.

    state: what was read before `begin`. boxes: whether to read `bbox`.
    integers: int64 [7, R], filled with image_id, category_id, the begin and end of the values of score and of
        segmentation (0 for an entry without one), and the begin of an entry with a number that Python has to read (else
        -1). R is at least the number of entries that the text can hold.
    scores: float64 [R], filled. bboxes: float64 [R, 4], filled if `boxes` (x is NaN for an entry without one).
    Returns why it stopped, what was read last and where that ends, where it stopped, and how many rows it filled.
    """
    rows = 0
    while True:
        i = blank(data, begin)
        if i >= end:
            return MORE, state, i, i, rows
        if state == START and data[i] == OPEN_LIST:
            state, begin = FIRST, i + 1
        elif state in (FIRST, NEXT) and data[i] == CLOSE_LIST:
            state, begin = CLOSED, i + 1
        elif state in (START, CLOSED) or (state == NEXT and data[i] != COMMA):
            return BROKEN, state, begin, i, rows
        else:
            i = blank(data, i + 1) if state == NEXT else i
            after = _entry(data, i, rows, boxes, integers, scores, bboxes)
            if after < 0:
                return (REFUSED, state, begin, i, rows) if ~after < end else (MORE, state, begin, end, rows)
            state, begin = NEXT, after
            rows += 1


@inlined
def _entry(data: Bytes, i: int, row: int, boxes: bool, integers: Longs, scores: Floats, bboxes: Floats) -> int:
    """One entry into its row."""
    if data[i] != OPEN_OBJECT:
        return ~i
    bboxes[row, 0] = np.nan
    integers[4, row] = integers[5, row] = 0
    start, seen, exact = i, 0, True
    i = blank(data, i + 1)
    while True:
        value = key(data, i)
        if value < 0:
            return value
        name = name_of(data, i, _NAMES)
        if name != _OTHER and seen >> name & 1:
            return ~i
        seen |= 1 << name
        if name <= _CATEGORY_ID:
            i, integers[name, row], known = integer(data, value)
            exact &= known
        elif name == _SCORE:
            i, scores[row] = real(data, value)
            integers[2, row], integers[3, row] = value, i
            exact &= not np.isnan(scores[row])
        elif name == _BBOX and boxes:
            i, x, y, width, height = _box(data, value)
            bboxes[row, 0], bboxes[row, 1], bboxes[row, 2], bboxes[row, 3] = x, y, width, height
            exact &= not np.isnan(x + y + width + height)
        else:
            i = skip(data, value, True)
            if name == _SEGMENTATION:
                integers[4, row], integers[5, row] = value, i
        if i < 0:
            return i
        i = blank(data, i)
        if data[i] != COMMA:
            break
        i = blank(data, i + 1)
    integers[6, row] = -1 if exact else start
    return i + 1 if data[i] == CLOSE_OBJECT and seen & _REQUIRED == _REQUIRED else ~i


@inlined
def _box(data: Bytes, i: int) -> tuple[int, float, float, float, float]:
    """A list of four numbers, the last two not negative."""
    x = y = width = height = 0.0
    for side in range(4):
        if data[i] != (COMMA if side else OPEN_LIST):
            return ~i, x, y, width, height
        i, value = real(data, blank(data, i + 1))
        if i < 0:
            return i, x, y, width, height
        x, y, width, height = y, width, height, value  # in order after four turns
        i = blank(data, i)
    return i + 1 if data[i] == CLOSE_LIST and not (width < 0 or height < 0) else ~i, x, y, width, height


SHORTEST_ENTRY = len('{"image_id":0,"category_id":0,"score":0}')
BLOCK_BYTES = 1 << 22

_SNIPPET_BYTES = 32


class Readable(Protocol):
    """A binary file."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class EntryBlock:
    """N consecutive entries as columns; valid until the next piece is read."""

    first: int
    """Index of the first entry in the file."""
    content: Bytes
    """uint8 [B], the text of the entries and what surrounds them; all contents joined are the file."""
    image_id: Longs
    """int64 [N]."""
    category_id: Longs
    """int64 [N]."""
    score: Floats
    """float64 [N]."""
    bbox: Floats
    """float64 [N, 4], xywh; x is NaN if an entry has no box or boxes are not read."""
    score_span: Longs
    """int64 [N, 2], begin and end of the values of `score` in `content`."""
    mask_span: Longs
    """int64 [N, 2], begin and end of the values of `segmentation` in `content`; equal for an entry without one."""


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is not a valid detection."""

    number: int
    """Its index in the file."""
    content: bytes
    """Its text."""


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the text stops being a JSON list; nothing after that can be read."""

    position: int
    """The byte."""
    number: int
    """Number of entries before it."""
    after: int
    """What was read last, as `START` and so on."""
    content: bytes
    """The first bytes at `position`; empty at the end of the file."""


class _Window:
    """A part of a file, followed by a NUL; it moves forward, and grows if an entry does not fit."""

    def __init__(self, file: Readable, size: int) -> None:
        self.file = file
        self.start = self.end = 0
        self.resize(size)
        self.move(0)

    def resize(self, size: int) -> None:
        """Room for `size` bytes and the entries in them; pages that are never written take no memory."""
        rows = size // SHORTEST_ENTRY + 1
        self.data: Bytes = np.empty(size + 1, np.uint8)
        self.integers: Longs = np.empty((7, rows), np.int64)
        self.score: Floats = np.empty(rows)
        self.bbox: Floats = np.empty((rows, 4))

    def move(self, done: int) -> bool:
        """Drop ``data[:done]`` and read on; False at the end of the file."""
        kept = self.data[done : self.end]
        if len(kept) + 1 == len(self.data):
            self.resize(2 * len(kept))
        self.data[: len(kept)] = kept
        self.start += done
        self.end = len(kept)
        got = self.file.readinto(self.data[self.end : -1].data) or 0
        self.end += got
        self.data[self.end] = 0
        return got > 0

    def broken(self, stop: int, number: int, after: int) -> Broken:
        content = self.data[stop : min(stop + _SNIPPET_BYTES, self.end)].tobytes()
        return Broken(self.start + stop, number, after, content)


def read_entries(
    file: Readable, *, boxes: bool, state: int = START, block_bytes: int = BLOCK_BYTES
) -> Iterator[EntryBlock | Refused | Broken]:
    """The entries of a JSON file in order; `Broken` comes last.

    boxes: whether to read `bbox`. state: what was read before; `NEXT` if the file goes on after an entry.
    block_bytes: how much is read at a time, more if an entry needs it.
    """
    window = _Window(file, block_bytes)
    begin, entries = 0, 0
    while True:
        data, integers, score, bbox = window.data, window.integers, window.score, window.bbox
        why, state, done, stop, rows = scan(data, window.end, begin, state, boxes, integers, score, bbox)
        if done > begin:
            garbled = _not_utf8(data[begin:done])
            if garbled is not None:
                yield window.broken(begin + garbled, entries, state)
                return
            invalid = _parse_deferred(data, integers[:, :rows], score, bbox, boxes)
            yield _block(entries, data, begin, done, integers[:, :rows], score[:rows], bbox[:rows])
            for row, content in invalid:
                yield Refused(entries + row, content)
            entries += rows
        if why == REFUSED:
            after = skip(window.data, stop, False)
            if after >= 0 and (after < window.end or window.data[stop] == OPEN_OBJECT):
                yield Refused(entries, window.data[stop:after].tobytes())
                begin, state, entries = after, NEXT, entries + 1
                continue
            stop = max(after, ~after)
        if stop < window.end:
            yield window.broken(stop, entries, state)
            return
        if not window.move(done):
            if state != CLOSED:
                yield window.broken(window.end, entries, state)
            return
        begin = 0


def _block(first: int, data: Bytes, begin: int, end: int, integers: Longs, score: Floats, bbox: Floats) -> EntryBlock:
    spans = np.maximum(integers[2:6] - begin, 0)
    return EntryBlock(first, data[begin:end], integers[0], integers[1], score, bbox, spans[:2].T, spans[2:].T)


def _parse_deferred(data: Bytes, integers: Longs, score: Floats, bbox: Floats, boxes: bool) -> list[tuple[int, bytes]]:
    """Let Python read the entries whose numbers the kernel left out; returns the row and text of invalid ones."""
    invalid = []
    for row in np.flatnonzero(integers[6] >= 0).tolist():
        begin = integers[6, row]
        content = data[begin : skip(data, begin, True)].tobytes()
        if entry_problems(row, content, boxes=boxes):
            invalid.append((row, content))
            continue
        entry = json.loads(content)
        integers[:2, row] = int(entry["image_id"]), int(entry["category_id"])
        score[row] = float(entry["score"])
        if boxes and "bbox" in entry:
            bbox[row] = [float(value) for value in entry["bbox"]]
    return invalid


def _not_utf8(content: Bytes) -> int | None:
    """The index at which `content` stops being UTF-8, or None."""
    if content.max() < 128:
        return None
    try:
        content.tobytes().decode()
    except UnicodeDecodeError as error:
        return error.start
    return None
