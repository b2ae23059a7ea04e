"""The categories and the runs of a report as CSV (RFC 4180, lines end in LF), for spreadsheets and data frames."""

from __future__ import annotations

import csv
import io
from collections.abc import Collection, Sequence

from longtail_cli.escapes import csv_cell
from longtail_cli.metrics import CategoryMetrics, Interval
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.text_tables import ABOUT_CATEGORY, CATEGORY_METRIC, sides_of

ABOUT_RUN = ("run", "method", "source")
INTERVAL_COLUMNS = ("low", "high", "difference", "difference low", "difference high")

_Column = tuple[str, list[float | None]]


def to_csv(report: Report) -> str:
    """One row per category; for each run one column per metric, and the difference of AP (or recall) to the reference.

    Columns: `ABOUT_CATEGORY`; then ``RUN bbox/AP`` and so on as fractions at full precision, and ``RUN bbox/AP
    difference``. The run of a baseline comes first. Undefined and unknown values are empty. Without categories there is
    only the header.
    """
    rows = report.runs[0].categories
    about = [[getattr(row, name) for row in rows] for name in ABOUT_CATEGORY]
    columns = _columns(report, [row.id for row in rows])
    lines = [_line([*ABOUT_CATEGORY, *(name for name, _ in columns)])]
    lines += [_line(cells) for cells in zip(*about, *(values for _, values in columns), strict=True)]
    return "".join(lines)


def to_csv_runs(report: Report) -> str:
    """One row per run, after the baseline if there is one, and one column per metric, without those of categories.

    Columns: `ABOUT_RUN`; then ``bbox/AP`` and so on, the names that gates use, as fractions at full precision or as
    counts. A metric that has intervals is followed by ``bbox/AP low`` and ``bbox/AP high``, its 95% interval,
    ``bbox/AP difference`` to the reference, and the interval of that. Undefined and unknown values are empty, and so
    are the differences of the reference itself.
    """
    sides = sides_of(report)
    metrics = [metrics_of(run) for _, run in sides]
    base = metrics_of(report.reference)
    names = dict.fromkeys(name for run in report.runs for name in metrics_of(run) if not name.startswith("categories/"))
    drawn = {name for _, run in sides for name in (*run.intervals, *run.deltas)}
    lines = [_line([*ABOUT_RUN, *(column for name in names for column in (name, *_interval_columns(name, drawn)))])]
    for (side, run), own in zip(sides, metrics, strict=True):
        cells: list[str | float | None] = [side, run.method, run.source]
        for name in names:
            cells.append(own.get(name))
            if name in drawn:
                change = None if run is report.reference else _difference(own.get(name), base.get(name))
                cells += [*_ends(run.intervals.get(name)), change, *_ends(run.deltas.get(name))]
        lines.append(_line(cells))
    return "".join(lines)


def _interval_columns(name: str, drawn: Collection[str]) -> list[str]:
    """The columns after that of the metric `name`. drawn: the metrics with intervals."""
    return [f"{name} {ending}" for ending in INTERVAL_COLUMNS] if name in drawn else []


def _ends(interval: Interval | None) -> tuple[float | None, float | None]:
    return (None, None) if interval is None else (interval.low, interval.high)


def _columns(report: Report, ids: Sequence[int]) -> list[_Column]:
    base = {row.id: row for row in report.reference.categories}
    columns: list[_Column] = []
    for side, run in sides_of(report):
        rows = {row.id: row for row in run.categories}
        for kind, metric in _metrics(run.categories):
            values = [_value(rows.get(key), kind, metric) for key in ids]
            columns.append((f"{side} {kind}/{metric}", values))
            if run is not report.reference and metric == CATEGORY_METRIC.get(kind) and base:
                bases = [_value(base.get(key), kind, metric) for key in ids]
                columns.append((f"{side} {kind}/{metric} difference", list(map(_difference, values, bases))))
    return columns


def _metrics(rows: Sequence[CategoryMetrics]) -> list[tuple[str, str]]:
    """The kinds and names of the metrics in the rows."""
    return list(dict.fromkeys((kind, name) for row in rows for kind, found in row.metrics.items() for name in found))


def _value(row: CategoryMetrics | None, kind: str, metric: str) -> float | None:
    return None if row is None else row.metrics.get(kind, {}).get(metric)


def _difference(value: float | None, base: float | None) -> float | None:
    return None if value is None or base is None else value - base


def _line(cells: Sequence[str | float | None]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerow([csv_cell(one) if isinstance(one, str) else one for one in cells])
    return text.getvalue()
