"""Overlaps of detections and objects. They do not depend on scores, so sets of scores can share them.

Only overlaps of at least `MIN_IOU` are kept: most detections overlap nothing, and no metric uses lower ones.
"""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import pairwise

import numba
import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.evaluation.options import THREADS
from longtail_cli.evaluation.protocol import Objects
from longtail_cli.tables import Bools, Counts, Detections, Floats, GroundTruth, Ints, Longs, Masks

MIN_IOU = 0.1
"""TIDE's background threshold t_b, the lowest in use (Bolya et al., "TIDE", ECCV 2020, sec. 2.2)."""


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs (detection, object) in one image with IoU >= `MIN_IOU`, sparse, row by row."""

    start: Longs
    """int64 [N + 1]; detection n owns pairs ``start[n]:start[n + 1]``, in file order of the objects."""
    object: Ints
    """int32 [P], rows of `Objects`."""
    iou: Floats
    """float64 [P] in [MIN_IOU, 1]; for crowd regions, intersection over the detection's own area."""


def overlaps(
    detections: Detections, ground_truth: GroundTruth, objects: Objects, iou_type: IouType, wanted: Bools
) -> Overlaps:
    """The overlaps of the detections that are `wanted` (bool [N]) with the objects of their images.

    Masks of different size do not overlap. Raises ValueError for ``"segm"`` without masks.
    """
    image, start, crowd = detections.image, objects.start, objects.crowd
    if iou_type == "bbox":
        boxes, object_boxes = detections.bbox, ground_truth.bbox[objects.row]

        def boxes_of(low: int, high: int) -> Overlaps:
            return Overlaps(*_box_pairs(boxes, image, wanted, object_boxes, crowd, start, low, high))

        return _in_parallel(boxes_of, len(detections))
    masks, object_masks = detections.masks, ground_truth.masks
    if masks is None or object_masks is None:
        raise ValueError("mask overlaps need masks on both sides")
    found, known = _Runs.of(masks), _Runs.of(object_masks)

    def masks_of(low: int, high: int) -> Overlaps:
        return Overlaps(
            *_mask_pairs(
                found.ends, found.start, found.bounds, found.area, masks.size, image, wanted,
                known.ends, known.start, known.bounds, known.area, object_masks.size, objects.row, crowd, start,
                low, high,
            )
        )  # fmt: skip

    return _in_parallel(masks_of, len(detections))


def rows_of(pairs: Overlaps, row: Longs) -> Overlaps:
    """The overlaps of the detections `row` (int64 [M]), in this order; rows may repeat."""
    count = (pairs.start[1:] - pairs.start[:-1])[row]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    pair = np.repeat(pairs.start[row] - start[:-1], count) + np.arange(start[-1])
    return Overlaps(start, pairs.object[pair], pairs.iou[pair])


def mask_areas(masks: Masks) -> Floats:
    """The number of pixels in each mask: float64 [N]."""
    return _areas(masks.counts, masks.start)


def _in_parallel(pairs_of: Callable[[int, int], Overlaps], number: int) -> Overlaps:
    """Run `pairs_of` over equal slices of the detections, one thread per slice, and join the parts."""
    cuts = np.linspace(0, number, THREADS + 1).astype(int).tolist()
    with ThreadPoolExecutor(THREADS) as pool:
        parts = list(pool.map(lambda cut: pairs_of(*cut), pairwise(cuts)))
    offset = np.cumsum([0, *(len(part.object) for part in parts)])
    start = [part.start[:-1] + shift for part, shift in zip(parts, offset[:-1], strict=True)]
    return Overlaps(
        np.concatenate([*start, offset[-1:]]),
        np.concatenate([part.object for part in parts]),
        np.concatenate([part.iou for part in parts]),
    )


@numba.njit(cache=True, nogil=True)
def _box_pairs(
    boxes: Floats, image: Ints, wanted: Bools, object_boxes: Floats, crowd: Bools, object_start: Longs,
    low: int, high: int,
) -> tuple[Longs, Ints, Floats]:  # fmt: skip
    """Overlaps of detections `low` to `high`, with the operations of pycocotools' bbIou in the same order."""
    start = np.zeros(high - low + 1, np.int64)
    objects = np.empty(1024, np.int32)
    ious = np.empty(1024, np.float64)
    count = 0
    for n in range(low, high):
        if wanted[n]:
            x, y, w, h = boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3]
            for g in range(object_start[image[n]], object_start[image[n] + 1]):
                gx, gy, gw, gh = object_boxes[g, 0], object_boxes[g, 1], object_boxes[g, 2], object_boxes[g, 3]
                width = min(w + x, gw + gx) - max(x, gx)
                height = min(h + y, gh + gy) - max(y, gy)
                if width <= 0 or height <= 0:
                    continue
                intersection = width * height
                union = w * h if crowd[g] else w * h + gw * gh - intersection
                iou = intersection / union
                if iou < MIN_IOU:
                    continue
                if count == len(objects):
                    objects = np.concatenate((objects, np.empty(count, np.int32)))
                    ious = np.concatenate((ious, np.empty(count, np.float64)))
                objects[count] = g
                ious[count] = iou
                count += 1
        start[n - low + 1] = count
    return start, objects[:count].copy(), ious[:count].copy()


@dataclass(frozen=True, slots=True)
class _Runs:
    """Masks as the sorted ends of their runs, so that two masks are intersected by merging."""

    ends: Longs
    """int64 [total], cumulative run lengths; the odd runs of a mask are its pixels."""
    start: Longs
    """int64 [N + 1]; mask n owns runs ``start[n]:start[n + 1]``."""
    bounds: Longs
    """int64 [N, 2], first pixel and one past the last pixel in column-major order; equal for an empty mask."""
    area: Longs
    """int64 [N], pixels."""

    @classmethod
    def of(cls, masks: Masks) -> _Runs:
        ends, bounds, area = _run_ends(masks.counts, masks.start)
        return cls(ends, masks.start, bounds, area)


@numba.njit(cache=True, nogil=True)
def _areas(counts: Counts, start: Longs) -> Floats:
    areas = np.zeros(len(start) - 1)
    for mask in range(len(areas)):
        for run in range(start[mask] + 1, start[mask + 1], 2):
            areas[mask] += counts[run]
    return areas


@numba.njit(cache=True, nogil=True)
def _run_ends(counts: Counts, start: Longs) -> tuple[Longs, Longs, Longs]:
    number = len(start) - 1
    ends = np.empty(len(counts), np.int64)
    bounds = np.zeros((number, 2), np.int64)
    area = np.zeros(number, np.int64)
    for n in range(number):
        position: np.int64 = np.int64(0)
        for run in range(start[n], start[n + 1]):
            length = np.int64(counts[run])
            if (run - start[n]) % 2 == 1 and length > 0:
                if area[n] == 0:
                    bounds[n, 0] = position
                area[n] += length
                bounds[n, 1] = position + length
            position += length
            ends[run] = position
    return ends, bounds, area


@numba.njit(cache=True, nogil=True)
def _intersection(a_ends: Longs, a: int, a_stop: int, b_ends: Longs, b: int, b_stop: int) -> np.int64:
    """Pixels in both masks: walk the two lists of run ends side by side."""
    shared: np.int64 = np.int64(0)
    position: np.int64 = np.int64(0)
    inside_a = False
    inside_b = False
    while a < a_stop and b < b_stop:
        end = min(a_ends[a], b_ends[b])
        if inside_a and inside_b:
            shared += end - position
        position = end
        if a_ends[a] == end:
            inside_a = not inside_a
            a += 1
        if b_ends[b] == end:
            inside_b = not inside_b
            b += 1
    return shared


@numba.njit(cache=True, nogil=True)
def _mask_pairs(
    ends: Longs, start: Longs, bounds: Longs, area: Longs, size: Ints, image: Ints, wanted: Bools,
    object_ends: Longs, object_runs: Longs, object_bounds: Longs, object_area: Longs, object_size: Ints,
    object_row: Ints, crowd: Bools, object_start: Longs, low: int, high: int,
) -> tuple[Longs, Ints, Floats]:  # fmt: skip
    """Overlaps of detections `low` to `high`: whole pixels are counted, then divided once."""
    pair_start = np.zeros(high - low + 1, np.int64)
    objects = np.empty(1024, np.int32)
    ious = np.empty(1024, np.float64)
    count = 0
    for n in range(low, high):
        if wanted[n]:
            for g in range(object_start[image[n]], object_start[image[n] + 1]):
                row = object_row[g]
                if size[n, 0] != object_size[row, 0] or size[n, 1] != object_size[row, 1]:
                    continue
                if bounds[n, 1] <= object_bounds[row, 0] or object_bounds[row, 1] <= bounds[n, 0]:
                    continue
                shared = _intersection(
                    ends, start[n], start[n + 1], object_ends, object_runs[row], object_runs[row + 1]
                )
                union = area[n] if crowd[g] else area[n] + object_area[row] - shared
                if shared == 0 or shared / union < MIN_IOU:
                    continue
                if count == len(objects):
                    objects = np.concatenate((objects, np.empty(count, np.int32)))
                    ious = np.concatenate((ious, np.empty(count, np.float64)))
                objects[count] = g
                ious[count] = shared / union
                count += 1
        pair_start[n - low + 1] = count
    return pair_start, objects[:count].copy(), ious[:count].copy()
