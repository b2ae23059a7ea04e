"""The figures that a reader looks for first, each with its change and how sure it is."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.report.cells import between, between_signed, difference, shown
from longtail_cli.report.metrics import figures_of, lower_is_better
from longtail_cli.report.model import Figure, Report, Run

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
    value, base = figures_of(run).get(name), figures_of(report.reference).get(name)
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


def _trend(report: Report, run: Run, name: str, value: Figure, base: Figure) -> str:
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
