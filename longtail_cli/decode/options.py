"""How logits become detections: what is kept of an image, and at which score."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from longtail_cli.errors import Problem, UsageError

ObjectnessName = Literal["none", "product", "sqrt"]
OBJECTNESS: tuple[ObjectnessName, ...] = ("none", "product", "sqrt")

DEFAULT_THRESHOLD, DEFAULT_NMS_IOU, DEFAULT_CAP = 1e-4, 0.5, 300


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Which detections of an image are kept.

    threshold: only scores above it, in [0, 1).
    nms_iou: a box whose IoU with a kept, higher-scored one of its class is above it goes, in [0, 1]; None for models
        whose queries do not repeat one another.
    cap: the most detections of an image, over all classes, > 0.
    objectness: what the score s becomes with the objectness o of the row: s (``none``), s o (``product``) or the square
        root of s o (``sqrt``).
    Raises UsageError for values out of range.
    """

    threshold: float = DEFAULT_THRESHOLD
    nms_iou: float | None = DEFAULT_NMS_IOU
    cap: int = DEFAULT_CAP
    objectness: ObjectnessName = "none"

    def __post_init__(self) -> None:
        wrong = []
        if not 0 <= self.threshold < 1:
            wrong.append(Problem("--threshold", "a number from 0 to below 1", f"{self.threshold}"))
        if self.nms_iou is not None and not 0 <= self.nms_iou <= 1:
            wrong.append(Problem("--nms", "an IoU from 0 to 1, or none", f"{self.nms_iou}"))
        if self.cap < 1:
            wrong.append(Problem("--cap", "a whole number from 1", f"{self.cap}"))
        if wrong:
            raise UsageError("decoding", wrong, "give values in these ranges, or leave the options out")
