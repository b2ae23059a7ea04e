"""The categories of a report as points: how frequent each is, and its metric in two runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from longtail_cli.metrics import CategoryMetrics, Value
from longtail_cli.reports.model import Report, Run
from longtail_cli.reports.plots.plot import Pair
from longtail_cli.reports.text_tables import CATEGORY_METRIC, sides_of


@dataclass(frozen=True, slots=True)
class Point:
    """A category, and its metric before and after."""

    row: CategoryMetrics
    count: int
    """Training images, or else images of the evaluated set."""
    before: Value
    after: Value


def points_of(pair: Pair, kind: str) -> list[Point]:
    """The categories with a metric before or after, in order of the rows. kind: as for `category_values`."""
    before, (_, after) = pair
    bases = {} if before is None else category_values(before[1], kind)
    values = category_values(after, kind)
    trained = counts_training(after.categories)
    found = [
        Point(row, (row.train_images or 0) if trained else row.images, bases.get(row.id), values[row.id])
        for row in after.categories
    ]
    return [point for point in found if point.before is not None or point.after is not None]


def category_values(run: Run, kind: str) -> dict[int, Value]:
    """By category id its AP or recall. kind: ``bbox``, ``segm`` or ``classification``."""
    return {row.id: row.metrics.get(kind, {}).get(CATEGORY_METRIC[kind]) for row in run.categories}


def greatest_value(report: Report, kind: str) -> float:
    """The greatest AP or recall of a category in any run, in percent; 0 if none is defined."""
    found = (value for _, run in sides_of(report) for value in category_values(run, kind).values())
    return 100 * max((value for value in found if value is not None), default=0.0)


def counts_training(rows: Sequence[CategoryMetrics]) -> bool:
    """Whether the training images of all categories are known."""
    return all(row.train_images is not None for row in rows)


def noun_of(kind: str) -> str:
    """What a category is called: ``class`` for classifiers."""
    return "class" if kind == "classification" else "category"


def nouns_of(kind: str) -> str:
    """The plural of `noun_of`."""
    return "classes" if kind == "classification" else "categories"
