"""Plain-loop twin of decoding: every pair above the threshold, class by class, box by box."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from longtail_cli.decode.options import DecodeOptions


class Kept(NamedTuple):
    """A detection: the row of the file, the column among the classes, the score."""

    row: int
    column: int
    score: float


def decoded(
    scores: npt.NDArray[np.float32],
    boxes: npt.NDArray[np.float32],
    image_id: npt.NDArray[np.int64],
    options: DecodeOptions,
) -> list[Kept]:
    """Scores [N, C] of the classes alone; boxes [N, 4] or [N, C, 4] xyxy. Image by image, best first."""
    kept: list[Kept] = []
    for image in dict.fromkeys(image_id.tolist()):
        rows = np.flatnonzero(image_id == image).tolist()
        found: list[Kept] = []
        for column in range(scores.shape[1]):
            pairs = [
                Kept(row, column, float(scores[row, column]))
                for row in rows
                if scores[row, column] > np.float32(options.threshold)
            ]
            found += suppressed(sorted(pairs, key=lambda pair: -pair.score), boxes, options.nms_iou)
        kept += sorted(found, key=lambda pair: (-pair.score, pair.row, pair.column))[: options.detections_per_image]
    return kept


def suppressed(pairs: list[Kept], boxes: npt.NDArray[np.float32], nms_iou: float | None) -> list[Kept]:
    """The pairs of one class, best first, without those that overlap a better kept one by more than `nms_iou`."""
    kept: list[Kept] = []
    for pair in pairs:
        if nms_iou is None or all(iou(box_of(pair, boxes), box_of(other, boxes)) <= nms_iou for other in kept):
            kept.append(pair)
    return kept


def box_of(pair: Kept, boxes: npt.NDArray[np.float32]) -> list[float]:
    box: list[float] = (boxes[pair.row] if boxes.ndim == 2 else boxes[pair.row, pair.column]).tolist()
    return box


def iou(one: list[float], other: list[float]) -> float:
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    if width <= 0 or height <= 0:
        return 0.0
    areas = [(x1 - x0) * (y1 - y0) for x0, y0, x1, y1 in (one, other)]
    return width * height / (sum(areas) - width * height)
