"""The metrics of a run: fractions in [0, 1] at full precision unless stated; None if undefined."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Longs = npt.NDArray[np.int64]

Column = npt.NDArray[Any] | tuple[str | None, ...]
"""A column of a table: numbers, NaN if undefined, or texts, None if there is none."""

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
class OperatingPoint:
    """What the detections with at least a certain score are worth, at IoU 0.5.

    Without true positives no threshold is better than another: `threshold` is None, and `reason` says why.
    """

    threshold: Value
    """The lowest score that is kept."""
    precision: Value
    """Share of true positives among the detections that are kept; None without a threshold."""
    recall: Value
    """Share of the ground truths that are found; None if there are none."""
    value: Value
    """The metric that the threshold is the best of: F1, or LRP. None without ground truths."""
    localisation: Value = None
    """Mean of 1 - IoU over the true positives, in [0, 0.5]; None without a threshold, and for F1."""
    reason: str | None = None
    """Why there is no threshold: ``no ground truth``, ``no detections`` or ``no true positives``; for a mean ``one per
    category``. None if there is one."""


@dataclass(frozen=True, slots=True)
class CategoryThresholds:
    """The best score thresholds of one category, from its own detections."""

    id: int
    name: str
    group: str | None
    ground_truths: int
    """Ground truths that count."""
    detections: int
    """Detections within the cap that are true or false positives at IoU 0.5; ignored ones are not counted."""
    f1: OperatingPoint
    lrp: OperatingPoint


@dataclass(frozen=True, slots=True)
class Thresholds:
    """The score thresholds with the greatest F1, and with the least LRP; see `longtail_cli.evaluation.thresholds`."""

    iou_threshold: float
    """The minimum IoU of a true positive."""
    f1: OperatingPoint
    """One threshold for the detections of all categories together."""
    lrp: OperatingPoint
    mean_f1: OperatingPoint
    """Means over the categories with ground truth, each at its own threshold; a precision that is None is left out."""
    mean_lrp: OperatingPoint
    """The same; its value is what the authors of LRP report as oLRP."""
    categories: tuple[CategoryThresholds, ...]
    """Every category of the annotations, in order of id."""


@dataclass(frozen=True, slots=True)
class ImageMetrics:
    """What a run does on each of I images at one score threshold and IoU 0.5; see `evaluation.per_image`."""

    threshold: Value
    """The score threshold with the greatest F1 over all images together; None if nothing is found at any threshold,
    and then all detections are kept."""
    image_id: Longs
    """int64 [I], ascending."""
    file_name: tuple[str, ...] | None
    """As in the annotations, empty for an image without one; None if they state none."""
    ground_truths: Longs
    """int64 [I], objects that count."""
    true_positives: Longs
    """int64 [I]."""
    false_positives: Longs
    """int64 [I]."""
    missed: Longs
    """int64 [I], objects that count and are not found: `ground_truths` less `true_positives`."""
    main_error: tuple[str | None, ...] | None
    """The most frequent TIDE error of each image, None for an image without errors; None unless TIDE is `aligned`."""
    f1: Floats
    """float64 [I], in [0, 1]; NaN for an image with neither objects nor detections that count."""

    @property
    def number(self) -> int:
        """I."""
        return len(self.image_id)

    @property
    def columns(self) -> dict[str, Column]:
        """One row per image, as in tables and files; the threshold is the same in each row."""
        number = self.number
        return {
            "image_id": self.image_id,
            "file_name": self.file_name or (None,) * number,
            "ground_truths": self.ground_truths,
            "true_positives": self.true_positives,
            "false_positives": self.false_positives,
            "missed": self.missed,
            "main_error": self.main_error or (None,) * number,
            "f1": self.f1,
            "threshold": np.full(number, np.nan if self.threshold is None else self.threshold),
        }


@dataclass(frozen=True, slots=True)
class RowPredictions:
    """What a classifier predicts for each of N labelled rows."""

    row: Longs
    """int64 [N], the position of each row in the input, from 0, ascending; rows without a label are left out."""
    file_name: tuple[str, ...] | None
    """The name of each row in the input; None if it has none."""
    label: Longs
    """int64 [N], the true class, as the index of its column."""
    prediction: Longs
    """int64 [N], the class with the greatest score, the lowest such class if several tie."""
    confidence: Floats
    """float64 [N], the score of the prediction."""

    @property
    def number(self) -> int:
        """N."""
        return len(self.row)

    @property
    def columns(self) -> dict[str, Column]:
        """One row per row of the input, as in tables and files."""
        return {
            "row": self.row,
            "file_name": self.file_name or (None,) * self.number,
            "label": self.label,
            "prediction": self.prediction,
            "confidence": self.confidence,
            "correct": self.label == self.prediction,
        }


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


def category_title(row: CategoryMetrics) -> str:
    """The name of the category, or ``class 17`` by its id if the name is empty."""
    return row.name if row.name.strip() else f"class {row.id}"


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
