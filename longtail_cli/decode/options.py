"""How logits become detections: which are kept, and with which score."""

from __future__ import annotations

from dataclasses import dataclass, replace

from longtail_cli.choices import OBJECTNESS, Automatic, ObjectnessName
from longtail_cli.errors import Problem, UsageError, check_choice

DEFAULT_THRESHOLD, DEFAULT_NMS_IOU, DEFAULT_DETECTIONS_PER_IMAGE = 1e-4, 0.5, 300


@dataclass(frozen=True, slots=True)
class DecodeOptions:
    """Which detections of an image are kept. Raises UsageError for values out of range."""

    threshold: float = DEFAULT_THRESHOLD
    """Only scores above it are kept; in [0, 1)."""
    nms_iou: float | Automatic | None = "auto"
    """A box is dropped if its IoU with a kept, higher-scored box of its class is above this, in [0, 1]; None for no
    suppression, for models such as DETR. ``auto``: `DEFAULT_NMS_IOU`, and none for what is known to be such a model."""
    detections_per_image: int = DEFAULT_DETECTIONS_PER_IMAGE
    """The largest number of detections of an image, over all classes, > 0."""
    objectness: ObjectnessName = "none"
    """What the score s becomes with the objectness o of the row: s (``none``), s o (``product``) or the square root of
    s o (``sqrt``)."""

    def __post_init__(self) -> None:
        check_choice("objectness", self.objectness, OBJECTNESS)
        wrong = []
        if not 0 <= self.threshold < 1:
            wrong.append(Problem("`threshold=`", "a number from 0 to below 1", f"{self.threshold}"))
        if not _is_iou(self.nms_iou):
            wrong.append(Problem("`nms_iou=`", "an IoU from 0 to 1, auto, or none", f"{self.nms_iou}"))
        if self.detections_per_image < 1:
            wrong.append(Problem("`detections_per_image=`", "a whole number from 1", f"{self.detections_per_image}"))
        if wrong:
            raise UsageError("decoding", wrong, "give values in these ranges, or leave the options out")

    @property
    def suppressed_above(self) -> float | None:
        """The IoU above which boxes are dropped; None for no suppression."""
        return DEFAULT_NMS_IOU if self.nms_iou == "auto" else self.nms_iou

    def for_queries(self, queries: bool) -> DecodeOptions:
        """The options for rows that are, or are not, the outputs of a model such as DETR."""
        return replace(self, nms_iou=None) if queries and self.nms_iou == "auto" else self


def _is_iou(value: float | str | None) -> bool:
    """Whether it is an IoU, or says which one."""
    return value is None or value == "auto" or (not isinstance(value, str) and 0 <= value <= 1)
