"""The metrics of a run: fractions in [0, 1] at full precision unless stated; None if undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

Value = float | None
Values = Mapping[str, Value]
Counts = Mapping[str, int | None]
Metrics = Mapping[str, Value | Values]


def mean(values: Floats) -> Value:
    """The mean of the values that are not NaN, None if all are."""
    known = values[~np.isnan(values)]
    return float(known.mean()) if len(known) else None


def ratio(total: float, number: float) -> Value:
    """The quotient, None if `number` is 0."""
    return total / number if number else None


def defined(values: Floats) -> list[Value]:
    """The values, with None for NaN."""
    return [None if np.isnan(value) else value for value in values.tolist()]


@dataclass(frozen=True, slots=True)
class TideGains:
    """AP50, and what fixing each kind of error alone adds to it (Bolya et al., "TIDE", ECCV 2020)."""

    AP50: Value
    """Mean AP at IoU 0.5, with nothing fixed."""
    main: Values
    """The gains from fixing the errors Cls, Loc, Both, Dupe, Bkg and Miss."""
    special: Values
    """The gains with all false positives removed (FalsePos), and with no object missed (FalseNeg)."""
    false_positives: Counts = field(default_factory=dict)
    """How many false positives there are at recall 0.4 and 0.6 (``FP@R40``, ``FP@R60``), all categories on one curve.
    None if the recall is not reached. Empty in reports of ltcal before they were counted."""


@dataclass(frozen=True, slots=True)
class Tide:
    """The TIDE breakdown over all categories and by frequency group; see `TideGains`."""

    protocol: str
    """``aligned``, by the rules of the report, or ``tidecv``, as tidecv 1.0.1 computes it."""
    AP50: Value
    main: Values
    special: Values
    groups: Mapping[str, TideGains]
    false_positives: Counts = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows of a classifier whose confidence falls in a bin."""

    count: int
    confidence: Value
    """Mean confidence."""
    accuracy: Value
    """Share of correct predictions."""


@dataclass(frozen=True, slots=True)
class Classification:
    """The metrics of a classifier over N rows of scores s [C] with true class y.

    The prediction of a row is the class with the greatest score, the lowest such class if several tie; its confidence
    is that score. Without rows every metric is None, and so is the recall of a class without rows. The 15 bins are
    (k/15, (k+1)/15]; 0 falls in the first.

    Scores of sigmoid heads need not sum to 1. Then confidence is the score of the predicted class against all others
    together, `nll` the log-likelihood of the true class alone, and a row of `confusion` sums to the mean sum of the
    scores, not to 1. With softmax it also sums to less than 1 if a class or the background belongs to no group.
    """

    top1: Value
    """Share of the rows whose class is ranked first."""
    top5: Value
    """Share of the rows whose class is among the first five."""
    balanced: Value
    """Unweighted mean of the recall of all classes."""
    many: Value
    """Unweighted mean of the recall of the classes of this group, as for `medium` and `few`."""
    medium: Value
    few: Value
    ece: Value
    """Expected calibration error: |accuracy - confidence| of each bin, weighted by its share of the rows (Guo et al.,
    "On Calibration of Modern Neural Networks", ICML 2017, eq. 3)."""
    classwise_ece: Value
    """Mean over all C classes c of the calibration error of s_c against y = c (Kull et al., "Beyond temperature
    scaling", NeurIPS 2019, section 2; the static calibration error of Nixon et al., "Measuring Calibration in Deep
    Learning", 2019). Classes without rows are included: their scores should be low."""
    nll: Value
    """Mean of -ln s_y in nats, >= 0; s_y counts as at least the least normal float32 (87.3 nats)."""
    brier: Value
    """Mean over the rows of sum_c (s_c - [y = c])^2, in [0, C]; in [0, 2] for rows that sum to 1."""
    confusion: Mapping[str, Values]
    """By true group, then by group: the mean, over the rows of the true group, of the sum of the scores of the group's
    classes. Empty without groups."""
    reliability: tuple[ReliabilityBin, ...]
    """The 15 bins."""


@dataclass(frozen=True, slots=True)
class DetectionBin:
    """The detections whose score falls in a bin."""

    count: int
    confidence: Value
    """Mean score."""
    precision: Value
    """Share of true positives."""
    iou: Value
    """Mean IoU of the true positives with the objects they are matched to; None without true positives."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """The calibration errors of the scores of detections.

    For the detections D of a category, split by score into 25 bins D_j with mean score conf, share of true positives
    prec, and mean IoU of the true positives iou::

        D-ECE = sum_j |D_j| / |D| * |conf_j - prec_j|
        LaECE = sum_j |D_j| / |D| * |conf_j - prec_j * iou_j|

    For D-ECE a score should be the probability that there is such an object, for LaECE that probability times how well
    the box or mask fits. D-ECE is that of Küppers et al., "Multivariate Confidence Calibration for Object Detection"
    (CVPR Workshops 2020), with the score as its only variable; LaECE that of Oksuz et al., "Towards Building Self-Aware
    Object Detectors via Reliable Uncertainty Quantification and Calibration" (CVPR 2023). The bins are
    (k/25, (k+1)/25] in float64, so 0.28 is in the seventh bin; 0 is in the first.

    Papers differ in three choices. Here a detection is a true positive from IoU 0.5 on (Oksuz et al. take 0.1, and
    their later work any overlap). D-ECE is averaged over categories like LaECE; Küppers et al. compute it over all
    detections together, which follows from `bins`. And no detection is left out because of a low score.
    """

    iou_threshold: float
    """The minimum IoU of a true positive."""
    errors: Mapping[str, Values]
    """``D-ECE`` and ``LaECE``, means over categories; for ``all``, and by frequency group."""
    bins: Mapping[str, tuple[DetectionBin, ...]]
    """25 equal bins of the score from 0 to 1, all categories together; for ``all``, and by frequency group."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The 95 percent interval of a metric or of a difference of two; low <= high."""

    low: float
    high: float


LEAST_IMAGES = 3.0
"""Intervals of metrics that effectively rest on fewer images are withheld: their resamples say little."""


@dataclass(frozen=True, slots=True)
class CategoryMetrics:
    """The metrics and counts of one category."""

    id: int
    name: str
    group: str | None
    images: int
    """Images in the evaluated annotations with an object of the category; for classification, labelled rows."""
    instances: int
    """Objects of the category in the evaluated annotations; for classification, labelled rows."""
    metrics: Mapping[str, Values]
    """By IoU type AP, AP50, ...; for classification under ``classification`` the recall."""
    train_images: int | None = None
    """The image count in training, from the frequency table or from LVIS annotations."""
    train_instances: int | None = None
    """The instance count in training, from the same source."""


@dataclass(frozen=True, slots=True)
class Resamples:
    """B resamples of the runs of a report."""

    seed: int
    """The random seed of the resamples."""
    sha256: str
    """Hex digest of the resamples."""
    runs: Mapping[str, Mapping[str, Floats]]
    """By name of the run, by name of the metric: float64 [B], NaN if the metric is undefined."""

    @property
    def number(self) -> int:
        """B."""
        return max((len(values) for run in self.runs.values() for values in run.values()), default=0)
