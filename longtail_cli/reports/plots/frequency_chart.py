"""How often each class occurs, and the weights that follow from it."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from longtail_cli.errors import MissingExtraError, Problem, UsageError
from longtail_cli.metrics import CategoryMetrics
from longtail_cli.reports.format import GROUP_TITLES
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.plot import Drawing, Plot, short
from longtail_cli.reports.plots.style import CURVES, GREY, GROUPS, INK, NO_GROUP, legend, sheet
from longtail_cli.tables import Floats, FrequencyTable, Longs

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


Entries = list[tuple["Artist", str]]


def frequency_plots(report: Report, weights: Mapping[str, Floats]) -> list[Plot]:
    """One picture, where it is known of all categories how often they occur in training.

    weights: curves by name, float64 [C] each, finite, in order of the report's categories; may be empty.
    """
    rows = report.runs[0].categories
    if not rows or any(row.train_images is None for row in rows):
        return []
    below = " Below, the weights of the inverse image frequency that follow." if weights else ""
    return [
        Plot(
            "training-frequency",
            "How often each class occurs in training",
            f"Classes from the most to the least frequent.{below}",
            f"Falling curve of the training images of {len(rows)} classes{', and rising weights' if weights else ''}.",
            partial(_draw, rows, weights),
        )
    ]


def _draw(rows: Sequence[CategoryMetrics], weights: Mapping[str, Floats]) -> Drawing:
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


Format = Literal["png", "pdf"]

GROUP_COLOURS = ("#0072B2", "#E69F00", "#D55E00")
CURVES_OLD = (
    ("#0072B2", "-"),
    ("#E69F00", "--"),
    ("#009E73", "-."),
    ("#D55E00", ":"),
    ("#56B4E9", (0, (5, 1))),
    ("#CC79A7", (0, (3, 1, 1, 1))),
    ("#000000", (0, (1, 1))),
)


def plot_format(path: Path) -> Format:
    """The format that the suffix of `path` names. Raises UsageError where it is neither ``.png`` nor ``.pdf``."""
    if path.suffix == ".png":
        return "png"
    if path.suffix == ".pdf":
        return "pdf"
    problem = Problem("name of the drawing", "one that ends in .png or .pdf", path.name)
    raise UsageError(str(path), [problem], "choose the format by the suffix, for example --plot freq.png")


def frequency_plot(table: FrequencyTable, weights: Mapping[str, Floats], file_format: Format) -> bytes:
    """Classes from the most to the least frequent: images and objects of each, its group, and below its weights.

    weights: curves by name, float64 [C] each, finite; the lower part is left out where there are none.
    The same table gives the same bytes. Raises MissingExtraError where matplotlib is not installed.
    """
    figure = _figure_old(rows=2 if weights else 1)
    order = np.argsort(-table.image_count, kind="stable")
    above, *below = figure.subplots(2 if weights else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_counts_old(above, table, order)
    for axes in below:
        _draw_weights_old(axes, weights, order)
    figure.axes[-1].set_xlabel(f"classes by image count (1 to {len(table)})")
    content = io.BytesIO()
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}}[file_format]
    figure.savefig(content, format=file_format, metadata=undated)
    return content.getvalue()


def _figure_old(rows: int) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        problem = Problem("matplotlib", "an installed package", "none")
        raise MissingExtraError("--plot", [problem], "pip install 'ltcal[plots]'") from error
    return Figure(figsize=(8, 3.5 * rows), dpi=120, layout="constrained")


def _draw_counts_old(axes: Axes, table: FrequencyTable, order: np.ndarray) -> None:
    rank = np.arange(1, len(order) + 1)
    group = np.array(table.group)[order]
    for name, colour in zip(dict.fromkeys(group.tolist()), GROUP_COLOURS, strict=False):
        member = rank[group == name]
        label = f"{name}: {len(member)} classes"
        axes.text(member.mean(), 0.97, name, transform=axes.get_xaxis_transform(), ha="center", va="top")
        axes.axvspan(member[0] - 0.5, member[-1] + 0.5, color=colour, alpha=0.15, linewidth=0, label=label)
    axes.plot(rank, table.instance_count[order], color="#999999", linewidth=0.8, label="objects")
    axes.plot(rank, table.image_count[order], color="#000000", linewidth=1.8, label="images")
    axes.set_yscale("symlog", linthresh=1)  # logarithmic from 1 on, and still shows 0
    axes.set_ylim(bottom=0)
    axes.set_ylabel("count")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))


def _draw_weights_old(axes: Axes, weights: Mapping[str, Floats], order: np.ndarray) -> None:
    rank = np.arange(1, len(order) + 1)
    for (name, weight), (colour, style) in zip(weights.items(), CURVES_OLD, strict=False):
        axes.plot(rank, weight[order], color=colour, linestyle=style, linewidth=1.5, label=name)
    axes.set_ylabel("weight")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
