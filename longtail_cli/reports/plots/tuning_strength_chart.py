"""How the objective of a tuning depends on the strength of the adjustment, a panel for each space."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.reports.format import PLAIN
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import COLUMN, CURVES, GREY, INK, PAPER, WIDE, horizontal_grid, legend, sheet
from longtail_cli.reports.tuning.curves import Curve, SpaceCurves, curves_of
from longtail_cli.reports.tuning.model import Candidate, Tuning

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

PANELS, COLUMNS = 9, 3
FENCE = 3.0
"""Values further below the lower quartile than this many interquartile ranges are cut off, so that others can be
told apart."""


def strength_plots(tuning: Tuning) -> list[Plot]:
    """One plot of the first `PANELS` spaces by their best candidate, or none if no space varies a setting."""
    spaces = [
        space
        for space in curves_of(tuning)
        if space.setting is not None and any(_defined(curve) for curve in space.curves)
    ]
    if not spaces:
        return []
    omitted = len(spaces) - PANELS
    caption = (
        f"{tuning.objective} of every candidate, in-sample; the band is one standard error of the difference to the "
        "best one. The line is no adjustment, the star the choice. Values far worse than the others are cut off."
        + (f" The {omitted} spaces whose best is worst are left out." if omitted > 0 else "")
    )
    alt = f"{tuning.objective} against strength for {min(len(spaces), PANELS)} spaces."
    draw = partial(_draw, tuning, spaces[:PANELS])
    return [Plot("tuning-strength", "The objective by strength", caption, alt, draw, wide=len(spaces) > 1)]


def _defined(curve: Curve) -> list[Candidate]:
    return [one for one in curve.candidates if one.objective is not None]


def _draw(tuning: Tuning, spaces: Sequence[SpaceCurves]) -> Drawing:
    columns = min(len(spaces), COLUMNS)
    lines = -(-len(spaces) // columns)
    figure = sheet(COLUMN if columns == 1 else WIDE, 0.7 + 2.4 * lines)
    panels = figure.subplots(lines, columns, sharey=True, squeeze=False)
    last = tuning.objective.rpartition("/")[2]
    unit = 1.0 if last in PLAIN else 100.0
    labels: dict[str, Sequence[str]] = {}
    entries: dict[str, Artist] = {}
    for number, (axes, space) in enumerate(zip(panels.flat, spaces, strict=False)):
        entries |= _draw_panel(axes, space, tuning, unit)
        points = [(one, _x(space, one)) for curve in space.curves for one in _defined(curve)]
        marks = axes.scatter(
            [x for _, x in points], [unit * (one.objective or 0.0) for one, _ in points], s=16, color=INK, alpha=0,
        )  # fmt: skip
        marks.set_gid(f"panel-{number}")
        labels[f"panel-{number}"] = [f"{one.spec}\n{tuning.objective} {unit * (one.objective or 0.0):.4g}"
                                     for one, _ in points]  # fmt: skip
        axes.set_title(short(space.space), loc="left")
        axes.set_xlabel(space.setting)
    for axes in list(panels.flat)[len(spaces) :]:
        axes.set_visible(False)
    for axes in panels[:, 0]:
        axes.set_ylabel(last if last in PLAIN else f"{last} (%)")
    panels[0, 0].set_ylim(*_limits(tuning, spaces, unit))
    legend(figure, [(mark, title) for title, mark in entries.items()])
    return Drawing(figure, labels)


def _draw_panel(axes: Axes, space: SpaceCurves, tuning: Tuning, unit: float) -> dict[str, Artist]:
    """Curves with their bands, no adjustment, and the choice if it is here. Returns the legend entries by title."""
    entries: dict[str, Artist] = {}
    none = tuning.candidates[0].objective
    if none is not None:
        entries["no adjustment"] = axes.axhline(unit * none, color=GREY, linewidth=1.0)
    for curve, (colour, style) in zip(space.curves, _styles(len(space.curves)), strict=True):
        own = _defined(curve)
        x, y = [_x(space, one) for one in own], np.array([unit * (one.objective or 0.0) for one in own])
        error = np.array([unit * (one.error or 0.0) for one in own])
        label = short(curve.label)
        if space.numeric:
            axes.plot(x, y, color=colour, linestyle=style, linewidth=1.3, marker="o", markersize=2.5, label=label)
            axes.fill_between(x, y - error, y + error, color=colour, alpha=0.15, linewidth=0)
        else:
            axes.errorbar(x, y, error, color=colour, linestyle="none", linewidth=1.0, marker="o", markersize=3,
                          label=label)  # fmt: skip
    if 1 < len(space.curves) <= len(CURVES):
        axes.legend(fontsize=6.5, loc="best")
    if not space.numeric:
        horizontal_grid(axes)
        words = _words(space)
        axes.set_xticks(range(len(words)), [short(word) for word in words], rotation=30, ha="right")
    chosen = [one for curve in space.curves for one in _defined(curve) if one.spec == tuning.chosen.candidate]
    if not chosen:
        return entries
    star = axes.scatter(
        [_x(space, chosen[0])], [unit * (chosen[0].objective or 0.0)], s=110, marker="*", color=INK,
        edgecolors=PAPER, linewidths=0.6, zorder=4,
    )  # fmt: skip
    return {**entries, f"chosen: {short(chosen[0].spec)}": star}


def _styles(number: int) -> list[tuple[str, object]]:
    return [CURVES[index % len(CURVES)] for index in range(number)]


def _words(space: SpaceCurves) -> list[str]:
    """The values of a setting that is a word, in the order tried."""
    found = [str(one.settings[space.setting or ""]) for curve in space.curves for one in curve.candidates]
    return list(dict.fromkeys(found))


def _x(space: SpaceCurves, one: Candidate) -> float:
    """The value of the setting, or its number among the words."""
    value = one.settings[space.setting or ""]
    return float(value) if space.numeric else float(_words(space).index(str(value)))


def _limits(tuning: Tuning, spaces: Sequence[SpaceCurves], unit: float) -> tuple[float, float]:
    """The range of the objective, without values far worse than the others and no adjustment."""
    from longtail_cli.reports.metric_names import lower_is_better

    sign = -1.0 if lower_is_better(tuning.objective) else 1.0
    found = [one.objective for space in spaces for curve in space.curves for one in _defined(curve)]
    values = sign * unit * np.array([value for value in found if value is not None])
    none = tuning.candidates[0].objective
    low, middle = np.quantile(values, (0.25, 0.75))
    bottom = max(values.min(), low - FENCE * (middle - low))
    if none is not None:
        values, bottom = np.append(values, sign * unit * none), min(bottom, sign * unit * none)
    margin = 0.08 * (values.max() - bottom) or 0.08
    ends = sign * (bottom - margin), sign * (values.max() + margin)
    return float(min(ends)), float(max(ends))
