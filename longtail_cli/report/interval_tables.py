"""How sure the figures are: their intervals, and what the groups rest on."""

from __future__ import annotations

from longtail_cli.report.cells import GROUP_TITLES, Table, between, between_signed, difference, shown
from longtail_cli.report.metrics import figures_of
from longtail_cli.report.model import Figure, Report, Run

HEADLINE = ("AP", "AP50", "AP75", "APs", "APm", "APl", "APr", "APc", "APf")


def interval_tables(report: Report) -> list[Table]:
    """For each run with intervals a row a headline figure: its value, its difference, and where 95% of both lie."""
    drawn = "" if report.bootstrap is None else f" from {report.bootstrap.resamples:,} resamples of the images"
    base = figures_of(report.reference)
    return [
        _intervals(f"95% intervals{drawn}, {run.name}", run, base if run is not report.reference else {})
        for run in report.runs
        if run.intervals
    ]


def group_sizes(report: Report) -> list[Table]:
    """What the figures of the groups rest on; no table where nothing is judged by them."""
    if not report.groups or not (report.gates or any(run.intervals for run in report.runs)):
        return []
    rows = [
        (GROUP_TITLES.get(group, group), str(size.categories), str(size.images), str(size.instances))
        for group, size in report.groups.items()
    ]
    header = ("group", "categories", "images", "ground truths")
    return [Table("What the figures of the groups rest on", header, tuple(rows))]


def _intervals(title: str, run: Run, base: dict[str, Figure]) -> Table:
    """base: the figures of the reference, none for the reference itself."""
    header = ("figure", "value", "95% interval", "difference", "95% interval of the difference")
    rows = []
    for name, value in figures_of(run).items():
        if _is_headline(name):
            last = name.rpartition("/")[2]
            change = (difference(last, value, base.get(name)), between_signed(last, run.deltas.get(name)))
            cells = (name, shown(last, value), between(last, run.intervals.get(name)))
            rows.append(cells + change if base else cells)
    return Table(title, header if base else header[:3], tuple(rows))


def _is_headline(name: str) -> bool:
    """Whether it is ``bbox/APr``, ``bbox/APfixed/AP`` or the like, or a figure of classification over all rows."""
    kind, *path = name.split("/")
    if kind == "classification":
        return len(path) == 1
    return kind in ("bbox", "segm") and path[-1] in HEADLINE
