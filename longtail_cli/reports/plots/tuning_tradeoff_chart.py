"""What each candidate of a tuning gives rare classes, and what it takes from frequent ones."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.reports.format import shown
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import GREY, INK, LOOKS, MUTED, PAPER, legend, look_of, sheet
from longtail_cli.reports.tuning.curves import SpaceCurves, both_defined, curves_of, front, tradeoff_metrics
from longtail_cli.reports.tuning.model import Candidate, Tuning

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

WORDS = {"APf": "AP of frequent categories (%)", "APr": "AP of rare categories (%)",
         "many": "accuracy of many-shot classes (%)", "few": "accuracy of few-shot classes (%)"}  # fmt: skip


def tradeoff_plots(tuning: Tuning) -> list[Plot]:
    """One plot, or none if the metrics of the groups are undefined."""
    names = tradeoff_metrics(tuning)
    if names is None:
        return []
    caption = (
        "Every candidate, in-sample. A line follows a space as its first number grows; up and to the right is better. "
        "Dashed: the Pareto front, where no candidate is better in both. The star is the choice."
    )
    alt = f"{names[1]} against {names[0]} of {len(tuning.candidates)} candidates, with lines by space."
    return [Plot("tuning-tradeoff", "Rare against frequent classes", caption, alt, partial(_draw, tuning, names))]


Point = tuple[float, float]
LINE = 0.17
"""Height in inches of a line of the legend."""
LETTER = 0.024
"""Width of a letter as a share of the axes."""
FILLED = len(LOOKS)
"""Spaces with filled marks; the colours repeat after them, with hollow marks."""


def _draw(tuning: Tuning, names: tuple[str, str]) -> Drawing:
    spaces = curves_of(tuning)
    figure = sheet(height=3.2 + LINE * (len(spaces) + 3))
    axes = figure.subplots()
    defined = [one for one in tuning.candidates if both_defined(one, *names)]
    best = front([_point(one, names) for one in defined])
    (dashes,) = axes.plot(
        [x for x, _ in best], [y for _, y in best], color=MUTED, linewidth=0.9, linestyle=(0, (4, 3)),
        drawstyle="steps-pre", zorder=1,
    )  # fmt: skip
    entries: list[tuple[Artist, str]] = [(dashes, "Pareto front")]
    labels: dict[str, Sequence[str]] = {}
    for number, space in enumerate(spaces, 1):
        own = [one for curve in space.curves for one in curve.candidates if both_defined(one, *names)]
        if own:
            entries.append((_draw_space(axes, space, number, own, names), short(space.space)))
            labels[f"space-{number}"] = [_label(one, tuning.objective, names) for one in own]
    marked = [("none", tuning.candidates[0], "o", GREY, "no adjustment")]
    chosen = [one for one in defined if one.spec == tuning.chosen.candidate][-1:]
    marked += [("chosen", one, "*", INK, f"chosen: {short(one.spec)}") for one in chosen]
    for gid, one, marker, colour, title in marked:
        if both_defined(one, *names):
            entries.append((_mark(axes, one, names, gid, marker, colour), title))
            labels[gid] = [_label(one, tuning.objective, names)]
    axes.set(xlabel=WORDS[names[0].rpartition("/")[2]], ylabel=WORDS[names[1].rpartition("/")[2]])
    axes.margins(0.08)
    legend(figure, entries)
    return Drawing(figure, labels)


def _draw_space(
    axes: Axes, space: SpaceCurves, number: int, own: Sequence[Candidate], names: tuple[str, str]
) -> Artist:
    """The lines and points of a space, thin if there are several. Returns the legend entry."""
    from matplotlib.lines import Line2D

    look = look_of(number - 1)
    fill = look.colour if number <= FILLED else PAPER
    width = 1.4 if len(space.curves) == 1 else 0.6
    for curve in space.curves if space.numeric else ():
        points = [_point(one, names) for one in curve.candidates if both_defined(one, *names)]
        axes.plot([x for x, _ in points], [y for _, y in points], color=look.colour, linewidth=width, zorder=2)
    points = [_point(one, names) for one in own]
    marks = axes.scatter(
        [x for x, _ in points], [y for _, y in points], s=14, c=fill, edgecolors=look.colour, marker=look.marker,
        linewidths=0.6, zorder=3,
    )  # fmt: skip
    marks.set_gid(f"space-{number}")
    return Line2D([], [], color=look.colour, linewidth=width, marker=look.marker, markersize=4, markerfacecolor=fill)


def _mark(axes: Axes, one: Candidate, names: tuple[str, str], gid: str, marker: str, colour: str) -> Artist:
    x, y = _point(one, names)
    size = 150 if marker == "*" else 40
    mark = axes.scatter([x], [y], s=size, marker=marker, color=colour, edgecolors=PAPER, linewidths=0.8, zorder=4)
    mark.set_gid(gid)
    title = "chosen" if marker == "*" else "no adjustment"
    left, right = axes.get_xlim()
    at_the_end = x > right - LETTER * len(title) * (right - left)  # then below and to the left, where there is room
    axes.annotate(
        title, (x, y), xytext=(-5, -12) if at_the_end else (6, 6), textcoords="offset points",
        ha="right" if at_the_end else "left", zorder=5,
    )  # fmt: skip
    return mark


def _point(one: Candidate, names: tuple[str, str]) -> Point:
    """The two metrics in percent; only of candidates that have both."""
    return 100 * (one.metrics[names[0]] or 0.0), 100 * (one.metrics[names[1]] or 0.0)


def _label(one: Candidate, objective: str, names: tuple[str, str]) -> str:
    of_groups = ", ".join(f"{name} {shown(name.rpartition('/')[2], one.metrics[name])}" for name in names)
    kept = "" if one.kept else "\nbreaks a constraint"
    return f"{one.spec}\n{objective} {shown(objective.rpartition('/')[2], one.objective)}, {of_groups}{kept}"
