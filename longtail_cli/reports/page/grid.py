"""A table to sort and search, and that of the categories of a report."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.metrics import CategoryMetrics, Value, category_title
from longtail_cli.reports.format import delta, percent
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.text_tables import CATEGORY_METRIC, IOU_TITLES, sides_of


@dataclass(frozen=True, slots=True)
class Cell:
    """A cell to sort by `key`, or by its text if no cell of the column has a key; None comes last."""

    text: str
    key: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """A table to sort and search; its first columns are a name, an id, and a group."""

    header: tuple[str, ...]
    groups: tuple[str, ...]
    """The groups that occur, in the order of the rows."""
    rows: tuple[tuple[Cell, ...], ...]


def grid_of(report: Report) -> Grid | None:
    """One row per category: about it, then the metric of each run and its change; None without categories.

    A category without a name is called by its id.
    """
    first = report.runs[0].categories
    if not first:
        return None
    reference = next((side for side, run in sides_of(report) if run is report.reference), report.reference.name)
    unit, objects = ("class", "samples") if report.signature.protocol == "classification" else ("category", "objects")
    header = [unit, "id", "group", "training images", "images", objects]
    columns = []
    for kind in report.kinds:
        base = _values(report.reference, kind)
        metric = f"{IOU_TITLES[kind]} {CATEGORY_METRIC[kind]}" if len(report.kinds) > 1 else CATEGORY_METRIC[kind]
        for side, run in sides_of(report):
            values = _values(run, kind)
            header.append(f"{metric}, {side}")
            columns.append({key: Cell(percent(value), _key(value)) for key, value in values.items()})
            if run is not report.reference:
                header.append(f"change of {metric}, {side} against {reference}")
                columns.append({key: _change(value, base.get(key)) for key, value in values.items()})
    rows = tuple((*_about(row), *(column.get(row.id, Cell("-")) for column in columns)) for row in first)
    return Grid(tuple(header), tuple(dict.fromkeys(row.group for row in first if row.group)), rows)


def _values(run: Run, kind: str) -> dict[int, Value]:
    """The shown metric of each category, by id."""
    return {row.id: row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind]) for row in run.categories}


def _change(value: Value, base: Value) -> Cell:
    return Cell(delta(value, base), None if value is None or base is None else _key(value - base))


def _key(value: Value) -> float | None:
    """The value to the ten thousandth of a percent, as thousands of them make a page large."""
    return None if value is None else round(value, 6)


def _about(row: CategoryMetrics) -> tuple[Cell, ...]:
    counts = (row.train_images, row.images, row.instances)
    return (
        Cell(category_title(row)),
        Cell(str(row.id), row.id),
        Cell(row.group or ""),
        *(Cell("-" if count is None else f"{count:,}", count) for count in counts),
    )
