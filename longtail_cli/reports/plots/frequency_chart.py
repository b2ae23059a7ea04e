"""How often each class occurs in training, and its IIF weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.reports.format import GROUP_TITLES
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.formats import Format, as_file
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import CURVES, GREY, GROUPS, INK, NO_GROUP, legend, sheet
from longtail_cli.tables import Floats, FrequencyTable, Longs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

TITLE = "How often each class occurs in training"

Entries = list[tuple["Artist", str]]


def plot_format(path: Path) -> Format:
    """The format that the suffix of `path` names. Raises UsageError if it is neither ``.png`` nor ``.pdf``."""
    if path.suffix == ".png":
        return "png"
    if path.suffix == ".pdf":
        return "pdf"
    problem = Problem("file name", "one that ends in .png or .pdf", path.name)
    raise UsageError(str(path), [problem], "choose the format by the suffix, for example freq.png")


def frequency_plot(table: FrequencyTable, weights: Mapping[str, Floats], file_format: Format) -> bytes:
    """Images and instances of each class from the most to the least frequent, its group, and below its weights.

    weights: curves by name, float64 [C] each, finite; without any there is no lower part. The same arguments give the
    same bytes. Raises MissingExtraError if matplotlib is not installed.
    """
    draw = partial(_draw, table.image_count, table.instance_count, table.group, weights)
    return as_file(Plot("training-frequency", TITLE, "", "", draw), file_format)


def frequency_plots(report: Report) -> list[Plot]:
    """One plot, if the training images of all categories are known."""
    rows = report.runs[0].categories
    images = [row.train_images for row in rows if row.train_images is not None]
    if not rows or len(images) < len(rows):
        return []
    instances = [row.train_instances for row in rows if row.train_instances is not None]
    groups = [row.group or "" for row in rows]
    weights = {name: np.array(curve) for name, curve in report.weights.items()}
    below = " Below: the weights of Inverse Image Frequency." if weights else ""
    return [
        Plot(
            "training-frequency",
            TITLE,
            f"Classes from the most to the least frequent.{below}",
            f"Falling curve of the training images of {len(rows)} classes{', and rising weights' if weights else ''}.",
            partial(
                _draw,
                np.array(images, np.int64),
                np.array(instances, np.int64) if len(instances) == len(rows) else None,
                groups,
                weights,
            ),
        )
    ]


def _draw(images: Longs, instances: Longs | None, groups: Sequence[str], weights: Mapping[str, Floats]) -> Drawing:
    """images, instances [C], groups [C] and weights [C] in the same order, which need not be that of the frequency."""
    order = np.argsort(-images, kind="stable")
    count = 2 if weights else 1
    figure = sheet(height=3.2 + 1.8 * (count - 1))
    above, *below = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    ordered = [groups[index] for index in order.tolist()]
    entries = _draw_counts(above, images[order], None if instances is None else instances[order], ordered)
    for axes in below:
        entries += _draw_weights(axes, {name: curve[order] for name, curve in weights.items()})
    figure.axes[-1].set_xlabel(f"classes by training images (1 to {len(images)})")
    legend(figure, entries)
    return Drawing(figure)


def _draw_counts(axes: Axes, images: Longs, instances: Longs | None, groups: Sequence[str]) -> Entries:
    """Counts in the order given, and the groups as shades behind them. Returns the legend entries."""
    rank = np.arange(1, len(images) + 1)
    group = np.array(groups)
    for name in filter(None, dict.fromkeys(groups)):
        member = rank[group == name]
        if len(member) == member[-1] - member[0] + 1:  # a shade cannot show groups that are mixed
            colour = GROUPS.get(name, NO_GROUP).colour
            axes.axvspan(member[0] - 0.5, member[-1] + 0.5, color=colour, alpha=0.13, linewidth=0)
            title, transform = GROUP_TITLES.get(name, short(name)), axes.get_xaxis_transform()
            axes.text(member.mean(), 0.97, title, transform=transform, ha="center", va="top")
    entries: Entries = []
    if instances is not None:
        entries += [(line, "objects") for line in axes.plot(rank, instances, color=GREY, linewidth=0.8)]
    entries += [(line, "images") for line in axes.plot(rank, images, color=INK, linewidth=1.6)]
    _scale(axes)
    axes.set_ylabel("count")
    return entries[::-1]


def _draw_weights(axes: Axes, weights: Mapping[str, Floats]) -> Entries:
    """Curves in the order given. Returns the legend entries."""
    entries: Entries = []
    for (name, weight), (colour, style) in zip(weights.items(), CURVES, strict=False):
        rank = np.arange(1, len(weight) + 1)
        lines = axes.plot(rank, weight, color=colour, linestyle=style, linewidth=1.4)
        entries += [(line, name) for line in lines]
    axes.set_ylabel("weight")
    return entries


def _scale(axes: Axes) -> None:
    """Logarithmic from 1 on, linear from 0 to 1."""
    from matplotlib.ticker import FuncFormatter

    axes.set_yscale("symlog", linthresh=1)
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.set_ylim(bottom=0)
