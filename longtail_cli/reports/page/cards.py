"""The headline metrics of each run as cards, for reports of a few runs."""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.page.columns import Column, Metrics, columns_of, metrics_by_side
from longtail_cli.reports.page.matrix import colour_of
from longtail_cli.reports.page.measured import Measured, measured
from longtail_cli.reports.text_tables import IOU_TITLES

MAX_RUNS = 3
"""With more runs cards push all else off the screen, and only the matrix compares them."""


MATRIX_ONLY = ("AP75", "D-ECE", "LaECE", "top-5", "NLL")
"""Titles of columns that only the matrix shows."""


@dataclass(frozen=True, slots=True)
class Card:
    """A metric of a run."""

    title: str
    measured: Measured
    basis: str
    """How many categories a group has; empty for metrics of all categories."""


@dataclass(frozen=True, slots=True)
class CardRow:
    """The cards of a run."""

    run: str
    kind: str
    """``Boxes`` or ``Masks`` if the report has both, otherwise empty."""
    colour: str
    """The CSS variable of the run's colour in plots."""
    cards: tuple[Card, ...]


def cards_of(report: Report) -> list[CardRow]:
    """The cards of each run, and of each kind if there are several; none for more than `MAX_RUNS` runs."""
    if len(report.runs) > MAX_RUNS:
        return []
    base = next(metrics for _, run, metrics in metrics_by_side(report) if run is report.reference)
    columns = {kind: [one for one in columns_of(report, kind) if one.title not in MATRIX_ONLY] for kind in report.kinds}
    return [
        CardRow(
            run=side,
            kind=IOU_TITLES[kind] if len(report.kinds) > 1 else "",
            colour=colour_of(index),
            cards=tuple(_card(report, run, one, metrics, base) for one in own),
        )
        for index, (side, run, metrics) in enumerate(metrics_by_side(report))
        for kind, own in columns.items()
        if run in report.runs and own
    ]


def _card(report: Report, run: Run, column: Column, metrics: Metrics, base: Metrics) -> Card:
    """base: the metrics of the reference."""
    found = measured(report, run, column.name, metrics.get(column.name), base.get(column.name))
    return Card(column.title, found, column.basis)
