"""The entries of a JSON list of detections, block by block, as columns."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

from longtail_cli.engine.json_records import (
    BOX,
    CLOSED,
    CONSTANTS,
    FIRST,
    ID,
    JSON,
    NEXT,
    REAL,
    REFUSED,
    START,
    VALUE,
    scan,
    skip,
)
from longtail_cli.files.results.image_names import ImageNames
from longtail_cli.files.results.problems import entry_problems, parse_entry
from longtail_cli.tables import Floats, Longs

__all__ = ["CLOSED", "FIRST", "NEXT", "START", "Broken", "EntryBlock", "Refused", "read_entries"]

Bytes = npt.NDArray[np.uint8]

_NAMES = ("image_id", "category_id", "score", "bbox", "segmentation")
_REQUIRED = 0b111  # image_id, category_id, score
_SCORE, _SEGMENTATION, _IMAGE = range(3)  # the columns of their spans
_FIELDS = ((ID, 0, -1), (ID, 1, -1), (REAL, 0, _SCORE), (BOX, 0, -1), (VALUE, 0, _SEGMENTATION))
_ANY = (VALUE, 0, -1)
_NAME = (VALUE, 0, _IMAGE)

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


class Window:
    """A part of a file, followed by a NUL, and its entries; it moves forward, and grows if an entry does not fit.

    It can be used again for another file, which spares the system from clearing its memory.
    """

    def __init__(self, size: int = BLOCK_BYTES, images: ImageNames | None = None) -> None:
        """images: the names of the images, if they have names and not ids."""
        self.images = images
        names = _NAMES if images is None else (images.field, *_NAMES[1:])
        self.names: Bytes = np.array([[*name.encode().ljust(13, b"\0")] for name in names], np.uint8)
        self.resize(size)

    def open(self, file: Readable) -> None:
        """Begin with `file`."""
        self.file = file
        self.start = self.end = 0
        self.move(0)

    def resize(self, size: int) -> None:
        """Room for `size` bytes and the entries in them; pages that are never written take no memory."""
        rows = size // SHORTEST_ENTRY + 1
        self.data: Bytes = np.empty(size + 1, np.uint8)
        self.ids: Longs = np.empty((2, rows), np.int64)
        self.score: Floats = np.empty((1, rows))
        self.bbox: Floats = np.empty((rows, 4))
        self.spans: Longs = np.empty((2 if self.images is None else 3, rows, 2), np.int64)
        self.deferred: Longs = np.empty(rows, np.int64)

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

    def scan(self, begin: int, end: int, state: int, boxes: bool) -> tuple[int, int, int, int, int]:
        """Read the entries in ``data[begin:end]``, the last of which may be cut off; returns what the kernel does."""
        image, category, score, bbox, segmentation = _FIELDS
        image, bbox = image if self.images is None else _NAME, bbox if boxes else _ANY
        fields = np.array([image, category, score, bbox, segmentation], np.int32)
        following = self.data[end]
        self.data[end] = 0  # where the kernel stops
        found = scan(
            self.data, end, begin, state, self.names, fields, _REQUIRED, JSON,
            self.ids, self.score, self.bbox, self.spans, self.deferred,
        )  # fmt: skip
        self.data[end] = following
        return found

    def broken(self, stop: int, number: int, after: int) -> Broken:
        content = self.data[stop : min(stop + _SNIPPET_BYTES, self.end)].tobytes()
        return Broken(self.start + stop, number, after, content)


def read_entries(
    file: Readable, *, boxes: bool, state: int = START, window: Window | None = None
) -> Iterator[EntryBlock | Refused | Broken]:
    """The entries of a JSON file in order; `Broken` comes last.

    boxes: whether to read `bbox`. state: what was read before; `NEXT` if the file goes on after an entry.
    window: its size is how much is read at a time, more if an entry needs it.
    """
    window = window or Window()
    window.open(file)
    begin, entries = 0, 0
    while True:
        data, before = window.data, state
        why, state, done, stop, rows = window.scan(begin, window.end, before, boxes)
        if done > begin:
            garbled = _not_utf8(data[begin:done])
            if garbled is not None:
                *_, rows = window.scan(begin, begin + garbled, before, boxes)
                yield window.broken(begin + garbled, entries + rows, state)
                return
            invalid = _parse_deferred(window, rows, boxes)
            if window.images is not None:
                window.ids[0, :rows] = window.images.numbers(data, window.spans[_IMAGE, :rows], entries)
            yield _block(window, entries, begin, done, rows)
            for row, content in invalid:
                yield Refused(entries + row, content)
            entries += rows
        if why == REFUSED:
            after = skip(window.data, stop, CONSTANTS)
            if after >= 0 and (after < window.end or window.data[stop] == ord("{")):
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


def _block(window: Window, first: int, begin: int, end: int, rows: int) -> EntryBlock:
    spans = np.maximum(window.spans[:, :rows] - begin, 0)
    return EntryBlock(
        first=first,
        content=window.data[begin:end],
        image_id=window.ids[0, :rows],
        category_id=window.ids[1, :rows],
        score=window.score[0, :rows],
        bbox=window.bbox[:rows],
        score_span=spans[_SCORE],
        mask_span=spans[_SEGMENTATION],
    )


def _parse_deferred(window: Window, rows: int, boxes: bool) -> list[tuple[int, bytes]]:
    """Let Python read the entries whose numbers the kernel left out; returns the row and text of invalid ones."""
    invalid = []
    for row in np.flatnonzero(window.deferred[:rows] >= 0).tolist():
        begin = window.deferred[row]
        content = window.data[begin : skip(window.data, begin, JSON)].tobytes()
        if entry_problems(row, content, boxes=boxes, images=window.images):
            invalid.append((row, content))
            continue
        entry = parse_entry(content, [])
        window.ids[1, row] = int(entry["category_id"])
        if window.images is None:
            window.ids[0, row] = int(entry["image_id"])
        window.score[0, row] = float(entry["score"])
        if boxes and "bbox" in entry:
            window.bbox[row] = [float(value) for value in entry["bbox"]]
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
