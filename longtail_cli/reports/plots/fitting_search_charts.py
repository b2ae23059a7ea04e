"""How a fit went: the loss as it was minimised, and the settings that were tried."""

from __future__ import annotations

from functools import partial

from longtail_cli.reports.fitting.model import FitRecord, Tried
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import INK, LOOKS, PAPER, sheet

SETTINGS = ("l2", "tau")
"""Those that are chosen among several values."""

TITLES = {"l2": "strength of the penalty (l2)", "tau": "tau"}
SCORES = {"l2": "negative log-likelihood (nats)", "tau": "balanced accuracy (%)"}
UNITS = {"l2": 1.0, "tau": 100.0}


def curve_plots(record: FitRecord) -> list[Plot]:
    """One plot, or none for what has a closed form."""
    if len(record.curve) < 2:
        return []
    ended = "" if record.converged else " The search ended before it converged."
    caption = f"The loss that is minimised, with its penalty, from the start on.{ended}"
    alt = f"Loss from {record.curve[0]:.4g} to {record.curve[-1]:.4g} in {len(record.curve) - 1} steps."
    return [Plot("fit-curve", "The loss during the fit", caption, alt, partial(_draw_curve, record.curve))]


def tried_plots(record: FitRecord) -> list[Plot]:
    """One plot, or none if fewer than two values were tried."""
    name = next((name for name in SETTINGS if name in record.settings), None)
    if name is None or len(record.tried) < 2:
        return []
    rows = "of all rows" if name == "tau" else "of the held-out rows, a mean over the classes"
    caption = f"The {SCORES[name].rpartition(' (')[0]} {rows}, for each value that was tried. The star is the choice."
    alt = f"{len(record.tried)} values of {name}; {record.settings[name]:g} was chosen."
    draw = partial(_draw_tried, record.tried, name, record.settings[name])
    return [Plot("fit-tried", f"The choice of {name}", caption, alt, draw)]


def _draw_curve(curve: tuple[float, ...]) -> Drawing:
    from matplotlib.ticker import MaxNLocator

    figure = sheet()
    axes = figure.subplots()
    axes.plot(range(len(curve)), curve, color=LOOKS[0].colour, linewidth=1.4, marker="o", markersize=2.5)
    axes.set(xlabel="step", ylabel="loss")
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    return Drawing(figure)


def _draw_tried(tried: tuple[Tried, ...], name: str, chosen: float) -> Drawing:
    from matplotlib.ticker import FuncFormatter, NullFormatter

    figure = sheet()
    axes = figure.subplots()
    ordered = sorted(tried, key=lambda one: one.value)
    x, y = [one.value for one in ordered], [UNITS[name] * one.score for one in ordered]
    axes.plot(x, y, color=LOOKS[0].colour, linewidth=1.3, marker="o", markersize=4)
    for value, score in zip(x, y, strict=True):
        if value == chosen:
            axes.scatter([value], [score], s=110, marker="*", color=INK, edgecolors=PAPER, linewidths=0.6, zorder=4)
    if name == "l2" and x[0] > 0:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
    axes.set(xlabel=TITLES[name], ylabel=SCORES[name])
    axes.set_title(short(f"chosen: {name}={chosen:g}"), loc="left")
    return Drawing(figure)
