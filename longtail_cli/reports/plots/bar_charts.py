"""Bar charts that compare runs: metrics by frequency group, and the TIDE breakdown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.metrics import Interval, Tide, TideGains, Value
from longtail_cli.reports.format import GROUP_TITLES
from longtail_cli.reports.metric_names import metrics_of
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.category_points import nouns_of
from longtail_cli.reports.plots.plot import Drawing, Plot, lone, stem_of, title_of
from longtail_cli.reports.plots.style import (
    COLUMN,
    INK,
    LINE,
    MUTED,
    PAPER,
    WIDE,
    Look,
    horizontal_grid,
    legend,
    looks_of,
    sheet,
)
from longtail_cli.reports.text_tables import sides_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


BARS_WIDTH = 0.78
"""Of all bars of a tick together; ticks are 1 apart."""

SIDE_BY_SIDE = 3
"""With more runs than this, panels are below one another, so that the bars stay wide enough."""

AP = {"AP": "all", "APr": GROUP_TITLES["r"], "APc": GROUP_TITLES["c"], "APf": GROUP_TITLES["f"]}
RECALL = {"balanced": "all", "many": "many", "medium": "medium", "few": "few"}


@dataclass(frozen=True, slots=True)
class Bars:
    """The values of a run, one per tick."""

    run: str
    look: Look
    values: Sequence[Value]
    intervals: Sequence[Interval | None] = ()
    """One per tick, or empty."""


@dataclass(frozen=True, slots=True)
class Panel:
    """Axes with a title: tick labels, their positions, and the bars of each run."""

    title: str
    ticks: Sequence[str]
    positions: Sequence[float]
    runs: Sequence[Bars]


def group_plots(report: Report, kind: str) -> list[Plot]:
    """One plot, or none if there would be a single bar at most. kind: ``bbox``, ``segm`` or ``classification``."""
    parts = RECALL if kind == "classification" else AP
    found = [(side, metrics_of(run), run.intervals) for side, run in sides_of(report)]
    names = [
        name for name in (f"{kind}/{part}" for part in parts) if _any_defined([name], [one for _, one, _ in found])
    ]
    looks = looks_of(report)
    runs = [
        Bars(side, looks[side], [metrics.get(name) for name in names], [intervals.get(name) for name in names])
        for side, metrics, intervals in found
        if _any_defined(names, [metrics])
    ]
    if len(runs) * len(names) < 2:
        return []
    ticks = [parts[name.rpartition("/")[2]] for name in names]
    metric = "Recall" if kind == "classification" else "AP"
    title, each = (f"{metric} by frequency group", " of each group") if len(names) > 1 else (metric, "")
    whiskers = " Whiskers: 95% intervals." if any(any(bars.intervals) for bars in runs) else ""
    panel = Panel("", ticks, list(map(float, range(len(ticks)))), runs)
    return [
        Plot(
            stem_of(f"{metric.lower()}-by-group", kind),
            title_of(report, kind, title, lone([bars.run for bars in runs])),
            f"Mean over the {nouns_of(kind)}{each}.{whiskers}",
            f"Bars of {metric} for {', '.join(ticks)}.",
            partial(_draw_groups, panel, f"{metric} (%)"),
        )
    ]


def _any_defined(names: Sequence[str], found: Sequence[Mapping[str, Value]]) -> bool:
    return any(metrics.get(name) is not None for name in names for metrics in found)


def _draw_groups(panel: Panel, label: str) -> Drawing:
    figure = sheet()
    axes = figure.subplots()
    _draw_bars(axes, panel)
    axes.set_ylabel(label)
    axes.margins(y=0.08)
    _add_legend(figure, panel.runs)
    return Drawing(figure)


def tide_plots(report: Report, kind: str) -> list[Plot]:
    """One plot of the runs whose breakdown follows the rules of the last run; none without a breakdown."""
    last = report.runs[-1].tide.get(kind)
    if last is None:
        return []
    found = [(side, run.tide.get(kind)) for side, run in sides_of(report)]
    alike = [(side, tide) for side, tide in found if tide is not None and tide.protocol == last.protocol]
    parts: dict[str, list[tuple[str, Tide | TideGains]]] = {"all categories": list(alike)}
    for group in last.groups:
        of_group = [(side, tide.groups[group]) for side, tide in alike if group in tide.groups]
        parts[f"{GROUP_TITLES.get(group, group)} categories"] = list(of_group)
    looks = looks_of(report)
    panels = [
        _panel(title, gains, looks) for title, gains in parts.items() if any(one.AP50 is not None for _, one in gains)
    ]
    if not panels:
        return []
    return [
        Plot(
            f"tide-{kind}",
            title_of(report, kind, f"TIDE error breakdown ({last.protocol})", lone([side for side, _ in alike])),
            "AP50 gain from fixing each kind of error; FalsePos and FalseNeg: from fixing all false positives and all "
            "false negatives.",
            f"Bars of the AP50 gain by kind of error, for {', '.join(panel.title for panel in panels)}.",
            partial(_draw_panels, panels),
            wide=len(panels) > 1,
        )
    ]


def _panel(title: str, gains: Sequence[tuple[str, Tide | TideGains]], looks: Mapping[str, Look]) -> Panel:
    """Main errors, then after a gap the special ones."""
    main, special = list(gains[-1][1].main), list(gains[-1][1].special)
    positions = [float(index) for index in range(len(main))]
    positions += [len(main) + 0.5 + index for index in range(len(special))]
    bars = [
        Bars(side, looks[side], [{**one.main, **one.special}.get(key) for key in (*main, *special)])
        for side, one in gains
    ]
    return Panel(title, [*main, *special], positions, bars)


def _draw_panels(panels: Sequence[Panel]) -> Drawing:
    columns = min(len(panels), 2) if len(panels[0].runs) <= SIDE_BY_SIDE else 1
    rows = -(-len(panels) // columns)
    figure = sheet(WIDE if len(panels) > 1 else COLUMN, 0.7 + (2.4 if columns == 2 else 2.0) * rows)
    grid = figure.subplots(rows, columns, sharey=True, squeeze=False)
    for axes, panel in zip(grid.flat, panels, strict=False):
        _draw_bars(axes, panel)
        axes.set_title(panel.title, loc="left")
        axes.axvline((panel.positions[-3] + panel.positions[-2]) / 2, color=LINE, linewidth=0.6)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("AP50 gain (points)")
    _add_legend(figure, panels[0].runs)
    return Drawing(figure)


def _draw_bars(axes: Axes, panel: Panel) -> None:
    """The values in percent, run beside run, with whiskers for intervals; a dash if undefined.

    With at most three runs and five ticks the values are printed above the bars.
    """
    width = BARS_WIDTH / len(panel.runs)
    printed = len(panel.runs) <= 3 and len(panel.ticks) <= 5
    for side, bars in enumerate(panel.runs):
        look = bars.look
        shift = (side - (len(panel.runs) - 1) / 2) * width
        intervals = bars.intervals or [None] * len(bars.values)
        for position, value, interval in zip(panel.positions, bars.values, intervals, strict=True):
            x = position + shift
            if value is None:
                axes.annotate("\N{EN DASH}", (x, 0), ha="center", va="bottom", color=MUTED)
                continue
            axes.bar(x, 100 * value, width * 0.94, color=look.colour, hatch=look.hatch, edgecolor=PAPER, linewidth=0)
            _whisker(axes, x, interval)
            if printed:
                top = 100 * max(value, value if interval is None else interval.high, 0.0)
                axes.annotate(f"{100 * value:.1f}", (x, top), (0, 2), textcoords="offset points", ha="center",
                              va="bottom", fontsize=7)  # fmt: skip
    axes.axhline(0, color=MUTED, linewidth=0.6)
    axes.set_xticks(panel.positions, panel.ticks)
    axes.set_xlim(min(panel.positions) - 0.55, max(panel.positions) + 0.55)
    horizontal_grid(axes)


def _whisker(axes: Axes, x: float, interval: Interval | None) -> None:
    if interval is not None:
        ends = [[50 * (interval.high - interval.low)]]
        middle = 50 * (interval.high + interval.low)
        axes.errorbar([x], [middle], yerr=ends, fmt="none", ecolor=INK, elinewidth=0.8, capsize=2, capthick=0.8)


def _add_legend(figure: Figure, runs: Sequence[Bars]) -> None:
    """The names of the runs; none for a lone run."""
    from matplotlib.patches import Patch

    if len(runs) > 1:
        legend(figure, [
            (Patch(facecolor=bars.look.colour, hatch=bars.look.hatch, edgecolor=PAPER, linewidth=0), bars.run)
            for bars in runs
        ])  # fmt: skip
