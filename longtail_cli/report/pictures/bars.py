"""Bars of several runs side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from longtail_cli.report.model import Figure, Interval
from longtail_cli.report.pictures.picture import short
from longtail_cli.report.pictures.style import INK, MUTED, PAPER, horizontal_grid, legend, look_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet

FILLED = 0.78
"""Of the room of a tick, what its bars take together."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The figures of a run, None where undefined, and their intervals where there are any."""

    run: str
    figures: Sequence[Figure]
    intervals: Sequence[Interval | None] = field(default=())


def draw_bars(axes: Axes, ticks: Sequence[str], places: Sequence[float], runs: Sequence[Bars]) -> None:
    """The figures in percent at `places`, run beside run, whiskers for intervals; ``-`` where undefined.

    With at most three runs and five ticks the values stand above the bars.
    """
    width = FILLED / len(runs)
    numbers = len(runs) <= 3 and len(ticks) <= 5
    for side, bars in enumerate(runs):
        look = look_of(side)
        shift = (side - (len(runs) - 1) / 2) * width
        for index, (place, figure) in enumerate(zip(places, bars.figures, strict=True)):
            if figure is None:
                axes.annotate("\N{EN DASH}", (place + shift, 0), ha="center", va="bottom", color=MUTED)
                continue
            axes.bar(place + shift, 100 * figure, width * 0.94, color=look.colour, hatch=look.hatch, edgecolor=PAPER,
                     linewidth=0)  # fmt: skip
            interval = bars.intervals[index] if bars.intervals else None
            _whisker(axes, place + shift, interval)
            if numbers:
                top = 100 * max(figure, figure if interval is None else interval.high, 0.0)
                axes.annotate(f"{100 * figure:.1f}", (place + shift, top), (0, 2), textcoords="offset points",
                              ha="center", va="bottom", fontsize=7)  # fmt: skip
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_xticks(places, ticks)
    axes.set_xlim(min(places) - 0.55, max(places) + 0.55)
    horizontal_grid(axes)


def bars_legend(figure: Sheet, runs: Sequence[str]) -> None:
    """The names of the runs; none for a lone run."""
    from matplotlib.patches import Patch

    if len(runs) > 1:
        looks = [look_of(side) for side in range(len(runs))]
        patches = [Patch(facecolor=look.colour, hatch=look.hatch, edgecolor=PAPER, linewidth=0) for look in looks]
        legend(figure, [(patch, short(name)) for patch, name in zip(patches, runs, strict=True)])


def _whisker(axes: Axes, place: float, interval: Interval | None) -> None:
    if interval is not None:
        ends = [[50 * (interval.high - interval.low)]]
        middle = 50 * (interval.high + interval.low)
        axes.errorbar([place], [middle], yerr=ends, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2, capthick=0.8)
