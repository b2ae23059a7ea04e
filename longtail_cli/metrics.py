"""The figures of a run: fractions in [0, 1] at full precision unless stated; None stands for undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Value = float | None
Values = Mapping[str, Value]
Metrics = Mapping[str, Value | Values]


@dataclass(frozen=True, slots=True)
class TideGains:
    """AP50, and what mending each kind of error adds to it.

    main: Cls, Loc, Both, Dupe, Bkg, Miss. special: FalsePos, FalseNeg.
    """

    AP50: Value
    main: Values
    special: Values


@dataclass(frozen=True, slots=True)
class Tide:
    """The TIDE breakdown over all categories and by frequency group. protocol: ``aligned`` or ``tidecv``."""

    protocol: str
    AP50: Value
    main: Values
    special: Values
    groups: Mapping[str, TideGains]


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose greatest score lies in a bin: how many, the mean of it, and the share predicted rightly."""

    count: int
    confidence: Value
    accuracy: Value


@dataclass(frozen=True, slots=True)
class Classification:
    """The figures of a classifier, defined in `longtail_cli.evaluate.classification.metrics`.

    top1, top5: accuracies. balanced, many, medium, few: mean recall over all classes and those of each group.
    ece, classwise_ece: calibration errors over 15 bins. nll: in nats, >= 0. brier: in [0, 2] where scores sum to 1.
    confusion: by true group, the mean sum of the scores that goes to each group; empty without groups.
    reliability: the 15 bins of the greatest score, from 0 to 1.
    """

    top1: Value
    top5: Value
    balanced: Value
    many: Value
    medium: Value
    few: Value
    ece: Value
    classwise_ece: Value
    nll: Value
    brier: Value
    confusion: Mapping[str, Values]
    reliability: tuple[ReliabilityBin, ...]


@dataclass(frozen=True, slots=True)
class DetectionBin:
    """Detections whose score lies in a bin: how many, their mean score, the share of true positives, their mean IoU.

    iou: over the true positives, with the object that each is matched to; None where there are none.
    """

    count: int
    confidence: Value
    precision: Value
    iou: Value


@dataclass(frozen=True, slots=True)
class Reliability:
    """How far scores of detections are to be trusted, defined in `longtail_cli.evaluate.reliability`.

    iou_threshold: from which IoU on a detection is a true positive.
    errors: ``D-ECE`` and ``LaECE``, means over categories; under ``all``, and by frequency group.
    bins: 25 equal bins of the score from 0 to 1, all categories together; under ``all``, and by frequency group.
    """

    iou_threshold: float
    errors: Mapping[str, Values]
    bins: Mapping[str, tuple[DetectionBin, ...]]


@dataclass(frozen=True, slots=True)
class Interval:
    """Where a figure, or a difference of two, lies in 95 percent of the resamples; low <= high."""

    low: float
    high: float


@dataclass(frozen=True, slots=True)
class CategoryMetrics:
    """One category. images, instances: in the evaluated annotations; for classification both are the labelled rows.

    metrics: by IoU type AP, AP50, ...; for classification under ``classification`` the recall.
    train_images, train_instances: the counts of the frequency table, or those that LVIS annotations carry; or None.
    """

    id: int
    name: str
    group: str | None
    images: int
    instances: int
    metrics: Mapping[str, Values]
    train_images: int | None = None
    train_instances: int | None = None


@dataclass(frozen=True, slots=True)
class Resamples:
    """B resamples of the runs of a report.

    seed: that they were drawn by. sha256: hex digest of the draws. runs: by name of the run, by name of the figure,
    float64 [B], NaN where the figure is undefined.
    """

    seed: int
    sha256: str
    runs: Mapping[str, Mapping[str, Floats]]

    @property
    def number(self) -> int:
        """B."""
        return max((len(values) for run in self.runs.values() for values in run.values()), default=0)
