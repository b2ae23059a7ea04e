"""The kernel that reads a JSON list of detections into columns, strictly.

As in `json_kernels`, a kernel returns the position after its piece, or ``~i`` where it stopped at position i.
"""

from __future__ import annotations

import numpy as np

from longtail_cli.files.json_kernels import (
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
    start, seen, settled = i, 0, True
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
            settled &= known
        elif name == _SCORE:
            i, scores[row] = real(data, value)
            places[2, row], places[3, row] = value, i
            settled &= not np.isnan(scores[row])
        elif name == _BBOX and boxes:
            i, x, y, width, height = _box(data, value)
            bboxes[row, 0], bboxes[row, 1], bboxes[row, 2], bboxes[row, 3] = x, y, width, height
            settled &= not np.isnan(x + y + width + height)
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
    places[6, row] = -1 if settled else start
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
