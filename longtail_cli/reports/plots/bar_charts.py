"""Bars of several runs side by side."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.metrics import Interval, Tide, TideGains, Value
from longtail_cli.reports.format import GROUP_TITLES
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import COLUMN, INK, MUTED, PAPER, WIDE, horizontal_grid, legend, look_of, sheet
from longtail_cli.reports.text_tables import IOU_TITLES, sides_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure as Sheet


FILLED = 0.78
"""Of the room of a tick, what its bars take together."""


@dataclass(frozen=True, slots=True)
class Bars:
    """The figures of a run, None where undefined, and their intervals where there are any."""

    run: str
    figures: Sequence[Value]
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


AP = {"AP": "all", "APr": GROUP_TITLES["r"], "APc": GROUP_TITLES["c"], "APf": GROUP_TITLES["f"]}
RECALL = {"balanced": "all", "many": "many", "medium": "medium", "few": "few"}


def group_plots(report: Report, kind: str) -> list[Plot]:
    """One picture; none where no run has any of the figures. kind: ``bbox``, ``segm`` or ``classification``."""
    parts = RECALL if kind == "classification" else AP
    names = {f"{kind}/{part}": title for part, title in parts.items()}
    found = [(side, metrics_of(run), run.intervals) for side, run in sides_of(report)]
    names = {name: title for name, title in names.items() if any(figures.get(name) is not None
                                                                for _, figures, _ in found)}  # fmt: skip
    runs = [
        Bars(side, [figures.get(name) for name in names], [intervals.get(name) for name in names])
        for side, figures, intervals in found
        if any(figures.get(name) is not None for name in names)
    ]
    if not runs:
        return []
    figure = "Recall" if kind == "classification" else "AP"
    stem = "recall-by-group" if kind == "classification" else f"ap-by-group-{kind}"
    whiskers = " Whiskers: 95% intervals." if any(any(bars.intervals) for bars in runs) else ""
    title = f"{IOU_TITLES.get(kind, 'Classes')}: {figure} by frequency group"
    caption = f"Mean over the categories of each group.{whiskers}"
    alt = f"Bars of {figure} for {', '.join(names.values())}."
    return [Plot(stem, title, caption, alt, partial(_draw_groups, names, runs, f"{figure} (%)"))]


def _draw_groups(names: Mapping[str, str], runs: Sequence[Bars], axis: str) -> Drawing:
    figure = sheet()
    axes = figure.subplots()
    draw_bars(axes, list(names.values()), list(map(float, range(len(names)))), runs)
    axes.set_ylabel(axis)
    axes.margins(y=0.08)
    bars_legend(figure, [bars.run for bars in runs])
    return Drawing(figure)


Panel = tuple[str, list[str], list[float], list[Bars]]


def tide_plots(report: Report, kind: str) -> list[Plot]:
    """One picture of those runs whose breakdown follows the rules of the last run's. kind: ``bbox`` or ``segm``."""
    last = report.runs[-1].tide.get(kind)
    if last is None:
        return []
    found = [(side, run.tide.get(kind)) for side, run in sides_of(report)]
    alike = [(side, tide) for side, tide in found if tide is not None and tide.protocol == last.protocol]
    parts: dict[str, list[tuple[str, Tide | TideGains]]] = {"all categories": list(alike)}
    for group in last.groups:
        of_group = [(side, tide.groups[group]) for side, tide in alike if group in tide.groups]
        parts[f"{GROUP_TITLES.get(group, group)} categories"] = list(of_group)
    panels = [_panel(title, gains) for title, gains in parts.items() if any(one.AP50 is not None for _, one in gains)]
    if not panels:
        return []
    caption = "AP50 gained by mending each kind of error; FalsePos and FalseNeg stand for all errors of their side."
    return [
        Plot(
            f"tide-{kind}",
            f"{IOU_TITLES[kind]}: TIDE error breakdown ({last.protocol})",
            caption,
            f"Bars of AP50 gained by error kind, for {', '.join(title for title, *_ in panels)}.",
            partial(_draw_panels, panels),
            wide=len(panels) > 1,
        )
    ]


def _panel(title: str, gains: Sequence[tuple[str, Tide | TideGains]]) -> Panel:
    """Main errors, then after a gap the special ones."""
    main, special = list(gains[-1][1].main), list(gains[-1][1].special)
    places = [float(place) for place in range(len(main))]
    places += [len(main) + 0.5 + place for place in range(len(special))]
    bars = [Bars(side, [{**one.main, **one.special}.get(key) for key in (*main, *special)]) for side, one in gains]
    return title, [*main, *special], places, bars


def _draw_panels(panels: Sequence[Panel]) -> Drawing:
    rows, columns = (len(panels) + 1) // 2, min(len(panels), 2)
    figure = sheet(WIDE if columns == 2 else COLUMN, 0.7 + 2.4 * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, (title, ticks, places, bars) in zip(grid.flat, panels, strict=False):
        draw_bars(axes, ticks, places, bars)
        axes.set_title(title, loc="left")
        axes.axvline((places[-3] + places[-2]) / 2, color="#dddddd", linewidth=0.6)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("AP50 gained (points)")
    bars_legend(figure, [bars.run for bars in panels[0][3]])
    return Drawing(figure)
