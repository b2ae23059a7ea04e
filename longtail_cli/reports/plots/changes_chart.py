"""The categories whose AP or recall gained and lost most between the reference and a run."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from longtail_cli.metrics import category_title
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.category_points import Point, nouns_of, points_of
from longtail_cli.reports.plots.plot import (
    MAX_NAME,
    Drawing,
    Plot,
    names_of,
    pairs_of,
    printed,
    slugs_of,
    stem_of,
    title_of,
)
from longtail_cli.reports.plots.style import GAIN, LOSS, MUTED, sheet
from longtail_cli.reports.short_names import short_names
from longtail_cli.reports.text_tables import CATEGORY_METRIC

Change = tuple[str, float]
"""The name of a category, and the change of its metric in percent points."""

MAX_BARS = 12
"""Categories shown that gained, and that lost."""

MARGIN = 0.16
"""Room for the numbers beside the bars, as a share of the axis."""


def change_plots(report: Report, kind: str, run: str | None = None) -> list[Plot]:
    """A plot for each run except the reference, if a category changed, all with the same axis.

    kind: ``bbox``, ``segm`` or ``classification``. run: only this one.
    """
    metric, nouns, slugs = CATEGORY_METRIC[kind], nouns_of(kind), slugs_of(report)
    found = [(pair, _changes(points_of(pair, kind))) for pair in pairs_of(report) if pair[0] is not None]
    limits = _limits([change for _, changes in found for change in changes])
    return [
        Plot(
            f"{stem_of(f'{metric.lower()}-changes', kind)}-{slugs[pair[1][0]]}",
            title_of(report, kind, f"{nouns.capitalize()} whose {metric} gained and lost most", names_of(report, pair)),
            f"Change of {metric}, at most {MAX_BARS} {nouns} each way."
            + (" All plots of changes have the same axis." if len(found) > 1 else ""),
            f"Bars of the change of {metric} for {len(changes)} {nouns}.",
            partial(_draw, changes, metric, limits),
        )
        for pair, changes in found
        if changes and run in (None, pair[1][0])
    ]


def _changes(points: Sequence[Point]) -> list[Change]:
    """The greatest gains, then the greatest losses, in descending order."""
    found = [
        (category_title(point.row), 100 * (point.after - point.before))
        for point in points
        if point.after is not None and point.before is not None
    ]
    ordered = sorted(found, key=lambda change: -change[1])
    gained = [change for change in ordered if change[1] > 0][:MAX_BARS]
    return gained + [change for change in ordered if change[1] < 0][-MAX_BARS:]


def _limits(changes: Sequence[Change]) -> tuple[float, float]:
    """The ends of the axis, with 0 between them and room for the numbers."""
    values = [0.0, *(value for _, value in changes)]
    low, high = min(values), max(values)
    room = MARGIN * (high - low)
    return low - room, high + room


def _draw(changes: Sequence[Change], metric: str, limits: tuple[float, float]) -> Drawing:
    figure = sheet(height=0.75 + 0.165 * len(changes))
    axes = figure.subplots()
    for position, (_, change) in enumerate(changes):
        axes.barh(position, change, 0.72, color=GAIN if change > 0 else LOSS)
        axes.annotate(f"{change:+.1f}", (change, position), (3 if change > 0 else -3, 0), textcoords="offset points",
                      ha="left" if change > 0 else "right", va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(changes)), short_names([printed(name) for name, _ in changes], MAX_NAME))
    axes.set_ylim(len(changes) - 0.4, -0.6)
    axes.set_xlim(*limits)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.grid(visible=False, axis="y")
    axes.set_xlabel(f"change of {metric} (points)")
    return Drawing(figure)
