"""What each run gives rare classes, and what it takes from frequent ones."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.escapes import xml_text
from longtail_cli.metrics import Interval
from longtail_cli.reports.format import between, percent
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import Drawing, Plot, stem_of, title_of
from longtail_cli.reports.plots.style import MUTED, Look, legend, looks_of, sheet
from longtail_cli.reports.text_tables import sides_of
from longtail_cli.reports.tuning.curves import front

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

LEAST_RUNS = 3

AXES = {
    "APf": "AP of frequent categories", "APc": "AP of common categories", "APr": "AP of rare categories",
    "many": "recall of many-shot classes", "medium": "recall of medium-shot classes",
    "few": "recall of few-shot classes",
}  # fmt: skip
"""What the metrics are, without the unit."""

_AP, _RECALL = ("APf", "APc", "APr"), ("many", "medium", "few")


@dataclass(frozen=True, slots=True)
class Spot:
    """A run that defines both metrics."""

    run: str
    look: Look
    x: float
    """Of the more frequent group, in percent; `y` of the rarer one."""
    y: float
    x_interval: Interval | None
    """A fraction, as for `y_interval`."""
    y_interval: Interval | None


def pareto_plots(report: Report, kind: str) -> list[Plot]:
    """One plot, if at least three runs define a metric of two frequency groups.

    The groups are the rarest and the most frequent one; if one of them is undefined, the next pair of AP_f and AP_c,
    or AP_c and AP_r. kind: ``bbox``, ``segm`` or ``classification``.
    """
    frequent, common, rare = _RECALL if kind == "classification" else _AP
    for x, y in ((frequent, rare), (frequent, common), (common, rare)):
        spots = _spots(report, f"{kind}/{x}", f"{kind}/{y}")
        if len(spots) >= LEAST_RUNS:
            return [_plot(report, kind, (AXES[x], AXES[y]), spots)]
    return []


def _plot(report: Report, kind: str, axes: tuple[str, str], spots: Sequence[Spot]) -> Plot:
    best = front([(spot.x, spot.y) for spot in spots])
    whiskers = " Whiskers: 95% intervals." if any(spot.x_interval or spot.y_interval for spot in spots) else ""
    return Plot(
        stem_of("pareto", kind),
        title_of(report, kind, f"{axes[1]} against {axes[0]}", ""),
        "One mark per run; up and to the right is better. The corners of the dashed line, the Pareto front, are the "
        f"runs that no other run beats in both.{whiskers}",
        f"{axes[1]} against {axes[0]} of {len(spots)} runs, {len(best)} of them on the Pareto front.",
        partial(_draw, spots, axes),
    )


def _spots(report: Report, x: str, y: str) -> list[Spot]:
    looks, spots = looks_of(report), []
    for side, run in sides_of(report):
        metrics = metrics_of(run)
        frequent, rare = metrics.get(x), metrics.get(y)
        if frequent is not None and rare is not None:
            spots.append(
                Spot(side, looks[side], 100 * frequent, 100 * rare, run.intervals.get(x), run.intervals.get(y))
            )
    return spots


def _draw(spots: Sequence[Spot], titles: tuple[str, str]) -> Drawing:
    from matplotlib.lines import Line2D

    figure = sheet(height=3.6)
    axes = figure.subplots()
    entries: list[tuple[Artist, str]] = []
    for index, spot in enumerate(spots):
        _draw_spot(axes, spot, index)
        mark = Line2D([], [], linestyle="", color=spot.look.colour, marker=spot.look.marker, markersize=6)
        entries.append((mark, spot.run))
    axes.set(xlabel=f"{titles[0]} (%)", ylabel=f"{titles[1]} (%)")
    axes.margins(0.12)
    _draw_front(axes, front([(spot.x, spot.y) for spot in spots]))
    legend(figure, entries)
    return Drawing(figure, {f"run-{index}": [_label(spot, titles)] for index, spot in enumerate(spots)})


def _draw_front(axes: Axes, best: Sequence[tuple[float, float]]) -> None:
    """The border of what some run is at least as good as in both, from the left end of the axes to their lower one."""
    left, bottom = axes.get_xlim()[0], axes.get_ylim()[0]
    border = [(left, best[0][1]), *best, (best[-1][0], bottom)]
    axes.plot(*zip(*border, strict=True), color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)), drawstyle="steps-pre",
              zorder=1)  # fmt: skip
    axes.set(xlim=(left, None), ylim=(bottom, None))


def _draw_spot(axes: Axes, spot: Spot, index: int) -> None:
    """The mark of a run with its whiskers, which need not be symmetrical."""
    colour = spot.look.colour
    if spot.x_interval is not None:
        axes.plot([100 * spot.x_interval.low, 100 * spot.x_interval.high], [spot.y] * 2, color=colour, linewidth=0.8,
                  alpha=0.6, zorder=2)  # fmt: skip
    if spot.y_interval is not None:
        axes.plot([spot.x] * 2, [100 * spot.y_interval.low, 100 * spot.y_interval.high], color=colour, linewidth=0.8,
                  alpha=0.6, zorder=2)  # fmt: skip
    mark = axes.scatter([spot.x], [spot.y], s=46, marker=spot.look.marker, color=colour, linewidths=0, zorder=3)
    mark.set_gid(f"run-{index}")


def _label(spot: Spot, titles: tuple[str, str]) -> str:
    """The run and its two metrics, one line each."""
    values = ((titles[0], spot.x, spot.x_interval), (titles[1], spot.y, spot.y_interval))
    lines = [
        f"{title} {percent(value / 100)}" + (f" ({between(title, interval)})" if interval else "")
        for title, value, interval in values
    ]
    return xml_text("\n".join([" ".join(spot.run.split()), *lines]))
