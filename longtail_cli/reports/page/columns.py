"""Which metrics the page shows side by side."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from longtail_cli.metrics import Value
from longtail_cli.reports.metric_names import lower_is_better, metrics_of, part_of
from longtail_cli.reports.model import GroupSize, Report, Run
from longtail_cli.reports.text_tables import sides_of

DETECTION = {
    "{kind}/AP": "AP",
    "{kind}/AP50": "AP50",
    "{kind}/AP75": "AP75",
    "{kind}/APr": "APr",
    "{kind}/APc": "APc",
    "{kind}/APf": "APf",
    "{kind}/APfixed/AP": "Fixed AP",
    "{kind}/APpool/AP": "pooled AP",
    "tide/{kind}/FalsePos": "FalsePos",
    "reliability/{kind}/D-ECE": "D-ECE",
    "reliability/{kind}/LaECE": "LaECE",
}
CLASSIFICATION = {
    "classification/top1": "top-1",
    "classification/top5": "top-5",
    "classification/balanced": "balanced",
    "classification/many": "many",
    "classification/medium": "medium",
    "classification/few": "few",
    "classification/ece": "ECE",
    "classification/nll": "NLL",
}

Metrics = Mapping[str, Value]
"""The metrics of a run by name."""


@dataclass(frozen=True, slots=True)
class Column:
    """A metric that runs are compared by."""

    name: str
    """Name of the metric."""
    title: str
    basis: str = ""
    """What the metric rests on, ``129 categories``; empty for metrics of all of the data."""

    @property
    def falls(self) -> bool:
        """Whether lower is better."""
        return lower_is_better(self.name)


def metrics_by_side(report: Report) -> list[tuple[str, Run, Metrics]]:
    """Title, run and metrics of each run in the order shown, without those of single categories."""
    return [(side, run, metrics_of(replace(run, categories=()))) for side, run in sides_of(report)]


def columns_of(report: Report, kind: str) -> list[Column]:
    """The headline metrics of `kind` that some run defines, those asked for by an option among them.

    kind: ``bbox``, ``segm`` or ``classification``.
    """
    titles = CLASSIFICATION if kind == "classification" else DETECTION
    names = {template.format(kind=kind): title for template, title in titles.items()}
    columns = [Column(name, title, basis(report, name)) for name, title in names.items()]
    return _defined(report, columns)


def slice_columns(report: Report, kind: str) -> list[Column]:
    """AP, or the balanced accuracy of a classifier, on each slice where some run defines it."""
    metric = "balanced" if kind == "classification" else "AP"
    counted = "" if kind == "classification" else " with objects"
    columns = [
        Column(f"slices/{name}/{kind}/{metric}", name, f"{size.images:,} image{'s' * (size.images != 1)}{counted}")
        for name, size in report.slices.items()
    ]
    return _defined(report, columns)


def basis(report: Report, name: str) -> str:
    """How many categories or classes the group of a metric has; empty if it is about no group."""
    part = part_of(name)
    size = None if part == "all" else report.groups.get(part)
    return "" if size is None else _count(report, size)


def _count(report: Report, size: GroupSize) -> str:
    one, many = ("class", "classes") if report.signature.protocol == "classification" else ("category", "categories")
    return f"{size.categories:,} {one if size.categories == 1 else many}"


def _defined(report: Report, columns: list[Column]) -> list[Column]:
    found = [metrics for _, _, metrics in metrics_by_side(report)]
    return [column for column in columns if any(metrics.get(column.name) is not None for metrics in found)]
