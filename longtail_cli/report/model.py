"""The one result model: what an evaluation found, and by which rules, so that two reports can be compared or refused.

All figures are fractions in [0, 1] at full precision unless stated (gains of TIDE in [-1, 1]); None stands for
undefined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

Figure = float | None
Figures = Mapping[str, Figure]
Metrics = Mapping[str, Figure | Figures]

IOU_TYPES = ("bbox", "segm")


@dataclass(frozen=True, slots=True)
class Signature:
    """By which rules, on which data. Two figures compare where their signatures agree.

    version: of the tool. protocol: ``lvis``, ``coco`` or ``classification``, without cap, IoU types and TIDE.
    max_dets: the cap, or None. iou_types: ``bbox``, ``segm``. tide: ``aligned``, ``tidecv`` or ``off``.
    images, categories: how many the annotations hold. annotations_sha256: hex digest of their file, for classification
    of the labels as little-endian int64. frequencies_sha256: that of the frequency table; None where none was given.
    groups_sha256: of the frequency groups of the categories in order of id; None where there are no groups.
    """

    version: str
    protocol: str
    max_dets: int | None
    iou_types: tuple[str, ...]
    tide: str
    images: int
    categories: int
    annotations_sha256: str
    frequencies_sha256: str | None
    groups_sha256: str | None = None


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


@dataclass(frozen=True, slots=True)
class Run:
    """One result file, or one correction of it.

    name: for tables, different for each run. source: the path as given. sha256: hex digest of the file; None for
        logits, which take longer to digest than to evaluate.
    method: spec string of the correction that was applied here, or None where the file was evaluated as it is.
    metrics: by IoU type; AP, AP50, ..., and where asked for ``APfixed`` and ``APpool``, each AP, APr, APc, APf.
    tide: by IoU type, empty where it was off. categories: empty where they were not asked for.
    notes: what a reader should know of this run. classification: None but for that protocol, which has nothing else.
    reliability: by IoU type, empty where it was not asked for.
    intervals: by name of the figure (`longtail_cli.report.metrics`), empty without a bootstrap.
    deltas: the intervals of the differences to `Report.reference`, by name of the figure; empty without a bootstrap,
        and for the reference itself.
    """

    name: str
    source: str
    sha256: str | None
    method: str | None
    metrics: Mapping[str, Metrics]
    tide: Mapping[str, Tide]
    categories: tuple[CategoryRow, ...]
    notes: tuple[str, ...]
    classification: Classification | None = None
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    deltas: Mapping[str, Interval] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class GroupSize:
    """What the figures of a frequency group rest on.

    categories: those with ground truth that counts. images: that hold any of it. instances: the ground truths.
    """

    categories: int
    images: int
    instances: int


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals were made: resamples of the images, drawn by `seed`; the same for every run and for the baseline.

    sha256: hex digest of the draws. Two reports are paired where it is equal.
    """

    resamples: int
    seed: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier report that the runs are held against.

    source: its path as given. run: its first run. differences: what keeps figures of the two from being compared, a
    sentence each; empty where they can be.
    """

    source: str
    run: Run
    differences: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a gate says of a run.

    run: its name. kind: ``fail-under``, ``fail-over``, ``max-drop`` or ``max-rise``. metric: the name of the figure.
    limit: as it was written, ``0.18`` or ``1%``.
    outcome: ``passed``, ``failed``, ``undefined`` (the figure or the baseline's is not defined; a failure unless
        `allowed`) or ``not comparable``.
    allowed: whether the gate lets the build pass.
    value: of the run. base: of the reference, for the last two kinds. interval: of the value, or of the difference,
        where there is one.
    message: one sentence for people, with what the figure rests on.
    """

    run: str
    kind: str
    metric: str
    limit: str
    outcome: str
    allowed: bool
    value: Figure
    base: Figure
    interval: Interval | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Several runs under one signature; differences are taken against the baseline's run or else the first.

    groups: what figures rest on, under ``all``, and by frequency group. bootstrap: None where there are no intervals.
    baseline: None where none was given. gates: verdicts run by run, gate by gate.

    There is at least one run, each has a name of its own, and all hold the same figures of the same categories. Raises
    ValueError where that is not so, or where a figure is NaN or infinite: undefined is None.
    """

    signature: Signature
    runs: tuple[Run, ...]
    notes: tuple[str, ...]
    groups: Mapping[str, GroupSize] = field(default_factory=dict)
    bootstrap: Bootstrap | None = None
    baseline: Baseline | None = None
    gates: tuple[Verdict, ...] = ()

    @property
    def reference(self) -> Run:
        """What differences are taken against: the run of a baseline that can be compared, else the first run."""
        if self.baseline is not None and not self.baseline.differences:
            return self.baseline.run
        return self.runs[0]

    def __post_init__(self) -> None:
        iou_types, names = self.signature.iou_types, [run.name for run in self.runs]
        if not set(iou_types) <= set(IOU_TYPES):
            raise ValueError(f"expected IoU types among {list(IOU_TYPES)}, found {list(iou_types)}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected at least one run, and no name twice, found {names}")
        shapes = [_shape(run) for run in self.runs]
        for name, run, shape in zip(names, self.runs, shapes, strict=True):
            if set(run.metrics) != set(iou_types):
                raise ValueError(f"run {name!r}: expected figures of {list(iou_types)}, found {list(run.metrics)}")
            if (run.classification is None) == (self.signature.protocol == "classification"):
                raise ValueError(f"run {name!r}: expected figures of classification under that protocol, and no other")
            if shape != shapes[0]:
                raise ValueError(f"runs {names[0]!r} and {name!r} do not hold the same figures and categories")


def _shape(run: Run) -> tuple[object, ...]:
    """What there are figures of, without their values; equal for runs that can stand side by side."""
    tide = {
        iou_type: [one.protocol, *((key, _names(part)) for key, part in _parts(one).items())]
        for iou_type, one in run.tide.items()
    }
    categories = [(row.id, _names(row.metrics)) for row in run.categories]
    return _names(run.metrics), tide, categories, _names(run.classification), _names(run.reliability)


def _parts(tide: Tide) -> dict[str, dict[str, object]]:
    """The breakdown over all categories and of each group."""
    parts: dict[str, Tide | Gains] = {"all": tide, **tide.groups}
    return {key: {"AP50": one.AP50, "main": one.main, "special": one.special} for key, one in parts.items()}


def _names(figures: object) -> object:
    """The keys of nested figures, all the way down. Raises ValueError where a figure is not finite."""
    if isinstance(figures, Mapping):
        return {name: _names(value) for name, value in figures.items()}
    if isinstance(figures, tuple):
        return [_names(value) for value in figures]
    if isinstance(figures, Classification | ReliabilityBin | Reliability | DetectionBin):
        return {one.name: _names(getattr(figures, one.name)) for one in dataclasses.fields(figures)}
    if isinstance(figures, float) and not math.isfinite(figures):
        raise ValueError(f"expected figures that are finite, or None where undefined, found {figures}")
    return None
