"""How often each class occurs, and the weights that follow from it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.report.cells import GROUP_TITLES
from longtail_cli.report.model import CategoryRow, Report
from longtail_cli.report.pictures.picture import Drawing, Picture, short
from longtail_cli.report.pictures.style import CURVES, GREY, GROUPS, INK, NO_GROUP, legend, sheet
from longtail_cli.tables import Floats, Longs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

Entries = list[tuple["Artist", str]]


def pictures(report: Report, weights: Mapping[str, Floats]) -> list[Picture]:
    """One picture, where it is known of all categories how often they occur in training.

    weights: curves by name, float64 [C] each, finite, in order of the report's categories; may be empty.
    """
    rows = report.runs[0].categories
    if not rows or any(row.train_images is None for row in rows):
        return []
    below = " Below, the weights of the inverse image frequency that follow." if weights else ""
    return [
        Picture(
            "training-frequency",
            "How often each class occurs in training",
            f"Classes from the most to the least frequent.{below}",
            f"Falling curve of the training images of {len(rows)} classes{', and rising weights' if weights else ''}.",
            partial(_draw, rows, weights),
        )
    ]


def _draw(rows: Sequence[CategoryRow], weights: Mapping[str, Floats]) -> Drawing:
    images = np.array([row.train_images or 0 for row in rows], np.int64)
    known = all(row.train_instances is not None for row in rows)
    instances = np.array([row.train_instances or 0 for row in rows], np.int64) if known else None
    order = np.argsort(-images, kind="stable")
    count = 2 if weights else 1
    figure = sheet(height=3.2 + 1.8 * (count - 1))
    above, *below = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    groups = [rows[index].group or "" for index in order.tolist()]
    entries = draw_counts(above, images[order], None if instances is None else instances[order], groups)
    for axes in below:
        entries += draw_weights(axes, {name: curve[order] for name, curve in weights.items()})
    figure.axes[-1].set_xlabel(f"classes by training images (1 to {len(rows)})")
    legend(figure, entries)
    return Drawing(figure)


def draw_counts(axes: Axes, images: Longs, instances: Longs | None, groups: Sequence[str]) -> Entries:
    """Counts in the order given, and the groups as shades behind them. Returns the curves for a legend."""
    rank = np.arange(1, len(images) + 1)
    group = np.array(groups)
    for name in filter(None, dict.fromkeys(groups)):
        member = rank[group == name]
        if len(member) == member[-1] - member[0] + 1:  # a shade cannot show groups that are mixed
            colour = GROUPS.get(name, NO_GROUP).colour
            axes.axvspan(member[0] - 0.5, member[-1] + 0.5, color=colour, alpha=0.13, linewidth=0)
            where = axes.get_xaxis_transform()
            axes.text(member.mean(), 0.97, GROUP_TITLES.get(name, short(name)), transform=where, ha="center", va="top")
    entries: Entries = []
    if instances is not None:
        entries += [(line, "objects") for line in axes.plot(rank, instances, color=GREY, linewidth=0.8)]
    entries += [(line, "images") for line in axes.plot(rank, images, color=INK, linewidth=1.6)]
    _scale(axes)
    axes.set_ylabel("count")
    return entries[::-1]


def draw_weights(axes: Axes, weights: Mapping[str, Floats]) -> Entries:
    """Curves in the order given. Returns them for a legend."""
    entries: Entries = []
    for (name, weight), (colour, style) in zip(weights.items(), CURVES, strict=False):
        rank = np.arange(1, len(weight) + 1)
        lines = axes.plot(rank, weight, color=colour, linestyle=style, linewidth=1.4)
        entries += [(line, name) for line in lines]
    axes.set_ylabel("weight")
    return entries


def _scale(axes: Axes) -> None:
    """Logarithmic from 1 on, and still shows 0."""
    from matplotlib.ticker import FuncFormatter

    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
