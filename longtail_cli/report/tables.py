"""The tables of a report as rows of text, for the renderers: percent points with two decimals, as papers print them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longtail_cli.report.model import CategoryRow, Figure, Gains, Report, Run, Tide

UNDEFINED = "-"
IOU_TITLES = {"bbox": "Boxes", "segm": "Masks"}
GROUP_TITLES = {"r": "rare", "c": "common", "f": "frequent"}
NESTED = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a header of K columns, and rows of K cells; the first column is text, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables of a report in reading order: per IoU type AP, Fixed and pooled AP, TIDE, categories."""
    tables: list[Table] = []
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        tables.append(_side_by_side(title, {run.name: _flat(run.metrics[iou_type]) for run in report.runs}))
        tables += _nested(title, iou_type, report.runs)
        tables += _tide(title, iou_type, report.runs)
        tables += _categories(title, iou_type, report.runs)
    return tuple(tables)


def headline(report: Report) -> str:
    """One line: by which rules and on which data."""
    signature = report.signature
    cap = "image" if signature.protocol == "lvis" else "image and category"
    return (
        f"{signature.protocol.upper()} protocol, at most {signature.max_dets} detections per {cap}; "
        f"{signature.images} images, {signature.categories} categories; ltcal {signature.version}"
    )


def percent(figure: Figure) -> str:
    """A fraction in percent points, ``-`` where undefined."""
    return UNDEFINED if figure is None else f"{100 * figure:.2f}"


def delta(figure: Figure, base: Figure) -> str:
    """A difference in percent points with its sign, ``-`` where either is undefined."""
    return UNDEFINED if figure is None or base is None else f"{100 * (figure - base):+z.2f}"


def _flat(metrics: Mapping[str, Figure | Mapping[str, Figure]]) -> dict[str, Figure]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}


def _side_by_side(title: str, runs: Mapping[str, Mapping[str, Figure]]) -> Table:
    """A row a run, and under each but the first a row of differences to the first."""
    first = next(iter(runs.values()))
    rows: list[tuple[str, ...]] = []
    for number, (name, figures) in enumerate(runs.items()):
        rows.append((name, *(percent(figures[key]) for key in first)))
        if number:
            rows.append(("  difference", *(delta(figures[key], first[key]) for key in first)))
    return Table(title, ("run", *first), tuple(rows))


def _nested(title: str, iou_type: str, runs: Sequence[Run]) -> list[Table]:
    tables = []
    for key, name in NESTED.items():
        found = {run.name: run.metrics[iou_type].get(key) for run in runs}
        figures = {run: value for run, value in found.items() if isinstance(value, Mapping)}
        if figures:
            tables.append(_side_by_side(f"{title}, {name}", figures))
    return tables


def _tide(title: str, iou_type: str, runs: Sequence[Run]) -> list[Table]:
    """The breakdown over all categories, then by group; a row a run."""
    found = {run.name: run.tide[iou_type] for run in runs if iou_type in run.tide}
    if not found:
        return []
    first = next(iter(found.values()))
    name = f"{title}, TIDE ({first.protocol}): AP50 gained by mending"
    tables = [_side_by_side(name, {run: _gains(tide) for run, tide in found.items()})]
    for group in first.groups:
        by_run = {run: _gains(tide.groups[group]) for run, tide in found.items()}
        tables.append(_side_by_side(f"{name}, {GROUP_TITLES.get(group, group)} categories", by_run))
    return tables


def _gains(gains: Gains | Tide) -> dict[str, Figure]:
    return {"AP50": gains.AP50, **gains.main, **gains.special}


def _categories(title: str, iou_type: str, runs: Sequence[Run]) -> list[Table]:
    """A row a category in id order: AP of each run, and the difference of each but the first to the first."""
    if not all(run.categories for run in runs):
        return []
    names = [run.name for run in runs]
    header = ["category", "id", "group", "images", "instances", names[0]]
    for name in names[1:]:
        header += [name, "difference"]
    rows: list[tuple[str, ...]] = []
    for row in zip(*(run.categories for run in runs), strict=True):
        first = row[0].metrics[iou_type]["AP"]
        cells = [row[0].name, *_about(row[0]), percent(first)]
        for other in row[1:]:
            figure = other.metrics[iou_type]["AP"]
            cells += [percent(figure), delta(figure, first)]
        rows.append(tuple(cells))
    return [Table(f"{title}, AP by category", tuple(header), tuple(rows))]


def _about(row: CategoryRow) -> tuple[str, ...]:
    return str(row.id), row.group or UNDEFINED, str(row.images), str(row.instances)
