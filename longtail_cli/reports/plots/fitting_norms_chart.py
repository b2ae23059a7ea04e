"""The lengths of the weight vectors of a classifier, class by class, before and after a fit.

As in Figure 5 of Alexandridis et al., "Inverse Image Frequency for Long-tailed Image Recognition", IEEE TIP 2023.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.reports.fitting.model import ClassNorms, FitRecord
from longtail_cli.reports.plots.plot import Drawing, Plot
from longtail_cli.reports.plots.style import GREY, LOOKS, legend, sheet
from longtail_cli.tables import Floats

if TYPE_CHECKING:
    from matplotlib.artist import Artist

SMOOTHED = 40
"""From so many classes on there is a line through the points, which is the mean of about a twentieth of the classes."""


def norms_plots(record: FitRecord) -> list[Plot]:
    """One plot, or none if no head was fitted or the training images are unknown."""
    norms = record.norms
    if not (norms.after and norms.image_count):
        return []
    line = " The line is the mean over neighbouring classes." if len(norms.after) >= SMOOTHED else ""
    caption = (
        "The length |w| of the weight vector of each class, from the class with the most training images to the one "
        f"with the fewest.{line}"
    )
    compared = "before and after the fit" if norms.before else "after the fit"
    alt = f"Weight norms of {len(norms.after)} classes by training images, {compared}."
    return [Plot("fit-weight-norms", "Weight norms by class", caption, alt, partial(_draw, norms))]


def _draw(norms: ClassNorms) -> Drawing:
    order = np.argsort(-np.array(norms.image_count), kind="stable")
    rank = np.arange(1, len(order) + 1)
    figure = sheet()
    axes = figure.subplots()
    entries: list[tuple[Artist, str]] = []
    for name, lengths, colour, marker in (
        ("before", norms.before, GREY, "s"),
        ("after", norms.after, LOOKS[0].colour, "o"),
    ):
        if not lengths:
            continue
        values = np.array(lengths)[order]
        smooth = len(values) >= SMOOTHED
        marks = axes.scatter(rank, values, s=5 if smooth else 14, marker=marker, color=colour, linewidths=0,
                             alpha=0.35 if smooth else 1.0)  # fmt: skip
        (line,) = axes.plot(rank, _running_mean(values) if smooth else values, color=colour, linewidth=1.4)
        entries.append((line if smooth else marks, name))
    axes.set(xlabel=f"classes by training images (1 to {len(order)})", ylabel="weight norm")
    axes.set_ylim(bottom=0)
    legend(figure, entries)
    return Drawing(figure)


def _running_mean(values: Floats) -> Floats:
    """The mean over a window around each value, which ends at the first and the last."""
    half = len(values) // SMOOTHED
    total = np.concatenate([[0.0], np.cumsum(values)])
    index = np.arange(len(values))
    low, high = np.maximum(index - half, 0), np.minimum(index + half + 1, len(values))
    return np.asarray((total[high] - total[low]) / (high - low))
