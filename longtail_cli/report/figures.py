"""The figures of a run: fractions in [0, 1] at full precision unless stated; None stands for undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

Figure = float | None
Figures = Mapping[str, Figure]
Metrics = Mapping[str, Figure | Figures]


@dataclass(frozen=True, slots=True)
class Gains:
    """AP50, and what mending each kind of error adds to it.

    main: Cls, Loc, Both, Dupe, Bkg, Miss. special: FalsePos, FalseNeg.
    """

    AP50: Figure
    main: Figures
    special: Figures


@dataclass(frozen=True, slots=True)
class Tide:
    """The TIDE breakdown over all categories and by frequency group. protocol: ``aligned`` or ``tidecv``."""

    protocol: str
    AP50: Figure
    main: Figures
    special: Figures
    groups: Mapping[str, Gains]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose greatest score lies in a bin: how many, the mean of it, and the share predicted rightly."""

    count: int
    confidence: Figure
    accuracy: Figure


@dataclass(frozen=True, slots=True)
class Classification:
    """The figures of a classifier, defined in `longtail_cli.evaluate.classification`.

    top1, top5: accuracies. balanced, many, medium, few: mean recall over all classes and those of each group.
    ece, classwise_ece: calibration errors over 15 bins. nll: in nats, >= 0. brier: in [0, 2] where scores sum to 1.
    confusion: by true group, the mean sum of the scores that goes to each group; empty without groups.
    reliability: the 15 bins of the greatest score, from 0 to 1.
    """

    top1: Figure
    top5: Figure
    balanced: Figure
    many: Figure
    medium: Figure
    few: Figure
    ece: Figure
    classwise_ece: Figure
    nll: Figure
    brier: Figure
    confusion: Mapping[str, Figures]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class DetectionBin:
    """Detections whose score lies in a bin: how many, their mean score, the share of true positives, their mean IoU.

    iou: over the true positives, with the object that each is matched to; None where there are none.
    """

    count: int
    confidence: Figure
    precision: Figure
    iou: Figure


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far scores of detections are to be trusted, defined in `longtail_cli.evaluate.reliability`.

    iou_threshold: from which IoU on a detection is a true positive.
    errors: ``D-ECE`` and ``LaECE``, means over categories; under ``all``, and by frequency group.
    bins: 25 equal bins of the score from 0 to 1, all categories together; under ``all``, and by frequency group.
    """

    iou_threshold: float
    errors: Mapping[str, Figures]
    bins: Mapping[str, tuple[DetectionBin, ...]]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure, or a difference of two, lies in 95 percent of the resamples; low <= high."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """One category. images, instances: in the evaluated annotations; for classification both are the labelled rows.

    metrics: by IoU type AP, AP50, ...; for classification under ``classification`` the recall.
    train_images, train_instances: the counts of the frequency table, or those that LVIS annotations carry; or None.
    """

    id: int
    name: str
    group: str | None
    images: int
    instances: int
    metrics: Mapping[str, Figures]
    train_images: int | None = None
    train_instances: int | None = None
