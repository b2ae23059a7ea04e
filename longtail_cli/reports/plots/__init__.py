"""The pictures of a report, drawn once for pages and papers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.bar_charts import group_plots, tide_plots
from longtail_cli.reports.plots.category_charts import change_plots, frequency_scatter_plots
from longtail_cli.reports.plots.formats import as_pdf, as_png, as_svg
from longtail_cli.reports.plots.frequency_chart import frequency_plots
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.reliability_chart import reliability_plots
from longtail_cli.tables import Floats

__all__ = ["Plot", "as_pdf", "as_png", "as_svg", "plots_of", "rendered"]


def plots_of(report: Report, weights: Mapping[str, Floats]) -> list[Plot]:
    """The pictures that the report has figures for, in reading order; nothing is drawn yet.

    weights: curves float64 [C] by name, in order of the categories of the report's first run; may be empty.
    """
    found: list[Plot] = []
    for kind in report.signature.iou_types or ("classification",):
        found += group_plots(report, kind)
        found += frequency_scatter_plots(report, kind)
        found += change_plots(report, kind)
        found += reliability_plots(report, kind)
        found += tide_plots(report, kind) if kind != "classification" else []
    return found + frequency_plots(report, weights)


def rendered(report: Report, weights: Mapping[str, Floats], file_format: Literal["png", "pdf"]) -> dict[str, bytes]:
    """The pictures by name without suffix. Raises MissingExtraError where matplotlib is not installed."""
    draw = {"png": as_png, "pdf": as_pdf}[file_format]
    return {picture.name: draw(picture) for picture in plots_of(report, weights)}
