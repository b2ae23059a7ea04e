"""Which (row, class) pairs of an image become detections: the best first, after suppression within each class.

Suppression goes through the pairs of all classes in order of score and stops when an image has all its detections, so
only the best few of a million pairs are ever sorted. The result is the same as suppressing class by class and cutting
afterwards: whether a pair is kept depends only on better pairs of its class.
"""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.tables import Ints, Longs, Singles

NO_NMS = 2.0
"""An IoU that no two boxes exceed."""

BIN_BITS = 19
BINS = (0x7F800000 >> BIN_BITS) + 1
"""Scores are counted in bins by their upper bits: sixteen bins from one power of two to the next."""

FIRST_PAIRS = 1024
"""Pairs of an image that are examined first; four times as many if these do not give enough detections."""

BLOCK = 64
"""Scores compared together, in a loop of fixed length that compiles to a few vector instructions."""


@numba.njit(cache=True, nogil=True)
def decode_scores(
    scores: Singles, first: int, classes: int, start: Longs, boxes: Singles, threshold: np.float32, nms_iou: float,
    detections_per_image: int,
) -> tuple[Longs, Ints, Singles, Longs]:  # fmt: skip
    """The detections of I images.

    scores: float32 [N, K]; the classes are the `classes` columns from `first`. start: int64 [I + 1]; image i has rows
    ``start[i]:start[i + 1]``. boxes: float32 [N, 1 or C, 4], xyxy.
    Returns row int64 [M], class int32 [M], score float32 [M], image by image, best first (equal scores: the earlier
    row, then the earlier class), and the start of each image int64 [I + 1].
    """
    images = len(start) - 1
    size, count = images * detections_per_image, 0
    row, column = np.empty(size, np.int64), np.empty(size, np.int32)
    score, begin = np.empty(size, np.float32), np.zeros(images + 1, np.int64)
    for image in range(images):
        most, low, high = max(FIRST_PAIRS, 2 * detections_per_image), start[image], start[image + 1]
        while True:
            flat_index, value, complete = _best_pairs(scores, low, high, first, classes, threshold, most)
            kept = _suppress(flat_index, value, classes, low, boxes, nms_iou, detections_per_image)
            if complete or len(kept) == detections_per_image:
                break
            most *= 4
        for pair in kept:
            row[count] = low + flat_index[pair] // classes
            column[count] = flat_index[pair] % classes
            score[count] = value[pair]
            count += 1
        begin[image + 1] = count
    return row[:count], column[:count], score[:count], begin


@numba.njit(cache=True, nogil=True)
def decode_pairs(
    flat_index: Longs, value: Singles, pair_start: Longs, classes: int, start: Longs, boxes: Singles, nms_iou: float,
    detections_per_image: int,
) -> tuple[Longs, Ints, Singles, Longs]:  # fmt: skip
    """As `decode_scores`, from all pairs above the threshold.

    flat_index: int64 [P], row * C + class with rows counted from the first of the image, ascending within an image.
    value: float32 [P]. pair_start: int64 [I + 1].
    """
    images = len(start) - 1
    size, count = images * detections_per_image, 0
    row, column = np.empty(size, np.int64), np.empty(size, np.int32)
    score, begin = np.empty(size, np.float32), np.zeros(images + 1, np.int64)
    for image in range(images):
        low, pairs = start[image], slice(pair_start[image], pair_start[image + 1])
        for pair in _suppress(flat_index[pairs], value[pairs], classes, low, boxes, nms_iou, detections_per_image):
            row[count] = low + flat_index[pairs][pair] // classes
            column[count] = flat_index[pairs][pair] % classes
            score[count] = value[pairs][pair]
            count += 1
        begin[image + 1] = count
    return row[:count], column[:count], score[:count], begin


@numba.njit(cache=True, nogil=True)
def _best_pairs(
    scores: Singles, low: int, high: int, first: int, classes: int, threshold: np.float32, most: int
) -> tuple[Longs, Singles, bool]:
    """The best pairs above the threshold of rows `low` to `high`, in order of `flat_index`, and whether these are all.

    At least `most`, unless there are fewer. Every pair is counted in the bin of its score; once `most` pairs are in
    higher bins, those in the lowest bin are dropped. Scores are compared as the integers with the same bits, which have
    the same order because scores are not negative.
    """
    bits, width = scores.reshape(-1).view(np.int32), scores.shape[1]
    cut = np.full(1, threshold).view(np.int32)[0]
    bins, lowest, above = np.zeros(BINS, np.int64), cut >> BIN_BITS, 0
    flat_index, value = np.empty(4 * most, np.int64), np.empty(4 * most, np.int32)
    found = np.empty(BLOCK, np.int64)
    count, complete = 0, True
    for row in range(low, high):
        line = bits[row * width + first : row * width + first + classes]
        begin = _next_block(line, 0, cut)
        while begin < classes:
            for c in found[: _above(line, begin, cut, found)]:
                if count == len(flat_index):
                    flat_index, value, count = _with_room(flat_index, value, cut)
                flat_index[count], value[count] = (row - low) * classes + c, line[c]
                count += 1
                bins[line[c] >> BIN_BITS] += 1
                above += 1
            while above - bins[lowest] >= most:
                above -= bins[lowest]
                lowest += 1
                cut, complete = np.int32((lowest << BIN_BITS) - 1), False
            begin = _next_block(line, begin + BLOCK, cut)
    count = _drop(flat_index[:count], value[:count], cut)
    return flat_index[:count], value[:count].view(np.float32), complete


@numba.njit(cache=True, nogil=True)
def _next_block(line: Ints, begin: int, cut: int) -> int:
    """The start of the next block with a value above `cut`; the end of the line or more if there is none."""
    while begin + BLOCK <= len(line):
        block = line[begin : begin + BLOCK]
        more = 0
        for c in range(BLOCK):
            more += block[c] > cut
        if more:
            return begin
        begin += BLOCK
    for c in range(begin, len(line)):
        if line[c] > cut:
            return begin
    return len(line)


@numba.njit(cache=True, nogil=True)
def _above(line: Ints, begin: int, cut: int, found: Longs) -> int:
    """Write the indices in the block at `begin` with values above `cut` into `found`; returns their number."""
    count = 0
    for c in range(begin, min(begin + BLOCK, len(line))):
        found[count] = c  # overwritten if not above: a branch would be mispredicted too often
        count += line[c] > cut
    return count


@numba.njit(cache=True, nogil=True)
def _with_room(flat_index: Longs, value: Ints, cut: int) -> tuple[Longs, Ints, int]:
    """The pairs above `cut`, in arrays that are at least half free, and their number."""
    count = _drop(flat_index, value, cut)
    if 2 * count > len(flat_index):
        flat_index = np.concatenate((flat_index, np.empty_like(flat_index)))
        value = np.concatenate((value, np.empty_like(value)))
    return flat_index, value, count


@numba.njit(cache=True, nogil=True)
def _drop(flat_index: Longs, value: Ints, cut: int) -> int:
    """Move the pairs above `cut` to the front, in the same order; returns their number."""
    count = 0
    for pair in range(len(value)):
        if value[pair] > cut:
            flat_index[count], value[count] = flat_index[pair], value[pair]
            count += 1
    return count


@numba.njit(cache=True, nogil=True)
def _suppress(
    flat_index: Longs, value: Singles, classes: int, low: int, boxes: Singles, nms_iou: float, limit: int
) -> Longs:
    """Indices of the kept pairs, best first: no two of one class have an IoU above `nms_iou`."""
    order = np.argsort(-value, kind="mergesort")
    kept = np.empty(min(limit, len(order)), np.int64)
    last = np.full(classes, -1, np.int64)  # the last kept pair of each class; `before`: the one kept before it
    before = np.empty(len(kept), np.int64)
    count = 0
    for pair in order:
        if count == len(kept):
            break
        c = flat_index[pair] % classes
        box = _box(boxes, low, flat_index[pair], classes)
        other = last[c]
        while other >= 0 and _iou(box, _box(boxes, low, flat_index[kept[other]], classes)) <= nms_iou:
            other = before[other]
        if other < 0:
            kept[count], before[count], last[c] = pair, last[c], count
            count += 1
    return kept[:count]


@numba.njit(cache=True, nogil=True)
def _box(boxes: Singles, low: int, flat_index: int, classes: int) -> Singles:
    box: Singles = boxes[low + flat_index // classes, 0 if boxes.shape[1] == 1 else flat_index % classes]
    return box


@numba.njit(cache=True, nogil=True)
def _iou(one: Singles, other: Singles) -> float:
    """Intersection over union of two xyxy boxes in float64; 0 if both are empty."""
    width = min(np.float64(one[2]), other[2]) - max(np.float64(one[0]), other[0])
    height = min(np.float64(one[3]), other[3]) - max(np.float64(one[1]), other[1])
    if width <= 0 or height <= 0:
        return 0.0
    shared = width * height
    area = (np.float64(one[2]) - one[0]) * (np.float64(one[3]) - one[1])
    other_area = (np.float64(other[2]) - other[0]) * (np.float64(other[3]) - other[1])
    return float(shared / (area + other_area - shared))


def xywh(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Boxes [M, 4] xyxy as xywh."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
