"""All plots of a fit, for files."""

from __future__ import annotations

from longtail_cli.reports.fitting.model import FitRecord
from longtail_cli.reports.plots.fitting_norms_chart import norms_plots
from longtail_cli.reports.plots.fitting_search_charts import curve_plots, tried_plots
from longtail_cli.reports.plots.formats import Format, as_file
from longtail_cli.reports.plots.plot import Plot


def plots_of(record: FitRecord) -> list[Plot]:
    """The plots that the fit has data for, in reading order; nothing is drawn yet."""
    return [*norms_plots(record), *tried_plots(record), *curve_plots(record)]


def rendered(record: FitRecord, file_format: Format) -> dict[str, bytes]:
    """The plots by file name without suffix. Raises MissingExtraError if matplotlib is not installed."""
    return {plot.name: as_file(plot, file_format) for plot in plots_of(record)}
