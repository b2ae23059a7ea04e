"""All plots of a tuning, for the page and for files."""

from __future__ import annotations

from longtail_cli.reports.plots.formats import Format, as_file
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.tuning_strength_chart import strength_plots
from longtail_cli.reports.plots.tuning_tradeoff_chart import tradeoff_plots
from longtail_cli.reports.tuning.model import Tuning


def plots_of(tuning: Tuning) -> list[Plot]:
    """The plots that the tuning has data for, in reading order; nothing is drawn yet."""
    return [*tradeoff_plots(tuning), *strength_plots(tuning)]


def rendered(tuning: Tuning, file_format: Format) -> dict[str, bytes]:
    """The plots by file name without suffix. Raises MissingExtraError if matplotlib is not installed."""
    return {plot.name: as_file(plot, file_format) for plot in plots_of(tuning)}
