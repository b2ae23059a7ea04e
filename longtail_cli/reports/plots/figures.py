"""All plots of a report, for pages and files, and single ones as matplotlib figures, for notebooks and papers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from longtail_cli.errors import Problem, UsageError, check_choice
from longtail_cli.reports.model import Report
from longtail_cli.reports.plots.bar_charts import group_plots, tide_plots
from longtail_cli.reports.plots.changes_chart import change_plots
from longtail_cli.reports.plots.confusion_chart import confusion_plots
from longtail_cli.reports.plots.formats import Format, as_file
from longtail_cli.reports.plots.frequency_chart import frequency_plots
from longtail_cli.reports.plots.pareto_chart import LEAST_RUNS, pareto_plots
from longtail_cli.reports.plots.plot import Plot
from longtail_cli.reports.plots.reliability_chart import reliability_plots
from longtail_cli.reports.plots.scatter_chart import frequency_scatter_plots
from longtail_cli.reports.plots.style import entitle, styled
from longtail_cli.reports.text_tables import CATEGORY_METRIC

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCREEN_DPI = 100
"""Of figures shown in a notebook; `savefig(dpi=300)` suits a paper."""

PER_CATEGORY = "evaluate with `per_category=True`"


def plots_of(report: Report) -> list[Plot]:
    """The plots that the report has data for, in reading order; nothing is drawn yet."""
    found: list[Plot] = []
    for kind in report.kinds:
        found += group_plots(report, kind)
        found += pareto_plots(report, kind)
        found += frequency_scatter_plots(report, kind)
        found += change_plots(report, kind)
        found += reliability_plots(report, kind)
        found += tide_plots(report, kind)
    return found + confusion_plots(report) + frequency_plots(report)


def rendered(report: Report, file_format: Format) -> dict[str, bytes]:
    """The plots by file name without suffix. Raises MissingExtraError if matplotlib is not installed."""
    return {plot.name: as_file(plot, file_format) for plot in plots_of(report)}


def groups_figure(report: Report, kind: str | None) -> Figure:
    """See `Report.plot_groups`; so for the others."""
    kind = _kind(report, kind)
    metric = "recall" if kind == "classification" else "AP"
    expected = f"a defined {metric} of {kind} in a frequency group, or of several runs"
    return _drawn(group_plots(report, kind), expected, "evaluate with `frequencies=`, on data that holds objects")


def pareto_figure(report: Report, kind: str | None) -> Figure:
    kind = _kind(report, kind)
    expected = f"{LEAST_RUNS} runs with a defined metric of {kind} in two frequency groups"
    return _drawn(pareto_plots(report, kind), expected, "compare more runs, with `frequencies=`")


def confusion_figure(report: Report) -> Figure:
    return _drawn(confusion_plots(report), "the confusion between groups", "evaluate a classifier with `frequencies=`")


def frequency_figure(report: Report, run: str | None, kind: str | None) -> Figure:
    kind = _kind(report, kind)
    plots = frequency_scatter_plots(report, kind, _run(report, run))
    return _drawn(plots, f"{CATEGORY_METRIC[kind]} of {kind} by category", PER_CATEGORY)


def changes_figure(report: Report, run: str | None, kind: str | None) -> Figure:
    kind, run = _kind(report, kind), _run(report, run)
    if run == report.reference.name and report.reference in report.runs:
        fix = "compare with another run, or with a `baseline=`"
        raise UsageError("report", [Problem("run", "one to compare with the reference", f"the reference, {run}")], fix)
    expected = f"a category whose {CATEGORY_METRIC[kind]} of {kind} changed"
    return _drawn(change_plots(report, kind, run), expected, PER_CATEGORY)


def reliability_figure(report: Report, kind: str | None) -> Figure:
    kind = _kind(report, kind)
    return _drawn(
        reliability_plots(report, kind), f"reliability of {kind}", "evaluate detections with `reliability=True`"
    )


def tide_figure(report: Report, kind: str | None) -> Figure:
    kind = _kind(report, kind)
    return _drawn(tide_plots(report, kind), f"a TIDE breakdown of {kind}", "evaluate detections with `tide='aligned'`")


def training_frequency_figure(report: Report) -> Figure:
    fix = f"{PER_CATEGORY} and `frequencies=`"
    return _drawn(frequency_plots(report), "training images of every category", fix)


def _kind(report: Report, kind: str | None) -> str:
    if kind is None:
        return report.kinds[0]
    check_choice("kind", kind, report.kinds)
    return kind


def _run(report: Report, run: str | None) -> str:
    names = [one.name for one in report.runs]
    if run is None:
        return names[-1]
    check_choice("run", run, names)
    return run


def _drawn(plots: Sequence[Plot], expected: str, fix: str) -> Figure:
    """The figure of the only plot, under its title. Raises UsageError, with what the report lacks, if there is none."""
    if not plots:
        raise UsageError("report", [Problem("content", expected, "none")], fix)
    with styled():
        figure = plots[0].draw().figure
        entitle(figure, plots[0].title)
    figure.set_dpi(SCREEN_DPI)
    return figure
