"""Which metrics of detections to compute, and by which rules."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from longtail_cli.errors import Problem, UsageError, check_choice
from longtail_cli.tables import SCORE_SPACES, ScoreSpace

IouType = Literal["bbox", "segm"]
ProtocolChoice = Literal["auto", "lvis", "coco"]
TideMode = Literal["aligned", "tidecv", "off"]

IOU_TYPES: tuple[IouType, ...] = get_args(IouType)
PROTOCOL_CHOICES: tuple[ProtocolChoice, ...] = get_args(ProtocolChoice)
TIDE_MODES: tuple[TideMode, ...] = get_args(TideMode)


@dataclass(frozen=True, slots=True)
class EvaluationOptions:
    """What an evaluation of detections computes. Raises UsageError for values that are not known."""

    protocol: ProtocolChoice = "auto"
    """``auto`` takes LVIS where every image says which categories it judges, else COCO."""
    iou_types: tuple[IouType, ...] = ()
    """``bbox``, ``segm`` or both; empty means what the first file holds."""
    max_dets: int | None = None
    """Detections that count, at least 1: per image under LVIS, per image and category under COCO; None: 300 and 100."""
    fixed_ap: bool = False
    """Fixed AP: the best 10,000 detections of each category, without a limit per image."""
    pooled_ap: bool = False
    """Pooled AP: the detections of all categories on one curve."""
    tide: TideMode = "aligned"
    """The TIDE breakdown under the rules of the report, as tidecv 1.0.1 computes it, or none."""
    reliability: bool = False
    """D-ECE and LaECE, the calibration errors of the scores."""
    per_category: bool = False
    """The metrics of each category."""
    score_space: ScoreSpace = "prob"
    """What the scores of result files are, for the methods that adjust them."""

    def __post_init__(self) -> None:
        check_choice("protocol", self.protocol, PROTOCOL_CHOICES)
        for iou_type in self.iou_types:
            check_choice("iou_types", iou_type, IOU_TYPES)
        check_choice("tide", self.tide, TIDE_MODES)
        check_choice("score_space", self.score_space, SCORE_SPACES)
        if self.max_dets is not None and self.max_dets < 1:
            problem = Problem("value", "a whole number from 1", str(self.max_dets))
            raise UsageError("`max_dets=`", [problem], "leave it out for the limit of the protocol")
