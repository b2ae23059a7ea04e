"""The one result model: the metrics of an evaluation and the rules behind them, so that two reports can be compared.

All metrics are fractions in [0, 1] at full precision unless stated (TIDE gains in [-1, 1], numbers of false positives);
None means undefined.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longtail_cli.metrics import (
    CategoryMetrics,
    Classification,
    DetectionBin,
    ImageMetrics,
    Interval,
    Metrics,
    Reliability,
    ReliabilityBin,
    Resamples,
    RowPredictions,
    Thresholds,
    Tide,
    TideGains,
    Value,
)

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure

IOU_TYPES = ("bbox", "segm")

ORACLE = " [oracle]"
"""How the name of an oracle run ends: its method was tuned on some of the data that it is measured on."""


@dataclass(frozen=True, slots=True)
class Signature:
    """By which rules and on which data. Two metrics can be compared if their signatures agree."""

    version: str
    """Version of the tool."""
    protocol: str
    """``lvis``, ``coco`` or ``classification``; the last is without a limit of detections, IoU types and TIDE."""
    max_dets: int | None
    """Limit of detections per image (LVIS) or per image and category (COCO)."""
    iou_types: tuple[str, ...]
    """``bbox``, ``segm``."""
    tide: str
    """``aligned``, ``tidecv`` or ``off``."""
    images: int
    """Number of images in the annotations."""
    categories: int
    """Number of categories in the annotations."""
    annotations_sha256: str
    """Hex digest of the annotation file; for classification that of the labels as little-endian int64."""
    frequencies_sha256: str | None
    """Hex digest of the frequency table; None without one."""
    groups_sha256: str | None = None
    """Hex digest of the frequency groups of the categories in order of id; None without groups."""
    oracle: tuple[str, ...] = ()
    """Names of the oracle runs. They do not make reports incomparable, as rules and data are the same; that their
    metrics are better than on new data is said by their names, and gates refuse them."""
    split: str | None = None
    """Which images of the annotations: ``half:0, tuned on`` or ``half:0, held out``; None for all."""
    tide_rules: int | None = None
    """Version of the rules of `aligned` TIDE; None in reports of ltcal before they were numbered, and without it."""
    slices_sha256: Mapping[str, str] = field(default_factory=dict)
    """By name of the slice, the hex digest of the ids of its images in ascending order, or of the numbers of its rows,
    as little-endian int64. Slices of one name are compared if it agrees."""


@dataclass(frozen=True, slots=True)
class Run:
    """One result file, or one adjustment of it."""

    name: str
    """Title of the run in tables, unique in a report."""
    source: str
    """Path as given."""
    sha256: str | None
    """Hex digest of the file; None for logits, which take longer to digest than to evaluate."""
    method: str | None
    """Spec string of the method that was applied here; None if the file was evaluated as it is."""
    metrics: Mapping[str, Metrics]
    """By IoU type: AP, AP50, ..., and optionally ``APfixed`` and ``APpool``, each with AP, APr, APc, APf."""
    tide: Mapping[str, Tide]
    """By IoU type; empty if TIDE was off."""
    categories: tuple[CategoryMetrics, ...]
    """Empty unless evaluated with ``per_category``."""
    notes: tuple[str, ...]
    """What a reader should know about this run."""
    classification: Classification | None = None
    """Set under the classification protocol and no other; it has no other metrics."""
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    """By IoU type; empty unless evaluated with ``reliability``."""
    intervals: Mapping[str, Interval] = field(default_factory=dict)
    """By metric name (`longtail_cli.reports.metric_names`); empty without a bootstrap."""
    deltas: Mapping[str, Interval] = field(default_factory=dict)
    """Intervals of the differences to `Report.reference`, by metric name; empty for the reference itself."""
    p_values: Mapping[str, float] = field(default_factory=dict)
    """Of the differences to `Report.reference`, by metric name, from a paired permutation test; empty without one, and
    if the reference is a baseline, whose detections are not at hand."""
    oracle: bool = False
    """Whether the method was tuned on some of the images or rows of this report; a note says on how many. The name
    ends in `ORACLE` then."""
    slices: Mapping[str, Mapping[str, Metrics]] = field(default_factory=dict)
    """By name of the slice, then by IoU type: AP, AP50, ... on the images of the slice alone; empty without slices."""


@dataclass(frozen=True, slots=True)
class GroupSize:
    """What the metrics of a frequency group are based on."""

    categories: int
    """Categories with ground truth that counts."""
    images: int
    """Images with such ground truth."""
    instances: int
    """Ground truths that count."""


COVERS = "the metric on sets of images of this size, not on all the images that they come from"
"""What an interval holds. AP rises as a set shrinks, so a population's AP is below that of its samples."""


@dataclass(frozen=True, slots=True)
class Bootstrap:
    """How intervals were made: resamples of the images, the same for every run and for the baseline."""

    resamples: int
    """Number of resamples."""
    seed: int
    """Random seed of the draws."""
    sha256: str
    """Hex digest of the draws; equal digests mean paired reports."""
    images: Mapping[str, float] = field(default_factory=dict)
    """On how many images the metrics effectively rest, by part of the data: ``all``, the frequency groups, and the
    object sizes ``s``, ``m``, ``l`` (`longtail_cli.evaluation.bootstrap.effective`). Empty in older reports, whose
    intervals are not widened. Of slices ``slices/NAME/all`` and so on, without the sizes; and for metrics that count
    all images alike ``slices/NAME/pooled/all``."""
    covers: str = COVERS
    """What the intervals hold."""


@dataclass(frozen=True, slots=True)
class Baseline:
    """An earlier report that the runs are compared with."""

    source: str
    """Path as given."""
    run: Run
    """The first run of that report."""
    differences: tuple[str, ...]
    """Reasons why the two cannot be compared, one sentence each; empty if they can."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The result of one gate for one run."""

    run: str
    """Name of the run."""
    kind: str
    """``fail-under``, ``fail-over``, ``max-drop`` or ``max-rise``."""
    metric: str
    """Name of the metric."""
    limit: str
    """As written: ``0.18`` or ``1%``."""
    outcome: str
    """``passed``, ``failed``, ``undefined`` (the metric or that of the baseline), ``withheld`` (beyond the limit, too
    few images for an interval), ``not comparable``, or ``oracle`` for an oracle run, which is not judged."""
    allowed: bool
    """Whether the gate lets the build pass."""
    value: Value
    """Metric of the run."""
    base: Value
    """Metric of the reference, for ``max-drop`` and ``max-rise``."""
    interval: Interval | None
    """Interval of the value or of the difference, if there is one."""
    message: str
    """One sentence for people."""
    p_value: Value = None
    """Of the difference, if gates are judged on significance."""
    p_adjusted: Value = None
    """The same after Holm's adjustment for the gates of the run."""


@dataclass(frozen=True, slots=True)
class Report:
    """Runs under one signature; differences are taken to `reference`.

    There is at least one run, names are unique, and all runs hold the same metrics of the same categories. Raises
    ValueError otherwise, and for a metric that is NaN or infinite: undefined is None.

    Two reports are equal if everything is that the JSON holds: signature, runs, verdicts, notes and so on.
    They are comparable (`comparable`) if their signatures agree.

    The methods below render the report. Those that return pandas or matplotlib objects raise MissingExtraError if the
    package is not installed; plots raise UsageError if the report does not hold what they show.
    """

    signature: Signature
    """By which rules and on which data."""
    runs: tuple[Run, ...]
    """In the order given."""
    notes: tuple[str, ...]
    """What a reader should know about all runs."""
    groups: Mapping[str, GroupSize] = field(default_factory=dict)
    """What metrics are based on: under ``all``, and by frequency group."""
    bootstrap: Bootstrap | None = None
    """None without intervals."""
    baseline: Baseline | None = None
    """None if none was given."""
    gates: tuple[Verdict, ...] = ()
    """Verdicts run by run, gate by gate."""
    warnings: tuple[str, ...] = ()
    """What a reader must know before the metrics: why they cannot move, which images have no detections."""
    compared_to: str | None = None
    """Name of the run that differences are taken to, as requested; None for the baseline, or else the first run."""
    slices: Mapping[str, GroupSize] = field(default_factory=dict)
    """What the metrics of each slice are based on, by its name; empty without slices."""
    resamples: Resamples | None = field(default=None, compare=False, repr=False)
    """Metrics of each resample, not in the JSON; None without a bootstrap."""
    images: Mapping[str, Mapping[str, ImageMetrics]] = field(default_factory=dict, compare=False, repr=False)
    """By name of the run, then by IoU type, the metrics of each image; not in the JSON; empty unless asked for."""
    rows: Mapping[str, RowPredictions] = field(default_factory=dict, compare=False, repr=False)
    """By name of the run, the prediction of a classifier for each row; not in the JSON; empty unless asked for."""
    thresholds: Mapping[str, Mapping[str, Thresholds]] = field(default_factory=dict, compare=False, repr=False)
    """By name of the run, then by IoU type, the best score thresholds; not in the JSON; empty unless asked for."""
    weights: Mapping[str, tuple[float, ...]] = field(default_factory=dict, compare=False, repr=False)
    """By name of each run whose method uses IIF, its weights in the order of the categories of the first run; for
    plots, not in the JSON."""

    def __repr__(self) -> str:
        """One line: a report may hold thousands of categories."""
        data = f"{self.signature.protocol}, {self.signature.images} images, {self.signature.categories} categories"
        return f"<Report: {data}, runs {', '.join(run.name for run in self.runs)}>"

    @property
    def reference(self) -> Run:
        """The run that differences are taken to: the requested one, that of a comparable baseline, or the first run."""
        if self.compared_to is not None:
            return next(run for run in self.runs if run.name == self.compared_to)
        if self.baseline is not None and not self.baseline.differences:
            return self.baseline.run
        return self.runs[0]

    @property
    def kinds(self) -> tuple[str, ...]:
        """What there are metrics of: the IoU types, or ``classification``."""
        return self.signature.iou_types or ("classification",)

    @property
    def passed(self) -> bool:
        """Whether every gate lets the build pass; True without gates."""
        return all(verdict.allowed for verdict in self.gates)

    def comparable(self, other: Report) -> bool:
        """Whether metrics of this report can be compared with those of `other`, as of a baseline."""
        from longtail_cli.reports.gates.comparing import differences

        return not differences(self.signature, other.signature)

    def to_frame(self) -> pd.DataFrame:
        """Metrics as a tidy table, one row per run and metric, without those of single categories.

        Columns: run, metric, value, low, high (95% interval), change (value minus that of `reference`), change_low,
        change_high, p (of the change). NaN if undefined or not computed; changes of the reference itself are NaN.
        """
        from longtail_cli.reports.frames import to_frame

        return to_frame(self)

    def categories_frame(self) -> pd.DataFrame:
        """Metrics of categories, one row per run, kind and category; no rows without categories.

        Columns: run, id, name, group, train_images, train_instances (nullable integers), images, instances, kind
        (``bbox``, ``segm`` or ``classification``), and one per metric (AP, ...; recall). NaN if undefined.
        """
        from longtail_cli.reports.frames import categories_frame

        return categories_frame(self)

    def thresholds_frame(self) -> pd.DataFrame:
        """The best score thresholds of categories, one row per run, kind and category; no rows without thresholds.

        Columns: run, id, name, group, ground_truths, detections, kind (``bbox`` or ``segm``), reason (why there is no
        threshold), then f1, f1_threshold, f1_precision, f1_recall, lrp, lrp_threshold, lrp_precision, lrp_recall and
        lrp_localisation; see `longtail_cli.metrics.OperatingPoint`. NaN if undefined.
        """
        from longtail_cli.reports.frames import thresholds_frame

        return thresholds_frame(self)

    def images_frame(self) -> pd.DataFrame:
        """Metrics of images, one row per run, kind and image; no rows unless evaluated with ``per_image``.

        Columns: run, kind (``bbox`` or ``segm``), image_id, file_name, ground_truths, true_positives, false_positives,
        missed, main_error (None for an image without errors, and unless TIDE is ``aligned``), f1 (NaN without objects
        and detections) and threshold, see `longtail_cli.metrics.ImageMetrics`. Of a classifier one row per run and
        labelled row: run, row, file_name, label, prediction, confidence and correct, see
        `longtail_cli.metrics.RowPredictions`.
        """
        from longtail_cli.reports.frames import images_frame

        return images_frame(self)

    def to_json(self) -> str:
        """JSON of the schema ``ltcal-report/1``, which `longtail_cli.reports.json.from_json` reads back."""
        from longtail_cli.reports.json import to_json

        return to_json(self)

    def to_text(self, *, verbose: bool = False) -> str:
        """Plain-text tables of the main metrics for a terminal, at most 100 columns wide; all metrics if `verbose`."""
        from longtail_cli.reports.text import to_text

        return to_text(self, verbose=verbose)

    def to_markdown(self) -> str:
        """GitHub-flavoured Markdown tables."""
        from longtail_cli.reports.markdown import to_markdown

        return to_markdown(self)

    def to_latex(self, intervals: bool = False) -> str:
        """A booktabs table of the headline metrics for a paper, one row per run.

        intervals: print ``28.5 ± 0.4``, where 0.4 is half the width of the 95% interval; needs a bootstrap.
        """
        from longtail_cli.reports.latex import to_latex

        return to_latex(self, intervals)

    def to_html(self, command: str = "") -> str:
        """A self-contained HTML page with plots and tables. command: what made the report, to be shown."""
        from longtail_cli.reports.page.html import to_html

        return to_html(self, command)

    def _repr_html_(self) -> str:
        """A table of the headline metrics, for notebooks."""
        from longtail_cli.reports.headline import to_html_table

        return to_html_table(self)

    def plot_groups(self, kind: str | None = None) -> Figure:
        """Bars of AP (or recall) by frequency group.

        kind: ``bbox``, ``segm`` or ``classification`` here and below; by default the first that the report holds.
        """
        from longtail_cli.reports.plots.figures import groups_figure

        return groups_figure(self, kind)

    def plot_pareto(self, kind: str | None = None) -> Figure:
        """AP (or recall) of rare against frequent categories, a mark per run, and the Pareto front.

        At least three runs must define both.
        """
        from longtail_cli.reports.plots.figures import pareto_figure

        return pareto_figure(self, kind)

    def plot_frequency(self, run: str | None = None, kind: str | None = None) -> Figure:
        """Scatter plot of AP (or recall) per category against its training frequency.

        run: name of a run, by default the last; the reference is shown beside it.
        """
        from longtail_cli.reports.plots.figures import frequency_figure

        return frequency_figure(self, run, kind)

    def plot_changes(self, run: str | None = None, kind: str | None = None) -> Figure:
        """Bars of the categories that gained and lost most between the reference and a run, by default the last."""
        from longtail_cli.reports.plots.figures import changes_figure

        return changes_figure(self, run, kind)

    def plot_reliability(self, kind: str | None = None) -> Figure:
        """Reliability diagram: accuracy (or precision) against score."""
        from longtail_cli.reports.plots.figures import reliability_figure

        return reliability_figure(self, kind)

    def plot_confusion(self) -> Figure:
        """Heat maps of how the scores of a classifier are shared among the frequency groups, for each true group."""
        from longtail_cli.reports.plots.figures import confusion_figure

        return confusion_figure(self)

    def plot_tide(self, kind: str | None = None) -> Figure:
        """Bars of the TIDE breakdown: AP50 gain from fixing each kind of error."""
        from longtail_cli.reports.plots.figures import tide_figure

        return tide_figure(self, kind)

    def plot_training_frequency(self) -> Figure:
        """Training images and instances of each class, from the most to the least frequent, and the IIF weights."""
        from longtail_cli.reports.plots.figures import training_frequency_figure

        return training_frequency_figure(self)

    def __post_init__(self) -> None:
        iou_types, names = self.signature.iou_types, [run.name for run in self.runs]
        if not set(iou_types) <= set(IOU_TYPES):
            raise ValueError(f"expected IoU types among {list(IOU_TYPES)}, found {list(iou_types)}")
        if not names or len(set(names)) < len(names):
            raise ValueError(f"expected at least one run and unique names, found {names}")
        if self.compared_to is not None and self.compared_to not in names:
            raise ValueError(f"expected the name of a run, found {self.compared_to!r}")
        shapes = [_shape(run) for run in self.runs]
        for name, run, shape in zip(names, self.runs, shapes, strict=True):
            if set(run.metrics) != set(iou_types):
                raise ValueError(f"run {name!r}: expected metrics of {list(iou_types)}, found {list(run.metrics)}")
            if (run.classification is None) == (self.signature.protocol == "classification"):
                raise ValueError(f"run {name!r}: expected classification metrics under that protocol and no other")
            if shape != shapes[0]:
                raise ValueError(f"runs {names[0]!r} and {name!r} do not hold the same metrics and categories")


def _shape(run: Run) -> tuple[object, ...]:
    """Which metrics there are, without their values; equal for runs that can be shown side by side."""
    tide = {
        iou_type: [one.protocol, *((key, _names(part)) for key, part in _parts(one).items())]
        for iou_type, one in run.tide.items()
    }
    categories = [(row.id, _names(row.metrics)) for row in run.categories]
    further = _names(run.classification), _names(run.reliability), _names(run.slices)
    return _names(run.metrics), tide, categories, *further


def _parts(tide: Tide) -> dict[str, dict[str, object]]:
    """The breakdown over all categories and of each group."""
    parts: dict[str, Tide | TideGains] = {"all": tide, **tide.groups}
    names = ("AP50", "main", "special", "false_positives")
    return {key: {name: getattr(one, name) for name in names} for key, one in parts.items()}


def _names(metrics: object) -> object:
    """The keys of nested metrics, all the way down. Raises ValueError if a metric is not finite."""
    if isinstance(metrics, Mapping):
        return {name: _names(value) for name, value in metrics.items()}
    if isinstance(metrics, tuple):
        return [_names(value) for value in metrics]
    if isinstance(metrics, Classification | ReliabilityBin | Reliability | DetectionBin):
        return {one.name: _names(getattr(metrics, one.name)) for one in dataclasses.fields(metrics)}
    if isinstance(metrics, float) and not math.isfinite(metrics):
        raise ValueError(f"expected metrics that are finite, or None if undefined, found {metrics}")
    return None
