"""The tables of categories, a row each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from longtail_cli.report.cells import UNDEFINED, Table, delta, percent
from longtail_cli.report.model import CategoryRow, Figure, Run

HEADLINE = {"classification": "recall", "bbox": "AP", "segm": "AP"}
"""The figure of a category that is shown, by what it is of."""


def category_tables(title: str, kind: str, sides: Sequence[tuple[str, Run]]) -> list[Table]:
    """A row a category in id order: its figure in each run, and the difference of each but the first to the first.

    kind: ``bbox``, ``segm`` or ``classification``. sides: names and runs; the first may be of a baseline, and is left
    out with the differences where it has no such figures. No table where the runs have no figures of categories.
    A row weighs as much as its greatest absolute difference, 0 where there is none.
    """
    about = sides[-1][1].categories
    (first, base), *others = [(name, _figures(kind, run)) for name, run in sides]
    if not (others[-1][1] if others else base):
        return []
    compared = bool(base) or not others
    trained = any(row.train_images is not None for row in about)
    header = ["category", "id", "group", *(["train images"] if trained else []), *_counts(kind)]
    header += [first] if compared else []
    for name, _ in others:
        header += [name, "difference"] if compared else [name]
    rows, weights = [], []
    for row in about:
        cells, changes = _compared(row.id, base, [found for _, found in others], compared)
        rows.append((row.name, *_about(row, kind, trained), *cells))
        weights.append(max(changes, default=0.0))
    return [Table(title, tuple(header), tuple(rows), weights=tuple(weights))]


def _figures(kind: str, run: Run) -> dict[int, Figure]:
    """The figure of each category by id; none where the run has none of `kind`."""
    found = {row.id: row.metrics.get(kind, {}) for row in run.categories}
    return {key: figures.get(HEADLINE[kind]) for key, figures in found.items()} if any(found.values()) else {}


def _compared(
    category: int, base: Mapping[int, Figure], others: Sequence[Mapping[int, Figure]], compared: bool
) -> tuple[list[str], list[float]]:
    """The cells of a category's figures, and the absolute differences that are defined."""
    first = base.get(category)
    cells, changes = [percent(first)] if compared else [], []
    for found in others:
        value = found.get(category)
        cells += [percent(value), delta(value, first)] if compared else [percent(value)]
        if value is not None and first is not None:
            changes.append(abs(value - first))
    return cells, changes


def _counts(kind: str) -> tuple[str, ...]:
    return ("samples",) if kind == "classification" else ("images", "instances")


def _about(row: CategoryRow, kind: str, trained: bool) -> tuple[str, ...]:
    train = UNDEFINED if row.train_images is None else str(row.train_images)
    counts = (row.images, row.instances)[: len(_counts(kind))]
    return str(row.id), row.group or UNDEFINED, *([train] if trained else []), *map(str, counts)
