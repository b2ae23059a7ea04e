"""Which frequency group the scores of a classifier go to, for the rows of each group: a heat map for each run."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from longtail_cli.metrics import Value, Values
from longtail_cli.reports.format import UNDEFINED
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import Drawing, Plot, lone, short, title_of
from longtail_cli.reports.plots.style import COLUMN, INK, PAPER, WIDE, letters, sheet
from longtail_cli.reports.text_tables import sides_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLUMNS = 4
"""Panels beside one another."""

DARKEST = 0.85
"""Opacity of a cell that holds all of the scores."""

LIGHT_TEXT = 0.55
"""From this share on the number in a cell is light."""

Confusion = Mapping[str, Values]


def confusion_plots(report: Report) -> list[Plot]:
    """One plot with a panel for each run, or none without groups."""
    found = [(side, run.classification.confusion) for side, run in sides_of(report) if run.classification is not None]
    panels = [(side, confusion) for side, confusion in found if confusion]
    if not panels:
        return []
    return [
        Plot(
            "confusion-by-group",
            title_of(
                report, "classification", "Confusion between frequency groups", lone([side for side, _ in panels])
            ),
            "In each row, how the scores of the images of a group are shared among the groups of the classes, in "
            "percent. On the diagonal they stay in their own group.",
            f"Heat maps of the scores by true group and receiving group for {len(panels)} runs.",
            partial(_draw, panels),
            wide=len(panels) > 2,
        )
    ]


def _draw(panels: Sequence[tuple[str, Confusion]]) -> Drawing:
    columns = min(len(panels), COLUMNS)
    rows = -(-len(panels) // columns)
    figure = sheet(WIDE if len(panels) > 2 else COLUMN, 0.3 + 2.3 * rows)
    grid = figure.subplots(rows, columns, squeeze=False)
    for axes, (side, confusion) in zip(grid.flat, panels, strict=False):
        axes.set_title(short(side, letters(figure) // columns - 8), loc="left")
        _draw_cells(axes, confusion)
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    for axes in grid[:, 0]:
        axes.set_ylabel("true group")
    return Drawing(figure)


def _draw_cells(axes: Axes, confusion: Confusion) -> None:
    """True groups downwards, receiving groups to the right; the darker a cell, the larger its share."""
    from matplotlib.patches import Rectangle

    received = list(next(iter(confusion.values())))
    for row, shares in enumerate(confusion.values()):
        for column, group in enumerate(received):
            share = shares.get(group)
            shade = min(max(share or 0.0, 0.0), 1.0)
            axes.add_patch(Rectangle((column, row), 1, 1, facecolor=INK, alpha=DARKEST * shade, linewidth=0))
            axes.text(column + 0.5, row + 0.5, _percent(share), ha="center", va="center",
                      color=PAPER if shade >= LIGHT_TEXT else INK)  # fmt: skip
    axes.set(xlim=(0, len(received)), ylim=(len(confusion), 0), aspect="equal", xlabel="score goes to")
    axes.set_xticks([column + 0.5 for column in range(len(received))], received)
    axes.set_yticks([row + 0.5 for row in range(len(confusion))], list(confusion))
    axes.grid(visible=False)


def _percent(share: Value) -> str:
    return UNDEFINED if share is None else f"{100 * share:.1f}"
