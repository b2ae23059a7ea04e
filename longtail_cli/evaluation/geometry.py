"""Overlaps of detections and objects. They do not depend on scores, so sets of scores can share them.

Only overlaps of at least `MIN_IOU` are kept: most detections overlap nothing, and no metric uses lower ones.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import IouType
from longtail_cli.engine import geometry as engine
from longtail_cli.evaluation.protocol import Objects
from longtail_cli.parallel import cuts_of, in_parts, in_threads
from longtail_cli.tables import Detections, Floats, GroundTruth, Ints, Longs, Masks

MIN_IOU = 0.1
"""TIDE's background threshold t_b, the lowest in use (Bolya et al., "TIDE", ECCV 2020, sec. 2.2)."""

_ROOM = 1 << 15  # pairs in a buffer
_Filled = npt.NDArray[Any]


@dataclass(frozen=True, slots=True)
class Overlaps:
    """Pairs of M detections with the objects of their images, of IoU >= `MIN_IOU`, sparse, row by row."""

    start: Longs
    """int64 [M + 1]; detection n owns pairs ``start[n]:start[n + 1]``, in file order of the objects."""
    object: Ints
    """int32 [P], rows of `Objects`."""
    iou: Floats
    """float64 [P] in [MIN_IOU, 1]; for crowd regions, intersection over the detection's own area."""


def overlaps(
    detections: Detections, ground_truth: GroundTruth, objects: Objects, iou_type: IouType, row: Longs
) -> Overlaps:
    """The overlaps of the detections `row` (int64 [M]) with the objects of their images.

    Masks of different size do not overlap. Raises ValueError for ``"segm"`` without masks.
    """
    image, start, crowd = detections.image, objects.start, objects.crowd
    if iou_type == "bbox":
        x, y, w, h = ground_truth.bbox[objects.row].T
        edges = np.array([x, y, w + x, h + y, w * h])

        def boxes_from(low: int, high: int, *filled: _Filled) -> tuple[int, int]:
            return engine.box_pairs(low, high, detections.bbox, image, row, edges, crowd, start, MIN_IOU, *filled)

        return _in_parallel(boxes_from, objects, len(row))
    masks, object_masks = detections.masks, ground_truth.masks
    if masks is None or object_masks is None:
        raise ValueError("mask overlaps need masks on both sides")
    extents, areas = _extents(masks)
    object_extents, object_areas = _extents(object_masks)

    def masks_from(low: int, high: int, *filled: _Filled) -> tuple[int, int]:
        return engine.mask_pairs(
            low, high, masks.counts, masks.start, extents, areas, masks.size, image, row,
            object_masks.counts, object_masks.start, object_extents, object_areas, object_masks.size, objects.row,
            crowd, start, MIN_IOU, *filled,
        )  # fmt: skip

    return _in_parallel(masks_from, objects, len(row))


def rows_of(pairs: Overlaps, row: Longs) -> Overlaps:
    """The overlaps of the detections `row` (int64 [M]), in this order; rows may repeat."""
    count = (pairs.start[1:] - pairs.start[:-1])[row]
    start = np.concatenate([np.zeros(1, np.int64), np.cumsum(count)])
    pair = np.repeat(pairs.start[row] - start[:-1], count) + np.arange(start[-1])
    return Overlaps(start, pairs.object[pair], pairs.iou[pair])


def mask_areas(masks: Masks) -> Floats:
    """The number of pixels in each mask: float64 [N]."""
    areas = np.zeros(len(masks))
    in_parts(lambda low, high: engine.mask_areas(low, high, masks.counts, masks.start, areas), len(masks))
    return areas


def _extents(masks: Masks) -> tuple[Longs, Longs]:
    """The smallest box around each mask, int64 [N, 4], and its pixels, int64 [N]."""
    extents, areas = np.zeros((len(masks), 4), np.int64), np.zeros(len(masks), np.int64)
    in_parts(
        lambda low, high: engine.mask_extents(low, high, masks.counts, masks.start, masks.size, extents, areas),
        len(masks),
    )
    return extents, areas


def _in_parallel(pairs_from: Callable[..., tuple[int, int]], objects: Objects, number: int) -> Overlaps:
    """The overlaps of `number` detections, found part by part; buffers are small, so that they stay in the cache."""
    room = max(_ROOM, int(np.diff(objects.start).max(initial=0)))
    count = np.empty(number, np.int32)

    def part(low: int, high: int) -> list[tuple[Ints, Floats]]:
        parts, found, iou = [], np.empty(room, np.int32), np.empty(room)
        while low < high:
            low, filled = pairs_from(low, high, count, found, iou)
            parts.append((found[:filled].copy(), iou[:filled].copy()))
        return parts

    parts = list(chain.from_iterable(in_parts(part, number)))
    start = np.zeros(number + 1, np.int64)
    np.cumsum(count, out=start[1:])
    found, iou = np.empty(start[-1], np.int32), np.empty(start[-1])
    ends = np.cumsum([0, *(len(own) for own, _ in parts)]).tolist()

    def join(low: int, high: int) -> None:
        for n in range(low, high):
            pairs = slice(ends[n], ends[n + 1])
            found[pairs], iou[pairs] = parts[n]

    in_threads(join, cuts_of(np.array(ends)))
    return Overlaps(start, found, iou)
