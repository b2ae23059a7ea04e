"""The figures that a reader looks for first, each with its change and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.metrics import CategoryMetrics, Value
from longtail_cli.reports.format import between, between_signed, delta, difference, percent, shown
from longtail_cli.reports.metric_names import lower_is_better, metrics_of
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.text_tables import IOU_TITLES, sides_of

DETECTION = {"AP": "AP", "APr": "AP rare", "APc": "AP common", "APf": "AP frequent", "AP50": "AP50"}
CLASSIFICATION = {
    "top1": "top-1",
    "balanced": "balanced",
    "many": "many",
    "medium": "medium",
    "few": "few",
    "ece": "ECE",
}
GROUP_OF = {"APr": "r", "APc": "c", "APf": "f", "many": "many", "medium": "medium", "few": "few"}


@dataclass(frozen=True, slots=True)
class Card:
    """A figure of a run, as text.

    change: the difference to the reference, empty for the reference itself. trend: ``better``, ``worse``, or ``same``
    where nothing changed or the interval of the difference holds 0. basis: what a group rests on.
    """

    title: str
    value: str
    interval: str
    change: str
    change_interval: str
    trend: str
    basis: str


def cards_of(report: Report) -> list[tuple[str, list[Card]]]:
    """The cards of each run by its name."""
    return [(run.name, [_card(report, run, name, title) for name, title in _headline(report)]) for run in report.runs]


def _headline(report: Report) -> list[tuple[str, str]]:
    """Names of figures and titles of their cards."""
    if report.signature.protocol == "classification":
        return [(f"classification/{name}", title) for name, title in CLASSIFICATION.items()]
    found = []
    for iou_type in report.signature.iou_types:
        prefix = "Mask " if iou_type == "segm" else ""
        found += [(f"{iou_type}/{name}", f"{prefix}{title}") for name, title in DETECTION.items()]
        if iou_type in report.runs[0].tide:
            found.append((f"tide/{iou_type}/FalsePos", f"{prefix}TIDE FalsePos"))
    return found


def _card(report: Report, run: Run, name: str, title: str) -> Card:
    value, base = metrics_of(run).get(name), metrics_of(report.reference).get(name)
    plain, interval, delta = name.split("/")[-1], run.intervals.get(name), run.deltas.get(name)
    compared = run is not report.reference
    return Card(
        title=title,
        value=shown(plain, value),
        interval=between(plain, interval) if interval else "",
        change=difference(plain, value, base) if compared else "",
        change_interval=between_signed(plain, delta) if compared and delta else "",
        trend=_trend(report, run, name, value, base) if compared else "same",
        basis=_basis(report, plain),
    )


def _trend(report: Report, run: Run, name: str, value: Value, base: Value) -> str:
    delta = run.deltas.get(name)
    if value is None or base is None or value == base or (delta is not None and delta.low <= 0 <= delta.high):
        return "same"
    return "better" if (value > base) != lower_is_better(name) else "worse"


def _basis(report: Report, figure: str) -> str:
    size = report.groups.get(GROUP_OF.get(figure, "all"))
    if size is None or figure not in GROUP_OF:
        return ""
    if report.signature.protocol == "classification":
        return f"{size.categories:,} classes, {size.images:,} images"
    return f"{size.categories:,} categories, {size.instances:,} ground truths"


CATEGORY_METRIC = {"bbox": "AP", "segm": "AP", "classification": "recall"}


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
        base = {row.id: row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind]) for row in report.reference.categories}
        prefix = f"{IOU_TITLES[kind]} " if len(kinds) > 1 else ""
        for side, run in sides:
            values = {row.id: row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind]) for row in run.categories}
            header.append(f"{prefix}{CATEGORY_METRIC[kind]}, {side}")
            columns.append({key: Cell(percent(value), value) for key, value in values.items()})
            if run is not report.reference:
                header.append(f"{prefix}change")
                columns.append({key: _change(value, base.get(key)) for key, value in values.items()})
    rows = tuple((*_about(row), *(column.get(row.id, Cell("-")) for column in columns)) for row in first)
    return Grid(tuple(header), tuple(dict.fromkeys(row.group for row in first if row.group)), rows)


def _change(value: float | None, base: float | None) -> Cell:
    return Cell(delta(value, base), None if value is None or base is None else value - base)


def _about(row: CategoryMetrics) -> tuple[Cell, ...]:
    counts = (row.train_images, row.images, row.instances)
    return (
        Cell(row.name),
        Cell(str(row.id), row.id),
        Cell(row.group or ""),
        *(Cell("-" if count is None else f"{count:,}", count) for count in counts),
    )
