"""The kernel that reads a JSON list of detections into columns, strictly.

As in `json_kernels`, a kernel returns the position after its piece, or ``~i`` where it stopped at position i.
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
"""Why `scan` stopped: the text ends, an entry is not as it should be, or something stands between two entries."""

_IMAGE_ID, _CATEGORY_ID, _SCORE, _BBOX, _SEGMENTATION, _OTHER = range(6)
_NAMES = rows_of("image_id", "category_id", "score", "bbox", "segmentation")
_REQUIRED = 0b111  # image_id, category_id, score


@kernel
def scan(
    data: Bytes, end: int, begin: int, state: int, boxes: bool, places: Longs, scores: Floats, bboxes: Floats
) -> tuple[int, int, int, int, int]:
    """Read as many entries as ``data[begin:end]`` holds.

    state: what was read before `begin`. boxes: whether `bbox` is looked at.
    places: int64 [7, R], is filled with image_id, category_id, where the values of score and segmentation begin and end
        (0 where an entry has no segmentation), and where an entry begins that holds a number left to Python (else -1).
        R is at least the number of entries that the text can hold.
    scores: float64 [R], is filled. bboxes: float64 [R, 4], is filled where `boxes` (x is NaN where an entry has none).
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
            after = _entry(data, i, rows, boxes, places, scores, bboxes)
            if after < 0:
                return (REFUSED, state, begin, i, rows) if ~after < end else (MORE, state, begin, end, rows)
            state, begin = NEXT, after
            rows += 1


@inlined
def _entry(data: Bytes, i: int, row: int, boxes: bool, places: Longs, scores: Floats, bboxes: Floats) -> int:
    """One entry into its row."""
    if data[i] != OPEN_OBJECT:
        return ~i
    bboxes[row, 0] = np.nan
    places[4, row] = places[5, row] = 0
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
            i, places[name, row], known = integer(data, value)
            exact &= known
        elif name == _SCORE:
            i, scores[row] = real(data, value)
            places[2, row], places[3, row] = value, i
            exact &= not np.isnan(scores[row])
        elif name == _BBOX and boxes:
            i, x, y, width, height = _box(data, value)
            bboxes[row, 0], bboxes[row, 1], bboxes[row, 2], bboxes[row, 3] = x, y, width, height
            exact &= not np.isnan(x + y + width + height)
        else:
            i = skip(data, value, True)
            if name == _SEGMENTATION:
                places[4, row], places[5, row] = value, i
        if i < 0:
            return i
        i = blank(data, i)
        if data[i] != COMMA:
            break
        i = blank(data, i + 1)
    places[6, row] = -1 if exact else start
    return i + 1 if data[i] == CLOSE_OBJECT and seen & _REQUIRED == _REQUIRED else ~i


@inlined
def _box(data: Bytes, i: int) -> tuple[int, float, float, float, float]:
    """A list of four numbers, the last two not negative."""
    x = y = width = height = 0.0
    for place in range(4):
        if data[i] != (COMMA if place else OPEN_LIST):
            return ~i, x, y, width, height
        i, value = real(data, blank(data, i + 1))
        if i < 0:
            return i, x, y, width, height
        x, y, width, height = y, width, height, value  # four turns bring each to its place
        i = blank(data, i)
    return i + 1 if data[i] == CLOSE_LIST and not (width < 0 or height < 0) else ~i, x, y, width, height


SHORTEST_ENTRY = len('{"image_id":0,"category_id":0,"score":0}')
BLOCK_BYTES = 1 << 22

_SNIPPET_BYTES = 32


class Readable(Protocol):
    """A binary file: unbuffered, or unpacked by gzip."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class EntryBlock:
    """N entries, one after another, as columns; valid until the next piece is asked for.

    first: the number of the first entry; the first of the file is 0.
    content: uint8 [B], the text of the entries and what surrounds them; all contents joined are the file.
    image_id, category_id: int64 [N].
    score: float64 [N].
    bbox: float64 [N, 4], xywh; x is NaN where an entry has none or boxes were not asked for.
    score_span, mask_span: int64 [N, 2], where the values of `score` and `segmentation` begin and end in `content`; an
        entry without `segmentation` has an empty span.
    """

    first: int
    content: Bytes
    image_id: Longs
    category_id: Longs
    score: Floats
    bbox: Floats
    score_span: Longs
    mask_span: Longs


@dataclass(frozen=True, slots=True)
class Refused:
    """An entry that is no proper detection: its number in the file, and its text."""

    number: int
    content: bytes


@dataclass(frozen=True, slots=True)
class Broken:
    """Where the text stops being a JSON list, so that nothing after can be read.

    position: the byte. number: how many entries were read before. after: what was read last, as `START` and so on.
    content: the first bytes that stand there; empty where the file ends.
    """

    position: int
    number: int
    after: int
    content: bytes


class _Window:
    """A part of a file, followed by a NUL; it moves forward and grows where an entry does not fit."""

    def __init__(self, file: Readable, size: int) -> None:
        self.file = file
        self.start = self.end = 0
        self.resize(size)
        self.move(0)

    def resize(self, size: int) -> None:
        """Room for `size` bytes and the entries in them; pages that are never written take no memory."""
        rows = size // SHORTEST_ENTRY + 1
        self.data: Bytes = np.empty(size + 1, np.uint8)
        self.places: Longs = np.empty((7, rows), np.int64)
        self.score: Floats = np.empty(rows)
        self.bbox: Floats = np.empty((rows, 4))

    def move(self, done: int) -> bool:
        """Let go of ``data[:done]`` and read on; False where the file has no more."""
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

    boxes: whether `bbox` is looked at. state: what stands before the file; `NEXT` where it goes on after an entry.
    block_bytes: how much is read at a time, more where an entry needs it.
    """
    window = _Window(file, block_bytes)
    begin, entries = 0, 0
    while True:
        data, places, score, bbox = window.data, window.places, window.score, window.bbox
        why, state, done, stop, rows = scan(data, window.end, begin, state, boxes, places, score, bbox)
        if done > begin:
            garbled = _not_utf8(data[begin:done])
            if garbled is not None:
                yield window.broken(begin + garbled, entries, state)
                return
            unfit = _parse_deferred(data, places[:, :rows], score, bbox, boxes)
            yield _block(entries, data, begin, done, places[:, :rows], score[:rows], bbox[:rows])
            for row, content in unfit:
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


def _block(first: int, data: Bytes, begin: int, end: int, places: Longs, score: Floats, bbox: Floats) -> EntryBlock:
    spans = np.maximum(places[2:6] - begin, 0)
    return EntryBlock(first, data[begin:end], places[0], places[1], score, bbox, spans[:2].T, spans[2:].T)


def _parse_deferred(data: Bytes, places: Longs, score: Floats, bbox: Floats, boxes: bool) -> list[tuple[int, bytes]]:
    """Let Python read the entries with a number that was left to it; the row and text of those that do not fit."""
    unfit = []
    for row in np.flatnonzero(places[6] >= 0).tolist():
        begin = places[6, row]
        content = data[begin : skip(data, begin, True)].tobytes()
        if entry_problems(row, content, boxes=boxes):
            unfit.append((row, content))
            continue
        entry = json.loads(content)
        places[:2, row] = int(entry["image_id"]), int(entry["category_id"])
        score[row] = float(entry["score"])
        if boxes and "bbox" in entry:
            bbox[row] = [float(value) for value in entry["bbox"]]
    return unfit


def _not_utf8(content: Bytes) -> int | None:
    """Where `content` stops being UTF-8, or None."""
    if content.max() < 128:
        return None
    try:
        content.tobytes().decode()
    except UnicodeDecodeError as error:
        return error.start
    return None
