"""The tables of a report as rows of text, for the renderers, and as plain text for terminals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from tabulate import tabulate

from longtail_cli.escapes import one_line
from longtail_cli.metrics import CategoryMetrics, Classification, Reliability, Tide, TideGains, Value, Values
from longtail_cli.reports.format import (
    GROUP_TITLES,
    UNDEFINED,
    Table,
    between,
    between_signed,
    delta,
    difference,
    is_count,
    percent,
    plain,
    shown,
)
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report, Run, Verdict
from longtail_cli.reports.reliance import is_withheld

IOU_TITLES = {"bbox": "Boxes", "segm": "Masks"}
NESTED = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}

Side = tuple[str, Run]
"""Title and run; the first of several sides is the reference."""


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables of a report except that of its gates, in reading order.

    Classification: the metrics, and the confusion of groups in each run. Per IoU type: AP, Fixed and pooled AP, TIDE,
    reliability. Then intervals, sizes of groups, and categories.
    """
    sides = sides_of(report)
    tables = _classification(report, sides)
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        tables.append(_side_by_side(title, [(name, _flat(run.metrics.get(iou_type, {}))) for name, run in sides]))
        tables += _nested(title, iou_type, sides)
        tables += _tide(title, iou_type, sides)
        tables += _reliability(title, iou_type, sides)
    tables += interval_tables(report)
    tables += group_sizes(report)
    kinds = {"classification": "Recall by class"} | {
        kind: f"{IOU_TITLES[kind]}, AP by category" for kind in report.signature.iou_types
    }
    for kind, title in kinds.items():
        tables += category_tables(title, kind, sides)
    return tuple(tables)


def sides_of(report: Report) -> list[Side]:
    """The runs, after the reference if that is the run of a baseline."""
    runs = [(run.name, run) for run in report.runs]
    reference = report.reference
    return runs if reference is report.runs[0] else [(f"baseline: {reference.name}", reference), *runs]


def without_rows(report: Report) -> Report:
    """The report without its categories, which make long tables."""
    baseline = report.baseline and replace(report.baseline, run=replace(report.baseline.run, categories=()))
    return replace(report, runs=tuple(replace(run, categories=()) for run in report.runs), baseline=baseline)


def headline(report: Report) -> str:
    """One line on the rules and the data."""
    signature = report.signature
    part = "" if signature.split is None else f" ({signature.split})"
    if signature.protocol == "classification":
        about = f"{signature.images} images{part}, {signature.categories} classes"
        return f"Classification of {about}; ltcal {signature.version}"
    cap = "image" if signature.protocol == "lvis" else "image and category"
    return (
        f"{signature.protocol.upper()} protocol, at most {signature.max_dets} detections per {cap}; "
        f"{signature.images} images{part}, {signature.categories} categories; ltcal {signature.version}"
    )


def _flat(metrics: Mapping[str, Value | Values]) -> dict[str, Value]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}


def _side_by_side(title: str, sides: Sequence[tuple[str, Values]]) -> Table:
    """One row per run, and under each except the first a row of differences to the first.

    The columns are those of the last run, since the first may be a baseline that lacks some. A first run that lacks all
    of them is omitted, and so are the differences.
    """
    columns = tuple(sides[-1][1])
    first = sides[0][1]
    compared = any(key in first for key in columns)
    rows: list[tuple[str, ...]] = []
    for number, (name, values) in enumerate(sides):
        if compared or number:
            rows.append((name, *(shown(key, values.get(key)) for key in columns)))
        if compared and number:
            rows.append(("  difference", *(difference(key, values.get(key), first.get(key)) for key in columns)))
    return Table(title, ("run", *columns), tuple(rows))


def _nested(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    tables = []
    for key, name in NESTED.items():
        found = [(side, run.metrics.get(iou_type, {}).get(key)) for side, run in sides]
        values = [(side, value if isinstance(value, Mapping) else {}) for side, value in found]
        if values[-1][1]:
            tables.append(_side_by_side(f"{title}, {name}", values))
    return tables


def _tide(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    """The breakdown over all categories, then by group. A breakdown by another protocol is not compared."""
    last = sides[-1][1].tide.get(iou_type)
    if last is None:
        return []
    counts = ", and false positives at recall 0.4 and 0.6" if last.false_positives else ""
    name = f"{title}, TIDE ({last.protocol}): AP50 gain from fixing each error{counts}"
    found = [(side, run.tide.get(iou_type)) for side, run in sides]
    alike = [(side, tide if tide is not None and tide.protocol == last.protocol else None) for side, tide in found]
    tables = [_side_by_side(name, [(side, _gains(tide)) for side, tide in alike])]
    for group in last.groups:
        by_run = [(side, _gains(tide and tide.groups.get(group))) for side, tide in alike]
        tables.append(_side_by_side(f"{name}, {GROUP_TITLES.get(group, group)} categories", by_run))
    return tables


def _gains(gains: TideGains | Tide | None) -> dict[str, Value]:
    return {} if gains is None else {"AP50": gains.AP50, **gains.main, **gains.special, **gains.false_positives}


def _reliability(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    last = sides[-1][1].reliability.get(iou_type)
    if last is None:
        return []
    errors = [(side, _errors(run.reliability.get(iou_type), last.iou_threshold)) for side, run in sides]
    return [_side_by_side(f"{title}, reliability of scores at IoU {last.iou_threshold:.2f}", errors)]


def _errors(found: Reliability | None, iou_threshold: float) -> dict[str, Value]:
    """The errors over all categories and by group; none at another IoU threshold."""
    if found is None or found.iou_threshold != iou_threshold:
        return {}
    return {
        name if group == "all" else f"{name} {GROUP_TITLES.get(group, group)}": value
        for group, errors in found.errors.items()
        for name, value in errors.items()
    }


def _classification(report: Report, sides: Sequence[Side]) -> list[Table]:
    """No tables if the runs have no classification metrics."""
    found = {run.name: run.classification for run in report.runs if run.classification is not None}
    if not found:
        return []
    values = [(side, _classification_metrics(run.classification)) for side, run in sides]
    confusions = [_confusion(name, one.confusion) for name, one in found.items() if one.confusion]
    return [_side_by_side("Classification", values), *confusions]


def _classification_metrics(found: Classification | None) -> dict[str, Value]:
    if found is None:
        return {}
    return {
        "top-1": found.top1,
        "top-5": found.top5,
        "balanced": found.balanced,
        "many": found.many,
        "medium": found.medium,
        "few": found.few,
        "ECE": found.ece,
        "class-wise ECE": found.classwise_ece,
        "NLL": found.nll,
        "Brier": found.brier,
    }


def _confusion(name: str, confusion: Mapping[str, Values]) -> Table:
    """One row per true group; the columns are the groups that receive the mass of its scores."""
    rows = [(true, *map(percent, given.values())) for true, given in confusion.items()]
    header = ("true group", *(f"to {group}" for group in next(iter(confusion.values()))))
    return Table(f"Mass of the scores by group, {name}", header, tuple(rows))


ABOUT_CATEGORY = ("id", "name", "group", "train_images", "train_instances", "images", "instances")
"""The fields of `CategoryMetrics` that identify and count a category."""

CATEGORY_METRIC = {"classification": "recall", "bbox": "AP", "segm": "AP"}
"""The metric of a category that is shown, by kind."""


def category_tables(title: str, kind: str, sides: Sequence[Side]) -> list[Table]:
    """One row per category in id order: its metric in each run, and the differences to the first run.

    kind: ``bbox``, ``segm`` or ``classification``. sides: the first may be a baseline; it is omitted with the
    differences if it has no such metrics. No table if the runs have no metrics of categories. The weight of a row is
    its greatest absolute difference, or 0.
    """
    about = sides[-1][1].categories
    (first, base), *others = [(name, _category_values(kind, run)) for name, run in sides]
    if not (others[-1][1] if others else base):
        return []
    compared = bool(base) or not others
    trained = any(row.train_images is not None for row in about)
    header = ["category", "id", "group", *(["train images"] if trained else []), *_count_columns(kind)]
    header += [first] if compared else []
    for name, _ in others:
        header += [name, "difference"] if compared else [name]
    rows, weights = [], []
    for row in about:
        cells, changes = _compared(row.id, base, [found for _, found in others], compared)
        rows.append((row.name, *_about_category(row, kind, trained), *cells))
        weights.append(max(changes, default=0.0))
    return [Table(title, tuple(header), tuple(rows), weights=tuple(weights))]


def _category_values(kind: str, run: Run) -> dict[int, Value]:
    """The metric of each category by id; empty if the run has none of `kind`."""
    found = {row.id: row.metrics.get(kind, {}) for row in run.categories}
    return {key: values.get(CATEGORY_METRIC[kind]) for key, values in found.items()} if any(found.values()) else {}


def _compared(
    category: int, base: Mapping[int, Value], others: Sequence[Mapping[int, Value]], compared: bool
) -> tuple[list[str], list[float]]:
    """The cells of a category, and its defined absolute differences."""
    first = base.get(category)
    cells, changes = [percent(first)] if compared else [], []
    for found in others:
        value = found.get(category)
        cells += [percent(value), delta(value, first)] if compared else [percent(value)]
        if value is not None and first is not None:
            changes.append(abs(value - first))
    return cells, changes


def _count_columns(kind: str) -> tuple[str, ...]:
    return ("samples",) if kind == "classification" else ("images", "instances")


def _about_category(row: CategoryMetrics, kind: str, trained: bool) -> tuple[str, ...]:
    train = UNDEFINED if row.train_images is None else str(row.train_images)
    counts = (row.images, row.instances)[: len(_count_columns(kind))]
    return str(row.id), row.group or UNDEFINED, *([train] if trained else []), *map(str, counts)


WITHHELD = "withheld"
"""An interval that is not shown as its metric rests on too few images; a note says on how many."""

INTERVAL_METRICS = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")


def interval_tables(report: Report) -> list[Table]:
    """For each run with intervals one row per main metric: value, difference, the 95% intervals of both, and p."""
    drawn = "" if report.bootstrap is None else f" from {report.bootstrap.resamples:,} resamples of the images"
    base = metrics_of(report.reference)
    return [
        _intervals(f"95% intervals{drawn}, {run.name}", report, run, base if run is not report.reference else {})
        for run in report.runs
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


def _intervals(title: str, report: Report, run: Run, base: dict[str, Value]) -> Table:
    """base: the metrics of the reference; empty for the reference itself."""
    header = ("metric", "value", "95% interval", "difference", "95% interval of the difference", "p")
    columns = (6 if run.p_values else 5) if base else 3
    rows = []
    for name, value in metrics_of(run).items():
        if _has_interval(name):
            last, p_value = name.rpartition("/")[2], run.p_values.get(name)
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


def _has_interval(name: str) -> bool:
    """Whether it is a metric such as ``bbox/APr`` or ``bbox/APfixed/AP``, or one of classification over all rows."""
    kind, *path = name.split("/")
    if kind == "classification":
        return len(path) == 1
    return kind in ("bbox", "segm") and path[-1] in INTERVAL_METRICS


def gate_tables(report: Report) -> list[Table]:
    """One row per verdict, those that fail the build first; no table without gates."""
    if not report.gates:
        return []
    ordered = in_order(report)
    failed = sum(not verdict.allowed for verdict in ordered)
    units = "fractions or counts" if any(is_count(verdict.metric) for verdict in ordered) else "fractions"
    title = f"Gates: {len(ordered) - failed} pass, {failed} fail (values are {units})"
    rows = [
        (outcome(verdict), gate(verdict), verdict.run, _value_cell(verdict), verdict.limit, verdict.message)
        for verdict in ordered
    ]
    return [Table(title, ("outcome", "gate", "run", "value", "limit", "message"), tuple(rows), (0, 1, 2, 5))]


def in_order(report: Report) -> list[Verdict]:
    """Those that fail the build first, otherwise in order."""
    return sorted(report.gates, key=lambda verdict: verdict.allowed)


def outcome(verdict: Verdict) -> str:
    """The outcome, and whether an undefined metric was allowed."""
    return "undefined, allowed" if verdict.outcome == "undefined" and verdict.allowed else verdict.outcome


def gate(verdict: Verdict) -> str:
    """The gate without its limit, ``fail-under bbox/APr``."""
    return f"{verdict.kind} {verdict.metric}"


def _value_cell(verdict: Verdict) -> str:
    """The value, and for gates that compare its difference to the reference."""
    if verdict.value is None:
        return UNDEFINED
    name = verdict.metric
    change = "" if verdict.base is None else f" ({plain(name, verdict.value - verdict.base, '+z')})"
    return f"{plain(name, verdict.value)}{change}"


def to_text(report: Report) -> str:
    """The tables of the report as plain text, fractions in percent points, with one trailing newline.

    The gates come last, so that a terminal shows them.
    """
    tables = [*tables_of(report), *gate_tables(report)]
    return "\n\n".join([headline(report), *map(table_text, tables)]) + "\n"


def table_text(table: Table) -> str:
    """The title and the table below it, without a newline at the end."""
    rows = [[one_line(cell) for cell in row] for row in table.rows]
    header = [one_line(cell) for cell in table.header]
    text = tabulate(
        rows, header, tablefmt="simple", colalign=table.align, disable_numparse=True, preserve_whitespace=True
    )
    return f"{one_line(table.title)}\n{text}"
