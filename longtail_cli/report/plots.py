"""Drawings, as bytes of a PNG or PDF file. Colours are those of Okabe and Ito, told apart without colour vision too."""

from __future__ import annotations

import io
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np

from longtail_cli.errors import MissingExtraError, Problem, UsageError
from longtail_cli.tables import Floats, FrequencyTable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Format = Literal["png", "pdf"]

GROUP_COLOURS = ("#0072B2", "#E69F00", "#D55E00")
CURVES = (
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
    figure = _figure(rows=2 if weights else 1)
    order = np.argsort(-table.image_count, kind="stable")
    above, *below = figure.subplots(2 if weights else 1, 1, sharex=True, squeeze=False)[:, 0]
    _draw_counts(above, table, order)
    for axes in below:
        _draw_weights(axes, weights, order)
    figure.axes[-1].set_xlabel(f"classes by image count (1 to {len(table)})")
    content = io.BytesIO()
    undated = {"png": {"Software": None}, "pdf": {"CreationDate": None}}[file_format]
    figure.savefig(content, format=file_format, metadata=undated)
    return content.getvalue()


def _figure(rows: int) -> Figure:
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        problem = Problem("matplotlib", "an installed package", "none")
        raise MissingExtraError("--plot", [problem], "pip install 'ltcal[plots]'") from error
    return Figure(figsize=(8, 3.5 * rows), dpi=120, layout="constrained")


def _draw_counts(axes: Axes, table: FrequencyTable, order: np.ndarray) -> None:
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


def _draw_weights(axes: Axes, weights: Mapping[str, Floats], order: np.ndarray) -> None:
    rank = np.arange(1, len(order) + 1)
    for (name, weight), (colour, style) in zip(weights.items(), CURVES, strict=False):
        axes.plot(rank, weight[order], color=colour, linestyle=style, linewidth=1.5, label=name)
    axes.set_ylabel("weight")
    axes.legend(loc="upper left", bbox_to_anchor=(1.01, 1))
