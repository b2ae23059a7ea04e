"""Segmentations of COCO and LVIS files: polygons and run lengths, read into columnar masks."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from longtail_cli.engine import json_records, polygons, run_lengths
from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_among, faults_at
from longtail_cli.parallel import THREADS
from longtail_cli.tables import Bools, Counts, Floats, Ints, Longs, Masks

_LARGEST_COORDINATE = 1e5
"""Of the points of polygons, and the width of images that have some, in pixels."""

_MOST_CROSSINGS = 1 << 22
"""How often the outlines of one object may cross the middle of a column; the rasteriser has to keep all of them."""

_MOST_RUNS = 1 << 30
"""Of the polygons of one file."""

_FIX_RUNS = 'write each segmentation as run lengths, {"size": [height, width], "counts": ...}'
_FIX_ANY = f"{_FIX_RUNS}, or as polygons, [[x1, y1, x2, y2, x3, y3, ...], ...]; or evaluate boxes alone"

_ALL_PIXELS = "run lengths of pixels that add up to height times width"

Side = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Run = Annotated[int, msgspec.Meta(ge=0, le=2**32 - 1)]


class RunLengths(msgspec.Struct, gc=False, frozen=True):
    """An RLE as in a file: `size` is (height, width), `counts` compressed (str) or not (list)."""

    size: tuple[Side, Side]
    counts: str | list[Run]


Segmentation = RunLengths | list[list[float]]


class Pieces(Sequence[msgspec.Raw]):
    """N pieces of a JSON text."""

    def __init__(self, text: npt.NDArray[np.uint8], spans: Longs) -> None:
        """text: uint8. spans: int64 [N, 2], begin and end of each piece and the white space after it."""
        self.text, self.spans = text, spans

    def __len__(self) -> int:
        return len(self.spans)

    def __getitem__(self, row: Any) -> Any:
        begin, end = self.spans[row]
        return msgspec.Raw(self.text[begin:end].tobytes().rstrip())


Segmentations = Sequence[msgspec.Raw]


def read_segmentations(
    segmentations: Segmentations, size: Ints | None, where: Callable[[int], str]
) -> tuple[Masks, list[Fault]]:
    """Masks of N segmentations, and the faults of those that cannot be read; their rows are 0 x 0.

    segmentations: N pieces of JSON: lists of polygons, or RLE.
    size: int32 [N, 2], (height, width) > 0 of each one's image, which an RLE must match; or None for result files, in
        which every segmentation must be an RLE and states its own.
    where: the location of a row, for the faults.

    The polygons of an object are rasterised and merged as by pycocotools, as the official evaluations do.
    """
    drawn, left = None, np.arange(len(segmentations))
    if isinstance(segmentations, Pieces) and size is not None and _can_be_drawn(size).all():
        drawn, left = _drawn(segmentations, size)
        if not len(left):
            return drawn, []
    rest, faults = _decoded(segmentations, left, size, where)
    return (rest if drawn is None else _interleaved(drawn, rest, left)), faults


def _can_be_drawn(size: Ints) -> Bools:
    """Bool [N], whether images of these sizes, int32 [N, 2], may have polygons."""
    return np.asarray(
        (np.prod(size, axis=1, dtype=np.int64) < run_lengths.MOST_PIXELS) & (size[:, 1] <= _LARGEST_COORDINATE)
    )


def _drawn(pieces: Pieces, size: Ints) -> tuple[Masks, Longs]:
    """N masks, without runs for all pieces but lists of polygons; and the rows of those others.

    The others are also those from the first on whose outlines cross too many columns.
    """
    cuts = np.linspace(0, len(pieces), THREADS + 1).astype(np.int64)

    def draw(rows: slice) -> tuple[Masks, Bools]:
        spans = pieces.spans[rows]
        most = int((spans[:, 1] - spans[:, 0]).sum()) // 2 + 2
        points, polygon_start, object_start = (
            np.empty(most),
            np.empty(most, np.int64),
            np.empty(len(spans) + 1, np.int64),
        )
        json_records.polygons(pieces.text, spans, _LARGEST_COORDINATE, points, polygon_start, object_start)
        start, counts, done, room = np.zeros(len(spans) + 1, np.int64), np.empty(most, np.uint32), 0, 1 << 12
        while True:
            done = polygons.rasterise(done, points, polygon_start, object_start, size[rows], start, counts, room)
            if start[done] + room <= len(counts):  # the object `done` needs more
                room *= 2
            if done == len(spans) or room > _MOST_CROSSINGS or start[done] > _MOST_RUNS // len(cuts):
                start[done + 1 :] = start[done]
                read = object_start[1:] > object_start[:-1]
                read[done:] = False
                return Masks(size[rows], counts[: start[-1]], start), read
            counts = with_room(counts, int(start[done]), int(start[done]) + room)

    with ThreadPoolExecutor(len(cuts)) as pool:
        parts = list(pool.map(draw, map(slice, cuts[:-1], cuts[1:])))
    lengths = np.concatenate([np.diff(masks.start) for masks, _ in parts])
    start = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=start[1:])
    drawn = Masks(size, np.concatenate([masks.counts for masks, _ in parts]), start)
    return drawn, np.flatnonzero(~np.concatenate([read for _, read in parts]))


def _interleaved(masks: Masks, others: Masks, rows: Longs) -> Masks:
    """`masks` with `others` at `rows`, where they have no runs."""
    lengths = np.diff(masks.start)
    lengths[rows] = np.diff(others.start)
    start = np.zeros(len(lengths) + 1, np.int64)
    np.cumsum(lengths, out=start[1:])
    other = np.zeros(len(lengths), np.bool_)
    other[rows] = True
    other = np.repeat(other, lengths)
    counts = np.empty(len(other), np.uint32)
    counts[other], counts[~other] = others.counts, masks.counts
    size = masks.size.copy()
    size[rows] = others.size
    return Masks(size, counts, start)


def _decoded(
    segmentations: Segmentations, rows: Longs, size: Ints | None, where: Callable[[int], str]
) -> tuple[Masks, list[Fault]]:
    """What `read_segmentations` reads, of some rows, one by one."""
    decoder: msgspec.json.Decoder[Any] = msgspec.json.Decoder(RunLengths if size is None else Segmentation)
    sizes = np.zeros((len(rows), 2), np.int32)
    compressed = [b""] * len(rows)
    runs: dict[int, Counts] = {}
    left = _MOST_RUNS
    problems: list[Problem] = []
    expected, fix = ("run lengths", _FIX_RUNS) if size is None else ("run lengths or polygons", _FIX_ANY)
    for number, row in enumerate(rows.tolist()):
        raw = segmentations[row]
        image_size = None if size is None else (int(size[row, 0]), int(size[row, 1]))
        try:
            segmentation = decoder.decode(raw)
            own_size = _size_of(segmentation, image_size)
            if isinstance(segmentation, list):
                runs[number] = _rasterise(segmentation, own_size, left)
                left -= len(runs[number])
            elif isinstance(segmentation.counts, list):
                runs[number] = _runs(segmentation.counts, own_size)
            else:
                compressed[number] = segmentation.counts.encode()
            sizes[number] = own_size
        except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
            problems.append(Problem(where(row), expected, _cut(f"{_text(raw)} ({error})")))
        except _UnusableError as error:
            problems.append(Problem(where(row), error.expected, error.found))
    start = np.zeros(len(compressed) + 1, np.int64)
    np.cumsum([len(counts) for counts in compressed], out=start[1:])
    masks, valid = decode_counts(np.frombuffer(b"".join(compressed), np.uint8), start, sizes)
    if runs:
        others = np.array(list(runs))
        valid[others] = True
        masks = _interleaved(masks, _masks_of(list(runs.values()), sizes[others]), others)

    def describe(number: int) -> Problem:
        row = int(rows[number])
        return Problem(where(row), _ALL_PIXELS, f"{_cut(_text(segmentations[row]))}, which do not")

    return masks, [*faults_among(problems, fix), *faults_at(~valid, describe, fix)]


def _masks_of(runs: Sequence[Counts], size: Ints) -> Masks:
    """N masks from the runs of each, uint32. size: int32 [N, 2]."""
    start = np.zeros(len(runs) + 1, np.int64)
    np.cumsum([len(counts) for counts in runs], out=start[1:])
    return Masks(size, np.concatenate(runs), start)


class GrowingMasks:
    """Masks that are appended; there is room for `runs` runs before they have to move."""

    def __init__(self, masks: int, runs: int) -> None:
        self.size: Ints = np.empty((masks, 2), np.int32)
        self.start: Longs = np.zeros(masks + 1, np.int64)
        self.counts: Counts = np.empty(runs, np.uint32)
        self.number = 0

    def read(self, content: npt.NDArray[np.uint8], spans: Longs) -> bool:
        """Append N compressed run lengths; False, and none of them, if one is written otherwise or is not valid.

        content: uint8, text with JSON at `spans`, int64 [N, 2], which include the white space after it.
        """
        self._reserve(len(spans), int((spans[:, 1] - spans[:, 0]).sum()))
        runs = self.start[self.number]
        start = np.empty(len(spans) + 1, np.int64)
        if run_lengths.read(content, spans, self.size[self.number :], start, self.counts[runs:]) < len(spans):
            return False
        self._count(start)
        return True

    def append(self, masks: Masks) -> None:
        """Append others."""
        self._reserve(len(masks), len(masks.counts))
        runs = self.start[self.number]
        self.size[self.number : self.number + len(masks)] = masks.size
        self.counts[runs : runs + len(masks.counts)] = masks.counts
        self._count(masks.start)

    def masks(self) -> Masks:
        """All that were appended."""
        start = self.start[: self.number + 1]
        return Masks(self.size[: self.number], self.counts[: start[-1]], start)

    def _count(self, start: Longs) -> None:
        end = self.number + len(start)
        self.start[self.number : end] = start + self.start[self.number]
        self.number = end - 1

    def _reserve(self, masks: int, runs: int) -> None:
        self.size = with_room(self.size, self.number, masks)
        self.start = with_room(self.start, self.number + 1, masks)
        self.counts = with_room(self.counts, int(self.start[self.number]), runs)


def with_room(array: np.ndarray[Any, Any], used: int, more: int) -> np.ndarray[Any, Any]:
    """`array`, or a larger one with its first `used` rows, that has room for more."""
    if used + more <= len(array):
        return array
    larger = np.empty((2 * used + more, *array.shape[1:]), array.dtype)
    larger[:used] = array[:used]
    return larger


def decode_counts(characters: npt.NDArray[np.uint8], start: Longs, size: Ints) -> tuple[Masks, Bools]:
    """N compressed counts strings as masks, and bool [N] whether each is valid and fills its size.

    characters: uint8 [total], the strings one after another, ASCII; string i is ``characters[start[i]:start[i + 1]]``.
    size: int32 [N, 2], (height, width). The runs of an invalid string are undefined.
    """
    run_start = np.empty(len(start), np.int64)
    counts = np.empty(len(characters), np.uint32)
    pixels = np.empty(len(size), np.int64)
    run_lengths.decode(characters, start, run_start, counts, pixels)
    return Masks(size, counts[: run_start[-1]].copy(), run_start), pixels == size[:, 0].astype(np.int64) * size[:, 1]


def compressed_counts(runs: Sequence[int]) -> str:
    """The counts string of run lengths, as `engine.run_lengths` describes it."""
    characters = []
    for row, run in enumerate(runs):
        value = run - runs[row - 2] if row > 2 else run
        going = True
        while going:
            group, value = value & 31, value >> 5
            going = value != (-1 if group & 16 else 0)
            characters.append(chr(48 + group + 32 * going))
    return "".join(characters)


def mask_boxes(masks: Masks) -> Floats:
    """float64 [N, 4], the smallest xywh box around each mask, in pixels; zeros for an empty mask."""
    boxes = np.empty((len(masks), 4))
    run_lengths.boxes(masks.counts, masks.start, masks.size, boxes)
    return boxes


class _UnusableError(Exception):
    def __init__(self, expected: str, found: str) -> None:
        self.expected, self.found = expected, found
        super().__init__(found)


def _size_of(segmentation: Segmentation, image_size: tuple[int, int] | None) -> tuple[int, int]:
    """(height, width) of a segmentation, which must be that of its image if it is known."""
    size = segmentation.size if isinstance(segmentation, RunLengths) else image_size
    if size is None or (image_size is not None and size != image_size):
        raise _UnusableError(f"the size of the image, [height, width] = {_size(image_size)}", _size(size))
    if size[0] * size[1] >= run_lengths.MOST_PIXELS:
        raise _UnusableError("a mask of fewer than 2^29 pixels", f"[height, width] = {_size(size)}")
    return size


def _runs(counts: list[int], size: tuple[int, int]) -> Counts:
    """The runs of an RLE that is not compressed."""
    if sum(counts) != size[0] * size[1]:
        raise _UnusableError(_ALL_PIXELS, f"{_cut(str(counts))}, which do not")
    return np.array(counts, np.uint32)


def _rasterise(outlines: list[list[float]], size: tuple[int, int], most_runs: int) -> Counts:
    """The runs of the union of polygons, at most `most_runs`."""
    if not outlines:
        raise _UnusableError("at least one polygon", "an empty list")
    for polygon in outlines:
        if len(polygon) < 6 or len(polygon) % 2:
            raise _UnusableError("polygons of three or more points, x and y of each", f"one of {len(polygon)} numbers")
        if min(polygon) < -_LARGEST_COORDINATE or max(polygon) > _LARGEST_COORDINATE:
            furthest = max(polygon, key=abs)
            raise _UnusableError(f"coordinates within {_LARGEST_COORDINATE:.0f} pixels", f"{furthest:g}")
    if size[1] > _LARGEST_COORDINATE:
        raise _UnusableError(f"an image at most {_LARGEST_COORDINATE:.0f} pixels wide", f"a width of {size[1]}")
    points = np.array([number for polygon in outlines for number in polygon])
    polygon_start, object_start = np.cumsum([0, *map(len, outlines)]), np.array([0, len(outlines)])
    sizes = np.array([size], np.int32)
    start, room = np.zeros(2, np.int64), 1 << 10
    while room <= _MOST_CROSSINGS:
        counts = np.empty(room, np.uint32)
        if polygons.rasterise(0, points, polygon_start, object_start, sizes, start, counts, room) == 1:
            if start[1] > most_runs:
                raise _UnusableError(f"polygons of {_MOST_RUNS:,} runs in all masks of the file", "more")
            return counts[: start[1]]
        room *= 4
    crossings = f"outlines that cross the columns of the image at most {_MOST_CROSSINGS:,} times"
    raise _UnusableError(crossings, f"more, with {len(points) // 2} points")


def _size(size: tuple[int, int] | None) -> str:
    return str(list(size)) if size else "no size"


def _text(raw: msgspec.Raw) -> str:
    return bytes(raw).decode(errors="replace")


def _cut(text: str) -> str:
    return text if len(text) <= 80 else text[:77] + "..."
