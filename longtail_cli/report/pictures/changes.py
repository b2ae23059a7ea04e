"""The categories that gained and lost most."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from longtail_cli.report.category_tables import HEADLINE
from longtail_cli.report.model import Report
from longtail_cli.report.pictures.by_frequency import points_of
from longtail_cli.report.pictures.picture import Drawing, Picture, numbered, pairs_of, short
from longtail_cli.report.pictures.style import BLUE, MUTED, VERMILLION, sheet
from longtail_cli.report.tables import IOU_TITLES

MOST = 12
"""Shown each way."""

Change = tuple[str, float]
"""The name of a category, and by how many points its figure changed."""


def pictures(report: Report, kind: str) -> list[Picture]:
    """A picture for each run but the reference. kind: ``bbox``, ``segm`` or ``classification``."""
    pairs, made = pairs_of(report), []
    for number, (before, after) in enumerate(pairs, 1):
        changes = _changes(report, kind, number - 1)
        if before is None or not changes:
            continue
        figure = HEADLINE[kind]
        stem = f"{figure.lower()}-changes" if kind == "classification" else f"{figure.lower()}-changes-{kind}"
        made.append(
            Picture(
                numbered(stem, number, len(pairs)),
                f"{IOU_TITLES.get(kind, 'Classes')}: categories that gained and lost most",
                f"Change of {figure} from {short(before[0])} to {short(after[0])}, at most {MOST} each way.",
                f"Bars of the change of {figure} for {len(changes)} categories.",
                partial(_draw, changes, figure),
            )
        )
    return made


def _changes(report: Report, kind: str, pair: int) -> list[Change]:
    """The greatest gains, then the greatest losses, from the one end to the other."""
    points = points_of(pairs_of(report)[pair], kind)
    found = [
        (point.row.name, 100 * (point.after - point.before))
        for point in points
        if point.after is not None and point.before is not None
    ]
    ordered = sorted(found, key=lambda change: -change[1])
    gained = [change for change in ordered if change[1] > 0][:MOST]
    return gained + [change for change in ordered if change[1] < 0][-MOST:]


def _draw(changes: Sequence[Change], figure_name: str) -> Drawing:
    figure = sheet(height=0.75 + 0.165 * len(changes))
    axes = figure.subplots()
    for place, (_, change) in enumerate(changes):
        axes.barh(place, change, 0.72, color=BLUE if change > 0 else VERMILLION)
        axes.annotate(f"{change:+.1f}", (change, place), (3 if change > 0 else -3, 0), textcoords="offset points",
                      ha="left" if change > 0 else "right", va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(changes)), [short(name) for name, _ in changes])
    axes.set_ylim(len(changes) - 0.4, -0.6)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.16)
    axes.set_xlabel(f"change of {figure_name} (points)")
    return Drawing(figure)
