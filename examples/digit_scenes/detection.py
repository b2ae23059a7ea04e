"""From logits to a result list: softmax, score threshold, non-maximum suppression per class."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from classifier import Floats, softmax
from scenes import Integers, overlap

SCORE_DIGITS = 6


def detections(
    logits: Floats, image_id: Integers, boxes: Integers, category_id: Sequence[int], threshold: float
) -> list[dict[str, object]]:
    """COCO result entries of all images, in the order of the images, then of the classes, then of descending scores.

    logits: [N, C + 1], background last. image_id: [N], rows of one image together. boxes: [N, 4] xyxy.

    Scores are rounded before they are compared, so the results do not depend on the last bit of `exp`.
    """
    scores = np.round(softmax(logits), SCORE_DIGITS)
    entries: list[dict[str, object]] = []
    for image in dict.fromkeys(image_id.tolist()):
        in_image = np.flatnonzero(image_id == image)
        for column, category in enumerate(category_id):
            rows = in_image[scores[in_image, column] > threshold]
            rows = rows[np.argsort(-scores[rows, column], kind="stable")]
            for row in rows[suppress(boxes[rows])]:
                x0, y0, x1, y1 = boxes[row].tolist()
                bbox, score = [x0, y0, x1 - x0, y1 - y0], scores[row, column].item()
                entries.append({"image_id": image, "category_id": category, "bbox": bbox, "score": score})
    return entries


def suppress(boxes: Integers) -> list[int]:
    """The boxes to keep, best first: those whose IoU with every better kept box is at most 0.5."""
    shared, area, other_area = overlap(boxes, boxes)
    overlapping = 2 * shared > area + other_area - shared
    kept: list[int] = []
    for box in range(len(boxes)):
        if not overlapping[box, kept].any():
            kept.append(box)
    return kept
