"""The tables of a report as rows of text, for the renderers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from longtail_cli.metrics import Value
from longtail_cli.reports.category_table import category_tables
from longtail_cli.reports.format import (
    GROUP_TITLES,
    UNDEFINED,
    Table,
    between,
    between_signed,
    difference,
    is_count,
    plain,
    shown,
)
from longtail_cli.reports.gates.words import verdict_line
from longtail_cli.reports.metric_names import is_resampled, metrics_of
from longtail_cli.reports.metric_tables import (
    ACCURACIES,
    AP_COLUMNS,
    CALIBRATION,
    SLICE_METRIC,
    TIDE_COLUMNS,
    Sides,
    ap_table,
    classification_table,
    confusion_tables,
    nested_tables,
    reliability_tables,
    slice_tables,
    tide_tables,
)
from longtail_cli.reports.metric_tables import Side as Side  # for all that show the runs side by side
from longtail_cli.reports.model import Report, Run, Verdict
from longtail_cli.reports.reliance import is_withheld

IOU_TITLES = {"bbox": "Boxes", "segm": "Masks"}

ABOUT_CATEGORY = ("id", "name", "group", "train_images", "train_instances", "images", "instances")
"""The fields of `CategoryMetrics` that identify and count a category."""

CATEGORY_METRIC = {"classification": "recall", "bbox": "AP", "segm": "AP"}
"""The metric of a category that is shown, by kind."""


def main_tables(report: Report) -> tuple[Table, ...]:
    """The tables that fit a terminal: the main metrics, and what a report only holds if asked for.

    Classification: the accuracies, the calibration, slices. Per IoU type: AP, TIDE, Fixed and pooled AP, reliability,
    slices. Then intervals of the main metrics, and categories. The gates are not among them.
    """
    sides = _sides(report)
    tables: list[Table] = []
    if report.signature.protocol == "classification":
        tables.append(classification_table("Classification, percent", sides, ACCURACIES))
        tables.append(classification_table("Calibration, ECE in percent", sides, CALIBRATION))
        tables += slice_tables("Classification", "classification", sides, report.slices)
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        tables.append(ap_table(title, iou_type, sides, AP_COLUMNS))
        tables += tide_tables(title, iou_type, sides, TIDE_COLUMNS)
        tables += nested_tables(title, iou_type, sides)
        tables += reliability_tables(title, iou_type, sides)
        tables += slice_tables(title, iou_type, sides, report.slices)
    return (*tables, *interval_tables(report, AP_COLUMNS), *_category_tables(report, sides))


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables of a report except that of its gates, in reading order.

    Classification: the metrics, the confusion of groups in each run, slices. Per IoU type: AP, Fixed and pooled AP,
    TIDE, reliability, slices. Then intervals, sizes of groups, and categories.
    """
    sides = _sides(report)
    tables: list[Table] = []
    if report.signature.protocol == "classification":
        tables.append(classification_table("Classification, percent except NLL and Brier", sides, None))
        tables += confusion_tables(report.runs, sides.titles[-len(report.runs) :])
        tables += slice_tables("Classification", "classification", sides, report.slices)
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        tables.append(ap_table(title, iou_type, sides, None))
        tables += nested_tables(title, iou_type, sides)
        tables += tide_tables(title, iou_type, sides, None)
        tables += reliability_tables(title, iou_type, sides)
        tables += slice_tables(title, iou_type, sides, report.slices)
    return (*tables, *interval_tables(report), *group_sizes(report), *_category_tables(report, sides))


def sides_of(report: Report) -> list[Side]:
    """The runs in the order given, after the reference if that is the run of a baseline."""
    runs = [(run.name, run) for run in report.runs]
    reference = report.reference
    own = any(run is reference for run in report.runs)
    return runs if own else [(f"baseline: {reference.name}", reference), *runs]


def _sides(report: Report) -> Sides:
    return Sides(sides_of(report), report.reference)


def _category_tables(report: Report, sides: Sides) -> list[Table]:
    kinds = {"classification": "Recall by class"} | {
        kind: f"{IOU_TITLES[kind]}, AP by category" for kind in report.signature.iou_types
    }
    return [
        table for kind, title in kinds.items() for table in category_tables(title, kind, CATEGORY_METRIC[kind], sides)
    ]


def notes_of(report: Report) -> list[str]:
    """The notes on all runs and on each, once: a note that several runs share names them."""
    by_note: dict[str, list[str]] = {}
    for run in report.runs:
        for note in dict.fromkeys(run.notes):
            by_note.setdefault(note, []).append(run.name)
    several = len(report.runs) > 1
    of_runs = [
        f"{'all runs' if several and len(names) == len(report.runs) else ', '.join(names)}: {note}"
        for note, names in by_note.items()
    ]
    return list(dict.fromkeys([*report.notes, *of_runs]))


def without_rows(report: Report) -> Report:
    """The report without its categories, which make long tables."""
    baseline = report.baseline and replace(report.baseline, run=replace(report.baseline.run, categories=()))
    return replace(report, runs=tuple(replace(run, categories=()) for run in report.runs), baseline=baseline)


def without_intervals(report: Report) -> Report:
    """The report without the intervals of its runs, and without p-values."""
    runs = tuple(replace(run, intervals={}, deltas={}, p_values={}) for run in report.runs)
    return replace(report, runs=runs)


def without_reliability(report: Report) -> Report:
    """The report without the calibration errors of detections."""
    return replace(report, runs=tuple(replace(run, reliability={}) for run in report.runs))


def headline(report: Report) -> str:
    """One line on the rules and the data."""
    signature = report.signature
    part = "" if signature.split is None else f" ({signature.split})"
    if signature.protocol == "classification":
        about = f"{signature.images:,} images{part}, {signature.categories:,} classes"
        return f"Classification of {about}; ltcal {signature.version}"
    cap = "image" if signature.protocol == "lvis" else "image and category"
    return (
        f"{signature.protocol.upper()} protocol, at most {signature.max_dets} detections per {cap}; "
        f"{signature.images:,} images{part}, {signature.categories:,} categories; ltcal {signature.version}"
    )


WITHHELD = "withheld"
"""An interval that is not shown as its metric rests on too few images; a note says on how many."""

INTERVAL_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")


def interval_tables(report: Report, metrics: Sequence[str] = INTERVAL_METRICS) -> list[Table]:
    """For each run with intervals one row per main metric: value, difference, the 95% intervals of both, and p.

    metrics: which of AP, AP50 and so on; those of a classifier are all shown. Of a slice there is only `SLICE_METRIC`.
    """
    drawn = "" if report.bootstrap is None else f" from {report.bootstrap.resamples:,} resamples of the images"
    sides = _sides(report)
    base = metrics_of(report.reference)
    names = _with_interval([metrics_of(run) for _, run in sides.shown], metrics)
    return [
        _intervals(f"95% intervals{drawn}, percent, {title}; {sides.against}", report, run, names, base)
        if run is not report.reference
        else _intervals(f"95% intervals{drawn}, percent, {title}", report, run, names, {})
        for title, run in zip(sides.titles[-len(report.runs) :], report.runs, strict=True)
        if run.intervals
    ]


def group_sizes(report: Report) -> list[Table]:
    """How much data each group has; no table without intervals and gates."""
    if not report.groups or not (report.gates or any(run.intervals for run in report.runs)):
        return []
    rows = [
        (GROUP_TITLES.get(group, group), str(size.categories), str(size.images), str(size.instances))
        for group, size in report.groups.items()
    ]
    header = ("group", "categories", "images", "ground truths")
    return [Table("Size of the frequency groups", header, tuple(rows))]


def _intervals(title: str, report: Report, run: Run, names: Sequence[str], base: dict[str, Value]) -> Table:
    """base: the metrics of the reference; empty for the reference itself."""
    header = ("metric", "value", "95% interval", "difference", "its 95% interval", "p")
    columns = (6 if run.p_values else 5) if base else 3
    values, rows = metrics_of(run), []
    for name in names:
        value, last, p_value = values.get(name), name.rpartition("/")[2], run.p_values.get(name)
        none = WITHHELD if value is not None and is_withheld(report, name) else UNDEFINED
        cells = (
            name,
            shown(last, value),
            between(last, run.intervals.get(name)) if name in run.intervals else none,
            difference(last, value, base.get(name)),
            between_signed(last, run.deltas.get(name)) if name in run.deltas else none,
            UNDEFINED if p_value is None else f"{p_value:.3g}",
        )
        rows.append(cells[:columns])
    return Table(title, header[:columns], tuple(rows))


def _with_interval(found: Sequence[dict[str, Value]], metrics: Sequence[str]) -> list[str]:
    """The names of the metrics in tables of intervals that some run defines."""
    every = dict.fromkeys(name for one in found for name, value in one.items() if value is not None)
    return [name for name in every if _has_interval(name, metrics)]


def _has_interval(name: str, metrics: Sequence[str]) -> bool:
    """Whether it is a metric such as ``bbox/APr`` or ``bbox/APfixed/AP``, or one of classification."""
    kind, *path = name.split("/")
    if kind == "classification":
        return is_resampled(name, "off")
    if kind == "slices":
        return path[-2] in SLICE_METRIC and path[-1] == SLICE_METRIC[path[-2]]
    return kind in IOU_TITLES and path[-1] in metrics


def gate_tables(report: Report) -> list[Table]:
    """One row per verdict, those that fail the build first, below the verdict line; no table without gates."""
    if not report.gates:
        return []
    ordered = in_order(report)
    units = "fractions and counts" if any(is_count(verdict.metric) for verdict in ordered) else "fractions"
    title = f"{verdict_line(report)} (values and limits are {units}, as in the JSON)"
    rows = [
        (outcome(verdict), gate(verdict), verdict.run, _value(verdict), verdict.limit, verdict.message)
        for verdict in ordered
    ]
    changes = [("", "", "", _change(verdict), "", "") for verdict in ordered]
    header = ("outcome", "gate", "run", "value", "limit", "message")
    return [Table(title, header, tuple(rows), (0, 1, 2, 5), changes=tuple(changes))]


def in_order(report: Report) -> list[Verdict]:
    """Those that fail the build first, otherwise in order."""
    return sorted(report.gates, key=lambda verdict: verdict.allowed)


def outcome(verdict: Verdict) -> str:
    """The outcome, and whether an undefined metric was allowed."""
    return "undefined, allowed" if verdict.outcome == "undefined" and verdict.allowed else verdict.outcome


def gate(verdict: Verdict) -> str:
    """The gate without its limit, ``fail-under bbox/APr``."""
    return f"{verdict.kind} {verdict.metric}"


def _value(verdict: Verdict) -> str:
    return UNDEFINED if verdict.value is None else plain(verdict.metric, verdict.value)


def _change(verdict: Verdict) -> str:
    """The difference of the value to that of the reference, for gates that compare."""
    if verdict.value is None or verdict.base is None:
        return ""
    return plain(verdict.metric, verdict.value - verdict.base, "+z")
