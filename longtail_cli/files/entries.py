"""A JSON list of detections, read block by block into columns, with the places of the values to be rewritten.

Every byte is looked at, strictly: readers made for tables take ``"1"`` for 1, round 1.7 to 2, or take a list for whole
that is cut off between two entries.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from longtail_cli.files.entry_kernels import CLOSED, NEXT, REFUSED, START, scan
from longtail_cli.files.json_kernels import OPEN_OBJECT, Bytes, skip
from longtail_cli.files.result_problems import entry_problems
from longtail_cli.tables import Floats, Longs

SHORTEST_ENTRY = len('{"image_id":0,"category_id":0,"score":0}')
BLOCK_BYTES = 1 << 22

_SNIPPET_BYTES = 32


class Readable(Protocol):
    """A binary file: unbuffered, or unpacked by gzip."""

    def readinto(self, buffer: memoryview, /) -> int | None: ...


@dataclass(frozen=True, slots=True)
class Block:
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
) -> Iterator[Block | Refused | Broken]:
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
            unfit = _settle(data, places[:, :rows], score, bbox, boxes)
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


def _block(first: int, data: Bytes, begin: int, end: int, places: Longs, score: Floats, bbox: Floats) -> Block:
    spans = np.maximum(places[2:6] - begin, 0)
    return Block(first, data[begin:end], places[0], places[1], score, bbox, spans[:2].T, spans[2:].T)


def _settle(data: Bytes, places: Longs, score: Floats, bbox: Floats, boxes: bool) -> list[tuple[int, bytes]]:
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
