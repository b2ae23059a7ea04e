"""The tables of a report as rows of text, for the renderers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from longtail_cli.report.category_tables import category_tables
from longtail_cli.report.cells import GROUP_TITLES, Table, difference, percent, shown
from longtail_cli.report.interval_tables import group_sizes, interval_tables
from longtail_cli.report.model import Classification, Figure, Figures, Gains, Reliability, Report, Run, Tide

IOU_TITLES = {"bbox": "Boxes", "segm": "Masks"}
NESTED = {"APfixed": "Fixed AP", "APpool": "Pooled AP"}

Side = tuple[str, Run]
"""A run and what it is called; the first is what the others are held against."""


def tables_of(report: Report) -> tuple[Table, ...]:
    """All tables of a report but that of its gates, in reading order.

    Of classification: the figures, the confusion of groups in each run. Per IoU type: AP, Fixed and pooled AP, TIDE,
    reliability. Then the intervals, what the groups rest on, and the categories.
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
    """The runs, after the reference where that is the run of a baseline."""
    runs = [(run.name, run) for run in report.runs]
    reference = report.reference
    return runs if reference is report.runs[0] else [(f"baseline: {reference.name}", reference), *runs]


def without_rows(report: Report) -> Report:
    """The report without its categories, whose tables are long."""
    baseline = report.baseline and replace(report.baseline, run=replace(report.baseline.run, categories=()))
    return replace(report, runs=tuple(replace(run, categories=()) for run in report.runs), baseline=baseline)


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


def _flat(metrics: Mapping[str, Figure | Figures]) -> dict[str, Figure]:
    return {name: value for name, value in metrics.items() if not isinstance(value, Mapping)}


def _side_by_side(title: str, sides: Sequence[tuple[str, Figures]]) -> Table:
    """A row a run, and under each but the first a row of differences to the first.

    The columns are those of the last run: the first may be of a baseline, which can lack some. Where it lacks all,
    neither it nor differences are shown.
    """
    columns = tuple(sides[-1][1])
    first = sides[0][1]
    compared = any(key in first for key in columns)
    rows: list[tuple[str, ...]] = []
    for number, (name, figures) in enumerate(sides):
        if compared or number:
            rows.append((name, *(shown(key, figures.get(key)) for key in columns)))
        if compared and number:
            rows.append(("  difference", *(difference(key, figures.get(key), first.get(key)) for key in columns)))
    return Table(title, ("run", *columns), tuple(rows))


def _nested(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    tables = []
    for key, name in NESTED.items():
        found = [(side, run.metrics.get(iou_type, {}).get(key)) for side, run in sides]
        figures = [(side, value if isinstance(value, Mapping) else {}) for side, value in found]
        if figures[-1][1]:
            tables.append(_side_by_side(f"{title}, {name}", figures))
    return tables


def _tide(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    """The breakdown over all categories, then by group; a row a run. Another protocol's breakdown is not compared."""
    last = sides[-1][1].tide.get(iou_type)
    if last is None:
        return []
    name = f"{title}, TIDE ({last.protocol}): AP50 gained by mending"
    found = [(side, run.tide.get(iou_type)) for side, run in sides]
    alike = [(side, tide if tide is not None and tide.protocol == last.protocol else None) for side, tide in found]
    tables = [_side_by_side(name, [(side, _gains(tide)) for side, tide in alike])]
    for group in last.groups:
        by_run = [(side, _gains(tide and tide.groups.get(group))) for side, tide in alike]
        tables.append(_side_by_side(f"{name}, {GROUP_TITLES.get(group, group)} categories", by_run))
    return tables


def _gains(gains: Gains | Tide | None) -> dict[str, Figure]:
    return {} if gains is None else {"AP50": gains.AP50, **gains.main, **gains.special}


def _reliability(title: str, iou_type: str, sides: Sequence[Side]) -> list[Table]:
    last = sides[-1][1].reliability.get(iou_type)
    if last is None:
        return []
    errors = [(side, _errors(run.reliability.get(iou_type), last.iou_threshold)) for side, run in sides]
    return [_side_by_side(f"{title}, reliability of scores at IoU {last.iou_threshold:.2f}", errors)]


def _errors(found: Reliability | None, iou_threshold: float) -> dict[str, Figure]:
    """The errors over all categories and by group; none where a true positive is something else."""
    if found is None or found.iou_threshold != iou_threshold:
        return {}
    return {
        name if group == "all" else f"{name} {GROUP_TITLES.get(group, group)}": value
        for group, errors in found.errors.items()
        for name, value in errors.items()
    }


def _classification(report: Report, sides: Sequence[Side]) -> list[Table]:
    """No tables where the runs hold no figures of classification."""
    found = {run.name: run.classification for run in report.runs if run.classification is not None}
    if not found:
        return []
    figures = [(side, _classification_figures(run.classification)) for side, run in sides]
    confusions = [_confusion(name, one.confusion) for name, one in found.items() if one.confusion]
    return [_side_by_side("Classification", figures), *confusions]


def _classification_figures(found: Classification | None) -> dict[str, Figure]:
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


def _confusion(name: str, confusion: Mapping[str, Figures]) -> Table:
    """A row a true group; the columns are where the mass of its scores goes."""
    rows = [(true, *map(percent, given.values())) for true, given in confusion.items()]
    header = ("true group", *(f"to {group}" for group in next(iter(confusion.values()))))
    return Table(f"Mass of the scores by group, {name}", header, tuple(rows))
