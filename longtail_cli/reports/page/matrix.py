"""Runs by metrics: in each cell the value, its interval, and the difference to the reference as a bar."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longtail_cli.metrics import Value
from longtail_cli.reports.format import UNDEFINED, percent, shown
from longtail_cli.reports.metric_names import lower_is_better
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.page.columns import Column, Metrics, columns_of, metrics_by_side, slice_columns
from longtail_cli.reports.page.measured import Measured, measured
from longtail_cli.reports.plots.style import look_of
from longtail_cli.reports.text_tables import IOU_TITLES

HIGHER_IS_BETTER = "higher is better"
"""The unit of AP and of accuracy."""

REACH = 100.0
"""Half of the width that bars are drawn in."""


@dataclass(frozen=True, slots=True)
class Bar:
    """A difference as a bar from the centre, in [-`REACH`, `REACH`]: above 0 if the metric is greater."""

    end: float
    low: float | None
    """Where the interval of the difference begins; None without one."""
    high: float | None

    @property
    def start(self) -> float:
        """The left end."""
        return min(self.end, 0.0)

    @property
    def width(self) -> float:
        """The length; a difference that is not 0 can be seen."""
        return max(abs(self.end), 1.5 if self.end else 0.0)


@dataclass(frozen=True, slots=True)
class MatrixCell:
    """A metric of a run."""

    measured: Measured
    best: bool
    """Whether no other run has a better value, and some has a worse one."""
    bar: Bar | None
    """None for the reference, and if either value is undefined."""
    label: str
    """What is shown on hover and focus."""


@dataclass(frozen=True, slots=True)
class MatrixRow:
    """A run."""

    name: str
    method: str
    """Empty if the name says it, or none was applied."""
    colour: str
    """The CSS variable of the run's colour in plots."""
    reference: bool
    """Whether differences are taken to this run."""
    cells: tuple[MatrixCell, ...]
    """One per column."""


@dataclass(frozen=True, slots=True)
class Matrix:
    """Runs by metrics."""

    title: str
    """Empty if there is only one."""
    columns: tuple[Column, ...]
    rows: tuple[MatrixRow, ...]
    caption: str
    """How the cells are to be read."""


def colour_of(index: int) -> str:
    """The CSS variable of the colour of the n-th run."""
    return look_of(index).variable


def matrices_of(report: Report) -> list[Matrix]:
    """The headline metrics, a matrix for each kind with a defined metric."""
    found = [(IOU_TITLES.get(kind, ""), columns_of(report, kind)) for kind in report.kinds]
    defined = [(title, columns) for title, columns in found if columns]
    return [_matrix(report, title if len(defined) > 1 else "", columns) for title, columns in defined]


def slice_matrices(report: Report) -> list[Matrix]:
    """Runs by slices, a matrix for each kind; none without slices."""
    found = [(kind, slice_columns(report, kind)) for kind in report.kinds]
    defined = [(IOU_TITLES.get(kind, ""), columns) for kind, columns in found if columns]
    return [_matrix(report, title if len(defined) > 1 else "", columns) for title, columns in defined]


def _matrix(report: Report, title: str, columns: Sequence[Column]) -> Matrix:
    sides = metrics_by_side(report)
    base = next((metrics for _, run, metrics in sides if run is report.reference), {})
    scales = {unit: _scale(report, sides, base, columns, unit) for unit in {_unit(one.name) for one in columns}}
    best = [_best([metrics.get(one.name) for _, _, metrics in sides], one.name) for one in columns]
    rows = []
    for index, (side, run, metrics) in enumerate(sides):
        cells = [
            _cell(report, (side, run), one, (metrics.get(one.name), base.get(one.name)), scales[_unit(one.name)], top)
            for one, top in zip(columns, best, strict=True)
        ]
        method = "" if run.method is None or run.method in side else run.method
        rows.append(MatrixRow(side, method, colour_of(index), run is report.reference, tuple(cells)))
    units = "In percent; NLL in nats." if any(one.title == "NLL" for one in columns) else "In percent."
    caption = f"{units}{_caption(report, scales.get(HIGHER_IS_BETTER, 0.0))}"
    return Matrix(title, tuple(columns), tuple(rows), caption)


def _cell(
    report: Report, side: tuple[str, Run], column: Column, values: tuple[Value, Value], scale: float, best: str
) -> MatrixCell:
    """values: of the run and of the reference. scale: the difference of a full bar. best: the best value as shown."""
    name, run = side
    value, base = values
    found = measured(report, run, column.name, value, base)
    bar = None if not found.change or value is None or base is None else _bar(value - base, run, column.name, scale)
    is_best = found.value == best != UNDEFINED
    label = found.sentence(f"{name}, {column.title}")
    return MatrixCell(found, is_best, bar, f"{label}\nbest of the column" if is_best else label)


def _bar(change: float, run: Run, name: str, scale: float) -> Bar:
    delta = run.deltas.get(name)
    low, high = (None, None) if delta is None else (_clipped(delta.low, scale), _clipped(delta.high, scale))
    return Bar(_clipped(change, scale), low, high)


def _clipped(value: float, scale: float) -> float:
    return max(-REACH, min(REACH, REACH * value / scale)) if scale else 0.0


def _unit(name: str) -> str:
    """Metrics of the same unit share a scale: AP and accuracy, and apart from them each error."""
    return name.rpartition("/")[2] if lower_is_better(name) else HIGHER_IS_BETTER


def _scale(
    report: Report, sides: Sequence[tuple[str, Run, Metrics]], base: Metrics, columns: Sequence[Column], unit: str
) -> float:
    """The greatest absolute difference of the metrics of a unit; 0 without differences."""
    changes = [0.0]
    for column in columns:
        first = base.get(column.name)
        if _unit(column.name) == unit and first is not None:
            values = (metrics.get(column.name) for _, run, metrics in sides if run is not report.reference)
            changes += [abs(value - first) for value in values if value is not None]
    return max(changes)


def _best(values: Sequence[Value], name: str) -> str:
    """The best value as it is shown; ``-`` if fewer than two are defined, or all are shown alike."""
    metric = name.rpartition("/")[2]
    defined = [value for value in values if value is not None]
    if len({shown(metric, value) for value in defined}) < 2:
        return UNDEFINED
    return shown(metric, min(defined) if lower_is_better(name) else max(defined))


def _caption(report: Report, scale: float) -> str:
    """How emphasis, bars and colours are to be read; empty for a lone run.

    scale: the difference of a full bar of AP or accuracy, 0 without one.
    """
    sides = metrics_by_side(report)
    if len(sides) < 2:
        return ""
    name = next(side for side, run, _ in sides if run is report.reference)
    what = "accuracy" if report.signature.protocol == "classification" else "AP"
    full = (
        f" A full bar is {percent(scale)} points of {what}; bars of errors have scales of their own." if scale else ""
    )
    grey = " Grey: its interval contains 0 or is withheld." if any(run.deltas for run in report.runs) else ""
    return f" Bold: the best of its column. Differences are to {name}.{full}{grey}"
