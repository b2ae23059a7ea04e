"""The tables of a report as rows of text, for the renderers: percent points with two decimals, as papers print them.

Figures that are no share of anything (`PLAIN`) are printed as they are, with four decimals.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from longtail_cli.report.model import CategoryRow, Classification, Figure, Gains, Report, Run, Tide

UNDEFINED = "-"
IOU_TITLES = {"bbox": "Boxes", "segm": "Masks"}
GROUP_TITLES = {"r": "rare", "c": "common", "f": "frequent"}
NESTED = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}
PLAIN = ("NLL", "Brier")
DETECTION, CLASSIFICATION = ("images", "instances"), ("samples",)
"""What the counts of a category are called."""


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a header of K columns, and rows of K cells; the first column is text, the others numbers."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables of a report in reading order: per IoU type AP, Fixed and pooled AP, TIDE, categories.

    Of classification: the figures, the confusion of groups in each run, classes.
    """
    tables = _classification(report.runs)
    for iou_type in report.signature.iou_types:
        title = IOU_TITLES[iou_type]
        tables.append(_side_by_side(title, {run.name: _flat(run.metrics[iou_type]) for run in report.runs}))
        tables += _nested(title, iou_type, report.runs)
        tables += _tide(title, iou_type, report.runs)
        tables += _categories(f"{title}, AP by category", DETECTION, iou_type, "AP", report.runs)
    return tuple(tables)


def headline(report: Report) -> str:
    """One line: by which rules and on which data."""
    signature = report.signature
    if signature.protocol == "classification":
        about = f"{signature.images} images, {signature.categories} classes"
        return f"Classification of {about}; ltcal {signature.version}"
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


def _shown(name: str, figure: Figure) -> str:
    return percent(figure) if name not in PLAIN or figure is None else f"{figure:.4f}"


def _difference(name: str, figure: Figure, base: Figure) -> str:
    return delta(figure, base) if name not in PLAIN or figure is None or base is None else f"{figure - base:+z.4f}"


def _flat(metrics: Mapping[str, Figure | Mapping[str, Figure]]) -> dict[str, Figure]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}


def _side_by_side(title: str, runs: Mapping[str, Mapping[str, Figure]]) -> Table:
    """A row a run, and under each but the first a row of differences to the first."""
    first = next(iter(runs.values()))
    rows: list[tuple[str, ...]] = []
    for number, (name, figures) in enumerate(runs.items()):
        rows.append((name, *(_shown(key, figures[key]) for key in first)))
        if number:
            rows.append(("  difference", *(_difference(key, figures[key], first[key]) for key in first)))
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


def _classification(runs: Sequence[Run]) -> list[Table]:
    """No tables where the runs hold no figures of classification."""
    found = {run.name: run.classification for run in runs if run.classification is not None}
    if not found:
        return []
    tables = [_side_by_side("Classification", {name: _classification_figures(one) for name, one in found.items()})]
    tables += [_confusion(name, one.confusion) for name, one in found.items() if one.confusion]
    return tables + _categories("Recall by class", CLASSIFICATION, "classification", "recall", runs)


def _classification_figures(found: Classification) -> dict[str, Figure]:
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


def _confusion(name: str, confusion: Mapping[str, Mapping[str, Figure]]) -> Table:
    """A row a true group; the columns are where the mass of its scores goes."""
    rows = [(true, *map(percent, given.values())) for true, given in confusion.items()]
    header = ("true group", *(f"to {group}" for group in next(iter(confusion.values()))))
    return Table(f"Mass of the scores by group, {name}", header, tuple(rows))


def _categories(title: str, counts: Sequence[str], kind: str, figure: str, runs: Sequence[Run]) -> list[Table]:
    """A row a category in id order: its figure in each run, and the difference of each but the first to the first."""
    if not all(run.categories for run in runs):
        return []
    names = [run.name for run in runs]
    header = ["category", "id", "group", *counts, names[0]]
    for name in names[1:]:
        header += [name, "difference"]
    rows: list[tuple[str, ...]] = []
    for row in zip(*(run.categories for run in runs), strict=True):
        first = row[0].metrics[kind][figure]
        cells = [row[0].name, *_about(row[0], len(counts)), percent(first)]
        for other in row[1:]:
            value = other.metrics[kind][figure]
            cells += [percent(value), delta(value, first)]
        rows.append(tuple(cells))
    return [Table(title, tuple(header), tuple(rows))]


def _about(row: CategoryRow, counts: int) -> tuple[str, ...]:
    return str(row.id), row.group or UNDEFINED, *map(str, (row.images, row.instances)[:counts])
