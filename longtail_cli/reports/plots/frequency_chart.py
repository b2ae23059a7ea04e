"""How often each class occurs in training, and its IIF weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.reports.format import GROUP_TITLES
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.formats import Format, as_file
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import CURVES, GREY, INK, legend, looks_of, plain_counts, sheet
from longtail_cli.reports.text_tables import sides_of
from longtail_cli.tables import Floats, FrequencyTable, Longs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes

TITLE = "How often each class occurs in training"

Entries = list[tuple["Artist", str]]

LETTER = 0.024
"""Width of a letter as a share of the axes."""

SHADES = (0.0, 0.13)
"""Opacities of the grey behind the groups, in turn, so that neighbours can be told apart."""


@dataclass(frozen=True, slots=True)
class Curve:
    """The weights of the classes in one method."""

    name: str
    colour: str
    line: Any
    weights: Floats
    """float64 [C], finite."""


def plot_format(path: Path) -> Format:
    """The format that the suffix of `path` names. Raises UsageError if it is neither ``.png`` nor ``.pdf``."""
    if path.suffix == ".png":
        return "png"
    if path.suffix == ".pdf":
        return "pdf"
    problem = Problem("file name", "one that ends in .png or .pdf", path.name)
    raise UsageError(str(path), [problem], "choose the format by the suffix, for example freq.png")


def frequency_plot(table: FrequencyTable, weights: Mapping[str, Floats], file_format: Format) -> bytes:
    """The plot of `table_plot` as a file: the same arguments give the same bytes.

    Raises MissingExtraError if matplotlib is not installed.
    """
    return as_file(table_plot(table, weights), file_format)


def table_plot(table: FrequencyTable, weights: Mapping[str, Floats]) -> Plot:
    """Images and instances of each class from the most to the least frequent, its group, and below its weights.

    weights: by name such as ``iif_raw``, float64 [C] each, finite; without any there is no lower part.
    """
    curves = [
        Curve(name.replace("iif_", "IIF "), colour, line, weight)
        for (name, weight), (colour, line) in zip(weights.items(), CURVES, strict=False)
    ]
    draw = partial(_draw, table.image_count, table.instance_count, table.group, curves)
    return Plot("training-frequency", TITLE, "", "", draw)


def frequency_plots(report: Report) -> list[Plot]:
    """One plot, if the training images of all categories are known."""
    rows = report.runs[0].categories
    images = [row.train_images for row in rows if row.train_images is not None]
    if not rows or len(images) < len(rows):
        return []
    instances = [row.train_instances for row in rows if row.train_instances is not None]
    groups = [row.group or "" for row in rows]
    curves = _curves(report)
    below = f" Below: the weight that {_named(curves)} gives the logit of each class." if curves else ""
    return [
        Plot(
            "training-frequency",
            TITLE,
            f"Classes from the most to the least frequent.{below}",
            f"Falling curve of the training images of {len(rows)} classes{', and weights' if curves else ''}.",
            partial(
                _draw,
                np.array(images, np.int64),
                np.array(instances, np.int64) if len(instances) == len(rows) else None,
                groups,
                curves,
            ),
        )
    ]


def _curves(report: Report) -> list[Curve]:
    """The weights of the runs that use some, in the colours of the runs; the same weights once, of the first run."""
    looks, found = looks_of(report), dict[tuple[float, ...], Curve]()
    for side, run in sides_of(report):
        weights = report.weights.get(run.name)
        if weights is not None and run in report.runs:
            found.setdefault(weights, Curve(side, looks[side].colour, looks[side].line, np.array(weights)))
    return list(found.values())


def _named(curves: Sequence[Curve]) -> str:
    return "the method of each run" if len(curves) > 1 else short(curves[0].name)


def _draw(images: Longs, instances: Longs | None, groups: Sequence[str], curves: Sequence[Curve]) -> Drawing:
    """images, instances, groups and weights [C] in the same order, which need not be that of the frequency."""
    order = np.argsort(-images, kind="stable")
    count = 2 if curves else 1
    figure = sheet(height=3.2 + 1.8 * (count - 1))
    above, *below = figure.subplots(count, 1, sharex=True, squeeze=False)[:, 0]
    ordered = [groups[index] for index in order.tolist()]
    entries = _draw_counts(above, images[order], None if instances is None else instances[order], ordered)
    for axes in below:
        entries += _draw_weights(axes, curves, order)
    figure.axes[-1].set_xlabel(f"classes by training images (1 to {len(images)})")
    legend(figure, entries)
    return Drawing(figure)


def _draw_counts(axes: Axes, images: Longs, instances: Longs | None, groups: Sequence[str]) -> Entries:
    """Counts in the order given, and the groups as shades behind them. Returns the legend entries.

    Of a classifier, whose images hold one object each, only the images are drawn.
    """
    rank = np.arange(1, len(images) + 1)
    _draw_groups(axes, groups)
    entries: Entries = []
    if instances is not None and not np.array_equal(instances, images):
        entries += [(line, "objects") for line in axes.plot(rank, instances, color=GREY, linewidth=0.8)]
    entries += [(line, "images") for line in axes.plot(rank, images, color=INK, linewidth=1.6)]
    _scale(axes, images)
    axes.set_ylabel("count")
    return entries[::-1]


def _draw_groups(axes: Axes, groups: Sequence[str]) -> None:
    """A shade for each group, with its name above: in the middle, or after the name before if there is no room."""
    rank, group = np.arange(1, len(groups) + 1), np.array(groups)
    taken = -np.inf
    for number, name in enumerate(filter(None, dict.fromkeys(groups))):
        member = rank[group == name]
        if len(member) == member[-1] - member[0] + 1:  # a shade cannot show groups that are mixed
            shade = SHADES[number % len(SHADES)]
            axes.axvspan(member[0] - 0.5, member[-1] + 0.5, color=GREY, alpha=shade, linewidth=0)
            title, transform = GROUP_TITLES.get(name, short(name)), axes.get_xaxis_transform()
            width = LETTER * len(title) * len(groups)
            middle = max(float(member.mean()), taken + width / 2)
            axes.text(middle, 1.0, title, transform=transform, ha="center", va="bottom")
            taken = middle + width / 2 + LETTER * len(groups)


def _draw_weights(axes: Axes, curves: Sequence[Curve], order: Longs) -> Entries:
    """Curves over the classes in the order given. Returns the legend entries."""
    entries: Entries = []
    rank = np.arange(1, len(order) + 1)
    for curve in curves:
        lines = axes.plot(rank, curve.weights[order], color=curve.colour, linestyle=curve.line, linewidth=1.4)
        entries += [(line, curve.name) for line in lines]
    axes.set_ylabel("weight")
    return entries


def _scale(axes: Axes, images: Longs) -> None:
    """Logarithmic; with classes that never occur linear from 0 to 1. Ranks are whole numbers."""
    from matplotlib.ticker import MaxNLocator

    low, high = int(images.min()), int(images.max())
    axes.set_yscale("log") if low else axes.set_yscale("symlog", linthresh=1)
    plain_counts(axes.yaxis, low, high)
    axes.set_ylim(bottom=0.8 * low)
    axes.set_xlim(0.5, len(images) + 0.5)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
