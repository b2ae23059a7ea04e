"""Options of the evaluation of detections."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.choices import (
    IOU_TYPES,
    PROTOCOL_CHOICES,
    SCORE_SPACES,
    TIDE_MODES,
    IouType,
    ProtocolChoice,
    ScoreSpace,
    TideMode,
)
from longtail_cli.errors import Problem, UsageError, check_choice

TIDE_RULES = 2
"""Version of the rules of `aligned` TIDE, whose figures can only be compared with those of the same version. From 2 on,
detections that AP ignores explain missed objects, and a category that a fix empties stays in the mean."""


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """The metrics to compute, and their rules. Raises UsageError for unknown values and a cap below 1."""

    protocol: ProtocolChoice = "auto"
    """``auto`` chooses LVIS if every image states which categories it judges, else COCO."""
    iou_types: tuple[IouType, ...] = ()
    """``bbox``, ``segm`` or both; empty for those that the first file holds."""
    max_dets: int | None = None
    """Detections that count, at least 1: per image under LVIS, per image and category under COCO; None: 300 and 100."""
    fixed_ap: bool = False
    """Fixed AP: the best 10,000 detections of each category, without a limit per image."""
    pooled_ap: bool = False
    """Pooled AP: the detections of all categories on one curve."""
    tide: TideMode = "aligned"
    """The TIDE breakdown: by the rules of the report, as tidecv 1.0.1 computes it, or none."""
    reliability: bool = False
    """D-ECE and LaECE, the calibration errors of the scores."""
    per_category: bool = False
    """The metrics of each category."""
    per_image: bool = False
    """The metrics of each image at the best score threshold."""
    thresholds: bool = False
    """The score thresholds with the greatest F1 and the least LRP, overall and by category."""
    score_space: ScoreSpace = "prob"
    """Whether the scores of result files are probabilities or logits, for the methods that adjust them."""

    @property
    def beyond_limits(self) -> bool:
        """Whether detections beyond the limits per image are evaluated, for Fixed AP or pooled AP."""
        return self.fixed_ap or self.pooled_ap

    def __post_init__(self) -> None:
        check_choice("protocol", self.protocol, PROTOCOL_CHOICES)
        for iou_type in self.iou_types:
            check_choice("iou_types", iou_type, IOU_TYPES)
        check_choice("tide", self.tide, TIDE_MODES)
        check_choice("score_space", self.score_space, SCORE_SPACES)
        if self.max_dets is not None:
            check_max_dets(self.max_dets)


def check_max_dets(max_dets: int) -> None:
    """Raise UsageError for a cap below 1."""
    if max_dets < 1:
        problem = Problem("value", "a whole number from 1", str(max_dets))
        raise UsageError("`max_dets=`", [problem], "leave it out for the default of the protocol")
