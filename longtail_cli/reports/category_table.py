"""The categories as a table, one row each."""

from __future__ import annotations

from longtail_cli.metrics import CategoryMetrics, Value, category_title
from longtail_cli.reports.format import UNDEFINED, Table, percent
from longtail_cli.reports.metric_tables import Sides, change
from longtail_cli.reports.model import Run


def category_tables(title: str, kind: str, metric: str, sides: Sides) -> list[Table]:
    """One row per category in id order: its metric in each run, and the differences to the reference.

    kind: ``bbox``, ``segm`` or ``classification``. metric: ``AP`` or ``recall``. No table if the runs have no metrics
    of categories. A reference without any is omitted with the differences. The weight of a row is its greatest absolute
    difference, or 0.
    """
    about = sides.shown[-1][1].categories
    found = [(name, run, _values(kind, metric, run)) for name, run in sides.shown]
    if not found[-1][2]:
        return []
    kept = [one for one in found if one[2]]
    base = _values(kind, metric, sides.reference)
    trained = any(row.train_images is not None for row in about)
    columns = ("category", "id", "group", *(["train images"] if trained else []), *_count_columns(kind))
    rows, changes, weights = [], [], []
    for row in about:
        values = [(run, of_run.get(row.id)) for _, run, of_run in kept]
        moved = [(None if run is sides.reference else value, base.get(row.id)) for run, value in values]
        rows.append((category_title(row), *_about(row, kind, trained), *(percent(value) for _, value in values)))
        changes.append((*("" for _ in columns), *(change(metric, value, before) for value, before in moved)))
        sizes = [abs(value - before) for value, before in moved if value is not None and before is not None]
        weights.append(max(sizes, default=0.0))
    compared = any(map(any, changes))
    return [
        Table(
            f"{title}, percent; {sides.against}" if compared else f"{title}, percent",
            (*columns, *(name for name, _, _ in kept)),
            tuple(rows),
            weights=tuple(weights),
            changes=tuple(changes) if compared else (),
            name_columns=tuple(range(len(columns), len(columns) + len(kept))),
        )
    ]


def _values(kind: str, metric: str, run: Run) -> dict[int, Value]:
    """The metric of each category by id; empty if the run has none of `kind`."""
    found = {row.id: row.metrics.get(kind, {}) for row in run.categories}
    return {key: values.get(metric) for key, values in found.items()} if any(found.values()) else {}


def _count_columns(kind: str) -> tuple[str, ...]:
    return ("samples",) if kind == "classification" else ("images", "instances")


def _about(row: CategoryMetrics, kind: str, trained: bool) -> tuple[str, ...]:
    train = UNDEFINED if row.train_images is None else str(row.train_images)
    counts = (row.images, row.instances)[: len(_count_columns(kind))]
    return str(row.id), row.group or UNDEFINED, *([train] if trained else []), *map(str, counts)
