"""Which (row, class) pairs of an image become detections: the best first, after suppression within each class."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longtail_cli.engine import suppression as engine
from longtail_cli.tables import Ints, Longs, Singles

NO_NMS = 2.0
"""An IoU that no two boxes exceed."""

FIRST_ROOM = 4096
"""Pairs of an image for which there is room at first."""


def decode_scores(
    scores: Singles, first: int, classes: int, start: Longs, boxes: Singles, threshold: float, nms_iou: float,
    detections_per_image: int,
) -> tuple[Longs, Ints, Singles]:  # fmt: skip
    """The detections of I images.

    scores: float32 [N, K] >= 0; the classes are the `classes` columns from `first`. start: int64 [I + 1]; image i has
    rows ``start[i]:start[i + 1]``. boxes: float32 [N, 1 or C, 4], xyxy.
    Returns row int64 [M], class int32 [M] and score float32 [M], image by image, best first (equal scores: the earlier
    row, then the earlier class).
    """
    images, room, image = len(start) - 1, max(FIRST_ROOM, 8 * detections_per_image), 0
    row, column, score, begin = _room_for(images, images * detections_per_image)
    bits, above = _bits(scores), int(np.float32(threshold).view(np.int32))
    while True:
        image = engine.decode_scores(
            image, bits, first, classes, start, boxes, above, nms_iou, detections_per_image,
            np.empty(room, np.int64), np.empty(room, np.int32), row, column, score, begin,
        )  # fmt: skip
        if image == images:
            return _filled(row, column, score, begin)
        room *= 4


def decode_pairs(
    flat_index: Longs, value: Singles, pair_start: Longs, classes: int, start: Longs, boxes: Singles, nms_iou: float,
    detections_per_image: int | None,
) -> tuple[Longs, Ints, Singles]:  # fmt: skip
    """As `decode_scores`, from all pairs above the threshold.

    flat_index: int64 [P], row * C + class with rows counted from the first of the image, ascending within an image.
    value: float32 [P]. pair_start: int64 [I + 1]. detections_per_image: None for no limit.
    """
    images, pairs = len(start) - 1, np.diff(pair_start)
    limit = max(1, int(pairs.max(initial=0))) if detections_per_image is None else detections_per_image
    size = int(np.minimum(pairs, limit).sum())
    found = _room_for(images, size)
    engine.decode_pairs(flat_index, _bits(value), pair_start, classes, start, boxes, nms_iou, limit, *found)
    return _filled(*found)


def _room_for(images: int, size: int) -> tuple[Longs, Ints, Ints, Longs]:
    return np.empty(size, np.int64), np.empty(size, np.int32), np.empty(size, np.int32), np.zeros(images + 1, np.int64)


def _filled(row: Longs, column: Ints, score: Ints, begin: Longs) -> tuple[Longs, Ints, Singles]:
    found = slice(0, begin[-1])
    return row[found], column[found], score[found].view(np.float32)


def _bits(scores: Singles) -> Ints:
    """The integers with the same bits, which have the same order, as scores are not negative."""
    return np.ascontiguousarray(scores).view(np.int32)


def xywh(boxes: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Boxes [M, 4] xyxy as xywh."""
    return np.concatenate([boxes[:, :2], boxes[:, 2:] - boxes[:, :2]], axis=1)
