"""Segmentations of COCO and LVIS files: polygons and run lengths, read into columnar masks.

COCO run lengths are column-major and start with a run of zeros. In a compressed RLE each run (from the fourth on: its
difference to the run two before) is cut into groups of five bits, lowest first; a group is one character, 48 plus the
five bits plus 32 if more groups follow, and bit 16 of the last group is the sign.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated, Any

import msgspec
import numba
import numpy as np
import numpy.typing as npt
from pycocotools import mask as coco_mask

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_among, faults_at
from longtail_cli.tables import Bools, Counts, Floats, Ints, Longs, Masks

_LARGEST_COORDINATE = 1e5
"""Pixels; the rasteriser walks every pixel of an outline, so a stray point would take all memory."""

_FIX_RUNS = 'write each segmentation as run lengths, {"size": [height, width], "counts": ...}'
_FIX_ANY = f"{_FIX_RUNS}, or as polygons, [[x1, y1, x2, y2, x3, y3, ...], ...]; or evaluate boxes alone"

Side = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Run = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class RunLengths(msgspec.Struct, gc=False, frozen=True):
    """An RLE as in a file: `size` is (height, width), `counts` compressed (str) or not (list)."""

    size: tuple[Side, Side]
    counts: str | list[Run]


Segmentation = RunLengths | list[list[float]]


def read_segmentations(
    segmentations: Sequence[msgspec.Raw], size: Ints | None, where: Callable[[int], str]
) -> tuple[Masks, list[Fault]]:
    """Masks of N segmentations, and the faults of those that cannot be read; their rows are 0 x 0.

    segmentations: N pieces of JSON: lists of polygons, or RLE.
    size: int32 [N, 2], (height, width) > 0 of each one's image, which an RLE must match; or None for result files, in
        which every segmentation must be an RLE and states its own.
    where: the location of a row, for the faults.

    The polygons of an object are rasterised and merged by pycocotools, as the official evaluations do.
    """
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(RunLengths if size is None else Segmentation)
    sizes = np.zeros((len(segmentations), 2), np.int32)
    compressed = [b""] * len(segmentations)
    problems: list[Problem] = []
    expected, fix = ("run lengths", _FIX_RUNS) if size is None else ("run lengths or polygons", _FIX_ANY)
    for row, raw in enumerate(segmentations):
        image_size = None if size is None else (int(size[row, 0]), int(size[row, 1]))
        try:
            sizes[row], compressed[row] = _compress(decoder.decode(raw), image_size)
        except msgspec.DecodeError as error:
            problems.append(Problem(where(row), expected, _cut(f"{_text(raw)} ({error})")))
        except _UnusableError as error:
            problems.append(Problem(where(row), error.expected, error.found))
    start = np.zeros(len(compressed) + 1, np.int64)
    np.cumsum([len(counts) for counts in compressed], out=start[1:])
    masks, valid = decode_counts(np.frombuffer(b"".join(compressed), np.uint8), start, sizes)

    def describe(row: int) -> Problem:
        wanted = "run lengths of pixels that add up to height times width"
        return Problem(where(row), wanted, f"{_cut(_text(segmentations[row]))}, which do not")

    return masks, [*faults_among(problems, fix), *faults_at(~valid, describe, fix)]


def decode_counts(characters: npt.NDArray[np.uint8], start: Longs, size: Ints) -> tuple[Masks, Bools]:
    """N compressed counts strings as masks, and bool [N] whether each is valid and fills its size.

    characters: uint8 [total], the strings one after another, ASCII; string i is ``characters[start[i]:start[i + 1]]``.
    size: int32 [N, 2], (height, width). The runs of an invalid string are undefined.
    """
    run_start = _run_starts(characters, start)
    counts = np.empty(run_start[-1], np.uint32)
    total = _decode_runs(characters, start, run_start, counts)
    return Masks(size, counts, run_start), total == size[:, 0].astype(np.int64) * size[:, 1]


def mask_boxes(masks: Masks) -> Floats:
    """float64 [N, 4], the smallest xywh box around each mask, in pixels; zeros for an empty mask."""
    return _boxes(masks.counts, masks.start, masks.size)


class _UnusableError(Exception):
    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(found)


def _compress(segmentation: Segmentation, image_size: tuple[int, int] | None) -> tuple[tuple[int, int], bytes]:
    """(height, width) and the compressed counts of a segmentation."""
    size = segmentation.size if isinstance(segmentation, RunLengths) else image_size
    if size is None or (image_size is not None and size != image_size):
        raise _UnusableError(f"the size of the image, [height, width] = {_size(image_size)}", _size(size))
    if size[0] * size[1] >= 1 << 32:
        raise _UnusableError("a mask of fewer than 2^32 pixels", f"[height, width] = {_size(size)}")
    if isinstance(segmentation, list):
        return size, _rasterise(segmentation, size)
    if isinstance(segmentation.counts, str):
        return size, segmentation.counts.encode()
    uncompressed = {"size": list(size), "counts": segmentation.counts}
    return size, coco_mask.frPyObjects(uncompressed, *size)["counts"]


def _rasterise(polygons: list[list[float]], size: tuple[int, int]) -> bytes:
    """Compressed counts of the union of `polygons`."""
    if not polygons:
        raise _UnusableError("at least one polygon", "an empty list")
    for polygon in polygons:
        if len(polygon) < 6 or len(polygon) % 2:
            raise _UnusableError("polygons of three or more points, x and y of each", f"one of {len(polygon)} numbers")
        if min(polygon) < -_LARGEST_COORDINATE or max(polygon) > _LARGEST_COORDINATE:
            furthest = max(polygon, key=abs)
            raise _UnusableError(f"coordinates within {_LARGEST_COORDINATE:.0f} pixels", f"{furthest:g}")
    parts = coco_mask.frPyObjects(polygons, *size)
    counts: bytes = (parts[0] if len(parts) == 1 else coco_mask.merge(parts))["counts"]
    return counts


def _size(size: tuple[int, int] | None) -> str:
    return str(list(size)) if size else "no size"


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode(errors="replace")


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."


@numba.njit(cache=True, nogil=True)
def _run_starts(characters: npt.NDArray[np.uint8], start: Longs) -> Longs:
    """int64 [N + 1], the start of the runs of each string: a run ends at a character whose bit 32 is not set."""
    run_start = np.zeros(len(start), np.int64)
    for mask in range(len(start) - 1):
        runs = 0
        for index in range(start[mask], start[mask + 1]):
            runs += (np.int64(characters[index]) - 48) & 32 == 0
        run_start[mask + 1] = run_start[mask] + runs
    return run_start


@numba.njit(cache=True, nogil=True)
def _decode_runs(characters: npt.NDArray[np.uint8], start: Longs, run_start: Longs, counts: Counts) -> Longs:
    """Fill `counts`; int64 [N], the pixels that the runs of each string cover, or -1 if it is not valid."""
    total = np.zeros(len(start) - 1, np.int64)
    for mask in range(len(total)):
        first = run_start[mask]
        run = first
        value = np.int64(0)
        bits = 0
        valid = True
        for index in range(start[mask], start[mask + 1]):
            group = np.int64(characters[index]) - 48
            if group < 0 or group > 63 or bits > 30:  # 35 bits hold any difference of two uint32
                valid = False
                break
            value |= (group & 31) << bits
            bits += 5
            if group & 32:
                continue
            if group & 16:
                value -= np.int64(1) << bits
            if run - first > 2:
                value += np.int64(counts[run - 2])
            if value < 0 or value >= 1 << 32:
                valid = False
                break
            counts[run] = np.uint32(value)
            total[mask] += value
            run += 1
            value = np.int64(0)
            bits = 0
        if not valid or bits:
            total[mask] = -1
    return total


@numba.njit(cache=True, nogil=True)
def _boxes(counts: Counts, start: Longs, size: Ints) -> Floats:
    boxes = np.zeros((len(size), 4))
    for mask in range(len(size)):
        height = np.int64(size[mask, 0])
        left, top, right, bottom = np.int64(size[mask, 1]), height, np.int64(-1), np.int64(-1)
        end = np.int64(0)
        for run in range(start[mask], start[mask + 1]):
            begin = end
            end += np.int64(counts[run])
            if (run - start[mask]) % 2 == 0 or begin == end:
                continue
            first_column, last_column = begin // height, (end - 1) // height
            left, right = min(left, first_column), max(right, last_column)
            if first_column < last_column:  # it goes from the bottom of one column to the top of the next
                top, bottom = np.int64(0), height - 1
            else:
                top, bottom = min(top, begin % height), max(bottom, (end - 1) % height)
        if right >= 0:
            boxes[mask] = (left, top, right - left + 1, bottom - top + 1)
    return boxes
