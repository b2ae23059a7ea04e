"""AP or recall of the categories against how often they occur in training, with a running mean."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.escapes import xml_text
from longtail_cli.metrics import category_title
from longtail_cli.reports.format import GROUP_TITLES, delta, percent
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.category_points import (
    Point,
    counts_training,
    greatest_value,
    noun_of,
    nouns_of,
    points_of,
)
from longtail_cli.reports.plots.plot import Drawing, Pair, Plot, names_of, pairs_of, slugs_of, stem_of, title_of
from longtail_cli.reports.plots.smoothing import LEAST_CLASSES, NEAREST, REACH, running_mean
from longtail_cli.reports.plots.style import (
    GROUP_MARKERS,
    INK,
    NO_GROUP,
    PAPER,
    Look,
    legend,
    looks_of,
    plain_counts,
    sheet,
)
from longtail_cli.reports.text_tables import CATEGORY_METRIC
from longtail_cli.tables import Floats

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Labels = dict[str, Sequence[str]]
"""By gid of a collection, a label for each of its points."""

JOINED = 100
"""Up to so many categories a line joins the two marks of each."""


@dataclass(frozen=True, slots=True)
class Series:
    """The marks of one run."""

    side: str
    look: Look
    which: str
    """``before`` or ``after``."""
    points: Sequence[Point]
    """The categories whose metric the run defines."""

    @property
    def values(self) -> list[float]:
        """The metric of each in percent."""
        return [100 * getattr(point, self.which) for point in self.points]

    @property
    def mean(self) -> tuple[Floats, Floats] | None:
        """The running mean; None with too few points."""
        return running_mean([point.count for point in self.points], self.values)


def frequency_scatter_plots(report: Report, kind: str, run: str | None = None) -> list[Plot]:
    """A plot for each run except the reference, all with the same axis of the metric.

    kind: ``bbox``, ``segm`` or ``classification``. run: only this one.
    """
    metric, slugs, top = CATEGORY_METRIC[kind], slugs_of(report), greatest_value(report, kind)
    plots = []
    for pair in pairs_of(report, run):
        points = points_of(pair, kind)
        if points:
            axis = "training images" if counts_training(pair[1][1].categories) else "images in the evaluated set"
            series = _series(report, pair, points)
            draw = partial(_draw, series, points, (axis, metric), top, kind)
            name = f"{stem_of(f'{metric.lower()}-by-training-frequency', kind)}-{slugs[pair[1][0]]}"
            title = title_of(report, kind, f"{metric} by {noun_of(kind)}", names_of(report, pair))
            alt = f"Scatter plot of {metric} against {axis} for {len(points)} {nouns_of(kind)}."
            plots.append(Plot(name, title, _caption(pair, kind, points), alt, draw))
    return plots


def _series(report: Report, pair: Pair, points: Sequence[Point]) -> list[Series]:
    looks = looks_of(report)
    sides = [(side[0], which) for side, which in zip(pair, ("before", "after"), strict=True) if side is not None]
    return [
        Series(name, looks[name], which, [point for point in points if getattr(point, which) is not None])
        for name, which in sides
    ]


def _caption(pair: Pair, kind: str, points: Sequence[Point]) -> str:
    compared = f" Hollow: {pair[0][0]}; filled: {pair[1][0]}." if pair[0] else ""
    smooth = (
        f" The curves are running means: the closer a {noun_of(kind)} is in log10(1 + images), the more it counts, up "
        f"to a distance of {REACH:g}, or to a little beyond the {NEAREST}th closest where there are few."
    )
    return xml_text(f"One mark per {noun_of(kind)}.{compared}{smooth if len(points) >= LEAST_CLASSES else ''}")


def _draw(series: Sequence[Series], points: Sequence[Point], titles: tuple[str, str], top: float, kind: str) -> Drawing:
    figure = sheet()
    axes = figure.subplots()
    if len(series) == 2 and len(points) <= JOINED:
        _join(axes, points, series[1].look.colour)
    labels: Labels = {}
    groups = _groups(points)
    for one in series:
        labels |= _draw_marks(axes, one, groups, kind, paired=len(series) == 2)
    for one in series:
        _draw_mean(axes, one)
    _scale(axes, [point.count for point in points])
    axes.set_ylim(0, 1.04 * top or 1)
    axes.set_xlabel(titles[0])
    axes.set_ylabel(f"{titles[1]} (%)")
    _add_legend(figure, series, groups)
    return Drawing(figure, labels)


def _groups(points: Sequence[Point]) -> list[str | None]:
    """The groups of the categories, those that are known first, from the most to the least frequent."""
    found = {point.row.group for point in points}
    known = [group for group in GROUP_MARKERS if group in found]
    others = sorted(group for group in found if group is not None and group not in GROUP_MARKERS)
    return [*known, *others, *([None] if None in found else [])]


def _marker(group: str | None) -> str:
    return GROUP_MARKERS.get(group or "", NO_GROUP)


def _join(axes: Axes, points: Sequence[Point], colour: str) -> None:
    """A thin line from before to after for each category that has both."""
    joined = [
        (point.count, 100 * value)
        for point in points
        if point.before is not None and point.after is not None
        for value in (point.before, point.after, np.nan)
    ]
    if joined:
        axes.plot(*zip(*joined, strict=True), color=colour, linewidth=0.6, alpha=0.35, zorder=1)


def _draw_marks(axes: Axes, series: Series, groups: Sequence[str | None], kind: str, paired: bool) -> Labels:
    """Hollow light marks before, filled ones after, the more transparent the more there are; by group a shape."""
    number = len(series.points)
    size = 26 if number <= 100 else 14 if number <= 400 else 9
    opacity = min(0.9, 10 / math.sqrt(max(number, 1)))
    before = series.which == "before"
    labels: Labels = {}
    for index, group in enumerate(groups):
        chosen = [
            (point, value)
            for point, value in zip(series.points, series.values, strict=True)
            if point.row.group == group
        ]
        if chosen:
            gid = f"points-{series.which}-{index}"
            marks = axes.scatter(
                [point.count for point, _ in chosen], [value for _, value in chosen], s=size, marker=_marker(group),
                facecolors="none" if before else series.look.colour, edgecolors=series.look.colour,
                linewidths=0.7 if before else 0, alpha=0.6 * opacity if before else opacity,
                zorder=2 if before else 3, clip_on=False,
            )  # fmt: skip
            marks.set_gid(gid)
            labels[gid] = [_label(point, kind, paired) for point, _ in chosen]
    return labels


def _draw_mean(axes: Axes, series: Series) -> None:
    if series.mean is not None:
        axes.plot(*series.mean, color=PAPER, linewidth=3.2, alpha=0.8, zorder=4)
        axes.plot(*series.mean, color=series.look.colour, linestyle=series.look.line, linewidth=1.6, zorder=5)


def _label(point: Point, kind: str, paired: bool) -> str:
    """The category, its counts and its metrics, one line each."""
    row, name = point.row, CATEGORY_METRIC[kind]
    about = [f"id {row.id}", *([GROUP_TITLES.get(row.group, row.group)] if row.group else [])]
    about += [f"{row.train_images:,} training images"] if row.train_images is not None else []
    change = f"{percent(point.before)} \N{RIGHTWARDS ARROW} " if paired else ""
    moved = f" ({delta(point.after, point.before)})" if point.before is not None and point.after is not None else ""
    title = " ".join(category_title(row).split())
    return xml_text("\n".join((title, ", ".join(about), f"{name} {change}{percent(point.after)}{moved}")))


def _scale(axes: Axes, counts: Sequence[int]) -> None:
    """Logarithmic; with zeros linear from 0 to 1."""
    low, high = min(counts), max(counts)
    axes.set_xscale("symlog", linthresh=1, linscale=0.5) if low < 1 else axes.set_xscale("log")
    plain_counts(axes.xaxis, low, high)
    axes.set_xlim(low * 0.8 if low >= 1 else -0.15, max(high, 1) * 1.25)


def _add_legend(figure: Figure, series: Sequence[Series], groups: Sequence[str | None]) -> None:
    """The runs by colour, if there are two; the groups by shape, if there are any."""
    from matplotlib.lines import Line2D

    entries: list[tuple[Artist, str]] = []
    for one in series if len(series) == 2 else ():
        colour, fill = one.look.colour, PAPER if one.which == "before" else one.look.colour
        mark = Line2D([], [], color=colour, linestyle="", marker="o", markersize=4, markerfacecolor=fill)
        if one.mean is not None:
            mark.set_linestyle(one.look.line)
        entries.append((mark, one.side))
    if any(groups):
        titles = [GROUP_TITLES.get(group, group) if group else "no group" for group in groups]
        shapes = [
            Line2D([], [], linestyle="", marker=_marker(group), markersize=4, color=INK, markerfacecolor=PAPER)
            for group in groups
        ]
        entries += zip(shapes, titles, strict=True)
    if entries:
        legend(figure, entries)
