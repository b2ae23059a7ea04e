"""The table of categories of the page: what its cells show, and what they are sorted by."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.report.cells import delta, percent
from longtail_cli.report.model import CategoryRow, Report
from longtail_cli.report.tables import IOU_TITLES, sides_of

HEADLINE = {"bbox": "AP", "segm": "AP", "classification": "recall"}


@dataclass(frozen=True, slots=True)
class Cell:
    """What is shown, and what it is sorted by: None for text, and for what is undefined, which comes last."""

    text: str
    key: float | None = None


@dataclass(frozen=True, slots=True)
class Grid:
    """header: title of each column, the first of text. groups: that there are. rows: a category each."""

    header: tuple[str, ...]
    groups: tuple[str, ...]
    rows: tuple[tuple[Cell, ...], ...]


def grid_of(report: Report) -> Grid | None:
    """A row for each category of the first run; None where it has none."""
    first = report.runs[0].categories
    if not first:
        return None
    kinds = report.signature.iou_types or ("classification",)
    sides = sides_of(report)
    header = ["category", "id", "group", "training images", "images", "objects"]
    columns = []
    for kind in kinds:
        base = {row.id: row.metrics.get(kind, {}).get(HEADLINE[kind]) for row in report.reference.categories}
        prefix = f"{IOU_TITLES[kind]} " if len(kinds) > 1 else ""
        for side, run in sides:
            values = {row.id: row.metrics.get(kind, {}).get(HEADLINE[kind]) for row in run.categories}
            header.append(f"{prefix}{HEADLINE[kind]}, {side}")
            columns.append({key: Cell(percent(value), value) for key, value in values.items()})
            if run is not report.reference:
                header.append(f"{prefix}change")
                columns.append({key: _change(value, base.get(key)) for key, value in values.items()})
    rows = tuple((*_about(row), *(column.get(row.id, Cell("-")) for column in columns)) for row in first)
    return Grid(tuple(header), tuple(dict.fromkeys(row.group for row in first if row.group)), rows)


def _change(value: float | None, base: float | None) -> Cell:
    return Cell(delta(value, base), None if value is None or base is None else value - base)


def _about(row: CategoryRow) -> tuple[Cell, ...]:
    counts = (row.train_images, row.images, row.instances)
    return (
        Cell(row.name),
        Cell(str(row.id), row.id),
        Cell(row.group or ""),
        *(Cell("-" if count is None else f"{count:,}", count) for count in counts),
    )
