"""The one result model: what an evaluation found, and by which rules, so that two reports can be compared or refused.

All figures are fractions in [0, 1] at full precision unless stated (gains of TIDE in [-1, 1]); None stands for
undefined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from longtail_cli.metrics import (
    CategoryMetrics,
    Classification,
    DetectionBin,
    Interval,
    Metrics,
    Reliability,
    ReliabilityBin,
    Resamples,
    Tide,
    TideGains,
    Value,
    Values,
)

__all__ = [
    "IOU_TYPES",
    "Baseline",
    "Bootstrap",
    "CategoryMetrics",
    "Classification",
    "DetectionBin",
    "GroupSize",
    "Interval",
    "Metrics",
    "Reliability",
    "ReliabilityBin",
    "Report",
    "Run",
    "Signature",
    "Tide",
    "TideGains",
    "Value",
    "Values",
    "Verdict",
]

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
class Run:
    """One result file, or one correction of it.

    name: for tables, different for each run. source: the path as given. sha256: hex digest of the file; None for
        logits, which take longer to digest than to evaluate.
    method: spec string of the correction that was applied here, or None where the file was evaluated as it is.
    metrics: by IoU type; AP, AP50, ..., and where asked for ``APfixed`` and ``APpool``, each AP, APr, APc, APf.
    tide: by IoU type, empty where it was off. categories: empty where they were not asked for.
    notes: what a reader should know of this run. classification: None but for that protocol, which has nothing else.
    reliability: by IoU type, empty where it was not asked for.
    intervals: by name of the figure (`longtail_cli.reports.metric_names`), empty without a bootstrap.
    deltas: the intervals of the differences to `Report.reference`, by name of the figure; empty without a bootstrap,
        and for the reference itself.
    """

    name: str
    source: str
    sha256: str | None
    method: str | None
    metrics: Mapping[str, Metrics]
    tide: Mapping[str, Tide]
    categories: tuple[CategoryMetrics, ...]
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
    value: Value
    base: Value
    interval: Interval | None
    message: str


@dataclass(frozen=True, slots=True)
class Report:
    """Several runs under one signature; differences are taken against the baseline's run or else the first.

    groups: what figures rest on, under ``all``, and by frequency group. bootstrap: None where there are no intervals.
    baseline: None where none was given. gates: verdicts run by run, gate by gate. resamples: the metrics of each
    resample, which the JSON does not hold; None without a bootstrap.

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
    resamples: Resamples | None = field(default=None, compare=False, repr=False)

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
    parts: dict[str, Tide | TideGains] = {"all": tide, **tide.groups}
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
