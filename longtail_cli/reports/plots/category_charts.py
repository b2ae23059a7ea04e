"""AP or recall of single categories: against their training frequency, and the greatest changes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.escapes import xml_text
from longtail_cli.metrics import CategoryMetrics, Value
from longtail_cli.reports.format import GROUP_TITLES, delta, percent
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import Drawing, Plot, numbered, pairs_of, short
from longtail_cli.reports.plots.style import BLUE, GROUPS, INK, MUTED, NO_GROUP, PAPER, VERMILLION, Look, legend, sheet
from longtail_cli.reports.text_tables import CATEGORY_METRIC, IOU_TITLES, Side

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Labels = dict[str, Sequence[str]]
"""By gid of a collection, a label for each of its points."""

Change = tuple[str, float]
"""The name of a category, and the change of its metric in percent points."""

MAX_BARS = 12
"""Categories shown that gained, and that lost."""


@dataclass(frozen=True, slots=True)
class Point:
    """A category, and its metric before and after."""

    row: CategoryMetrics
    count: int
    """Training images, or else images of the evaluated set."""
    before: Value
    after: Value


def frequency_scatter_plots(report: Report, kind: str, run: str | None = None) -> list[Plot]:
    """A plot for each run except the reference. kind: ``bbox``, ``segm`` or ``classification``. run: only this one."""
    pairs = pairs_of(report, run)
    drawn = [(number, pair, _points(pair, kind)) for number, pair in enumerate(pairs, 1)]
    stem = _stem(f"{CATEGORY_METRIC[kind].lower()}-by-training-frequency", kind)
    return [_scatter_plot(numbered(stem, number, len(pairs)), kind, *pair, points)
            for number, pair, points in drawn if points]  # fmt: skip


def change_plots(report: Report, kind: str, run: str | None = None) -> list[Plot]:
    """A plot for each run except the reference, if a category changed. run: only this one."""
    pairs, plots = pairs_of(report, run), []
    metric = CATEGORY_METRIC[kind]
    stem = _stem(f"{metric.lower()}-changes", kind)
    for number, (before, after) in enumerate(pairs, 1):
        changes = _changes(_points((before, after), kind))
        if before is not None and changes:
            plots.append(
                Plot(
                    numbered(stem, number, len(pairs)),
                    f"{IOU_TITLES.get(kind, 'Classes')}: categories that gained and lost most",
                    f"Change of {metric} from {short(before[0])} to {short(after[0])}, at most {MAX_BARS} each way.",
                    f"Bars of the change of {metric} for {len(changes)} categories.",
                    partial(_draw_changes, changes, metric),
                )
            )
    return plots


def _points(pair: tuple[Side | None, Side], kind: str) -> list[Point]:
    """The categories with a metric before or after, in order of the rows."""
    before, (_, after) = pair
    bases = {} if before is None else {row.id: _metric(row, kind) for row in before[1].categories}
    trained = _counts_training(after.categories)
    found = [
        Point(row, (row.train_images or 0) if trained else row.images, bases.get(row.id), _metric(row, kind))
        for row in after.categories
    ]
    return [point for point in found if point.before is not None or point.after is not None]


def _counts_training(rows: Sequence[CategoryMetrics]) -> bool:
    """Whether the training images of all categories are known."""
    return all(row.train_images is not None for row in rows)


def _label(point: Point, kind: str, paired: bool) -> str:
    """The category, its counts and its metrics, one line each."""
    row, name = point.row, CATEGORY_METRIC[kind]
    about = [f"id {row.id}", *([GROUP_TITLES.get(row.group, row.group)] if row.group else [])]
    about += [f"{row.train_images:,} training images"] if row.train_images is not None else []
    change = f"{percent(point.before)} \N{RIGHTWARDS ARROW} " if paired else ""
    moved = f" ({delta(point.after, point.before)})" if point.before is not None and point.after is not None else ""
    lines = (" ".join(row.name.split()), ", ".join(about), f"{name} {change}{percent(point.after)}{moved}")
    return xml_text("\n".join(lines))


def _stem(name: str, kind: str) -> str:
    return name if kind == "classification" else f"{name}-{kind}"


def _metric(row: CategoryMetrics, kind: str) -> Value:
    return row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind])


def _scatter_plot(name: str, kind: str, before: Side | None, after: Side, points: Sequence[Point]) -> Plot:
    metric = CATEGORY_METRIC[kind]
    axis = "training images" if _counts_training(after[1].categories) else "images in the evaluated set"
    compared = f" Hollow: {short(before[0])}; filled: {short(after[0])}." if before else f" {short(after[0])}."
    return Plot(
        name,
        f"{IOU_TITLES.get(kind, 'Classes')}: {metric} by {axis}",
        f"One mark per category.{compared}",
        f"Scatter plot of {metric} against {axis} for {len(points)} categories.",
        partial(_draw_scatter, kind, axis, before, after, points),
    )


def _draw_scatter(kind: str, axis: str, before: Side | None, after: Side, points: Sequence[Point]) -> Drawing:
    figure = sheet()
    axes = figure.subplots()
    labels: Labels = {}
    groups = [group for group in (*GROUPS, None) if any(point.row.group == group for point in points)]
    others = sorted({point.row.group or "" for point in points} - {group or "" for group in groups})
    size = 26 if len(points) <= 100 else 14 if len(points) <= 400 else 8
    for group in (*groups, *others):
        members = [point for point in points if point.row.group == group]
        labels |= _draw_group(axes, members, GROUPS.get(group or "", NO_GROUP), size, kind, f"{len(labels)}", before)
    _scale(axes, [point.count for point in points])
    axes.set_ylim(bottom=0)
    axes.set_xlabel(axis)
    axes.set_ylabel(f"{CATEGORY_METRIC[kind]} (%)")
    _draw_legend(figure, [*groups, *others], before, after)
    return Drawing(figure, labels)


def _draw_group(
    axes: Axes, points: Sequence[Point], look: Look, size: float, kind: str, number: str, before: Side | None
) -> Labels:
    """Hollow marks before, filled ones after, joined by a line; for a lone run only filled ones."""
    joined: list[tuple[float, float]] = []
    for point in points:
        if point.before is not None and point.after is not None:
            joined += [(point.count, 100 * value) for value in (point.before, point.after, np.nan)]
    if joined:
        axes.plot(*zip(*joined, strict=True), color=look.colour, linewidth=0.6, alpha=0.45, zorder=1)
    labels: Labels = {}
    for which, fill in (("before", PAPER), ("after", look.colour)):
        shown = [point for point in points if getattr(point, which) is not None]
        if shown:
            gid = f"points-{which}-{number}"
            marks = axes.scatter(
                [point.count for point in shown], [100 * getattr(point, which) for point in shown],
                s=size, marker=look.marker, facecolors=fill, edgecolors=look.colour, linewidths=0.6,
                zorder=2 if which == "before" else 3, clip_on=False,
            )  # fmt: skip
            marks.set_gid(gid)
            labels[gid] = [_label(point, kind, before is not None) for point in shown]
    return labels


def _scale(axes: Axes, counts: Sequence[int]) -> None:
    """Logarithmic; with zeros linear from 0 to 1."""
    from matplotlib.ticker import FuncFormatter, NullFormatter

    axes.set_xscale("symlog", linthresh=1, linscale=0.5) if min(counts) < 1 else axes.set_xscale("log")
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set_xlim(min(counts) * 0.8 if min(counts) >= 1 else -0.15, max(*counts, 1) * 1.25)


def _draw_legend(figure: Figure, groups: Sequence[str | None], before: Side | None, after: Side) -> None:
    from matplotlib.lines import Line2D

    def mark(look: Look, colour: str, fill: str) -> Line2D:
        return Line2D([], [], linestyle="", marker=look.marker, markersize=4, color=colour, markerfacecolor=fill)

    known = [(group, GROUPS.get(group or "", NO_GROUP)) for group in groups]
    entries = [(mark(look, look.colour, look.colour), GROUP_TITLES.get(group or "", short(group or "no group")))
               for group, look in known] if any(groups) else []  # fmt: skip
    if before is not None:
        round_mark = Look(INK, "o")
        entries += [(mark(round_mark, INK, PAPER), short(before[0])), (mark(round_mark, INK, INK), short(after[0]))]
    if entries:
        legend(figure, entries)


def _changes(points: Sequence[Point]) -> list[Change]:
    """The greatest gains, then the greatest losses, in descending order."""
    found = [
        (point.row.name, 100 * (point.after - point.before))
        for point in points
        if point.after is not None and point.before is not None
    ]
    ordered = sorted(found, key=lambda change: -change[1])
    gained = [change for change in ordered if change[1] > 0][:MAX_BARS]
    return gained + [change for change in ordered if change[1] < 0][-MAX_BARS:]


def _draw_changes(changes: Sequence[Change], metric: str) -> Drawing:
    figure = sheet(height=0.75 + 0.165 * len(changes))
    axes = figure.subplots()
    for position, (_, change) in enumerate(changes):
        axes.barh(position, change, 0.72, color=BLUE if change > 0 else VERMILLION)
        axes.annotate(f"{change:+.1f}", (change, position), (3 if change > 0 else -3, 0), textcoords="offset points",
                      ha="left" if change > 0 else "right", va="center", fontsize=7)  # fmt: skip
    axes.set_yticks(range(len(changes)), [short(name) for name, _ in changes])
    axes.set_ylim(len(changes) - 0.4, -0.6)
    axes.axvline(0, color=MUTED, linewidth=0.6)
    axes.grid(visible=False, axis="y")
    axes.margins(x=0.16)
    axes.set_xlabel(f"change of {metric} (points)")
    return Drawing(figure)
