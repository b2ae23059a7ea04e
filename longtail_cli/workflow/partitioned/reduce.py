"""The work on a bucket of rows: the metrics of its categories; and on any rows: the counts of false positives."""

from __future__ import annotations

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from longtail_cli.evaluation.parts.counting import CountFalse, FalseCounts
from longtail_cli.evaluation.parts.rows import MOVED, MatchedRows
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics, share_metrics
from longtail_cli.execution.base import BUCKET


@dataclass(frozen=True, slots=True)
class Reduced:
    """What a bucket gives."""

    metrics: ShareMetrics
    order: bytes | None
    """A digest of the order of the rows within each category; None unless asked for."""


@dataclass(frozen=True, slots=True)
class ReduceBucket:
    """The metrics of the categories of a bucket; called with its number and its rows."""

    rules: tuple[Rules, ...]
    """For each IoU type."""
    buckets: int
    """See `MatchPart`."""
    digested: bool
    """Whether to digest the order of the rows."""

    def __call__(self, bucket: int, table: pa.Table) -> tuple[int, Reduced]:
        """The bucket, and what it gives."""
        number, first = divmod(bucket, self.buckets)
        rules, rows = self.rules[number % len(self.rules)], rows_in(table)
        category = np.arange(first, rules.categories, self.buckets)
        metrics = share_metrics(rules, category, rows)
        return bucket, Reduced(metrics, _order(rows) if self.digested else None)


def _order(rows: MatchedRows) -> bytes:
    """A digest of the order of evaluation, without the rows that only a fix moves."""
    rows = rows.at((rows.flags & MOVED) == 0)
    order = np.lexsort((rows.tie, -rows.score, rows.category))
    digest = blake2b(digest_size=16)
    for column in (rows.category, rows.tie, rows.flags):
        digest.update(np.ascontiguousarray(column[order]).data)
    return digest.digest()


@dataclass(frozen=True, slots=True)
class CountRuns:
    """Counts the false positives of all runs and IoU types; called with any rows of any of them."""

    runs: tuple[CountFalse, ...]
    """By the number of the run and IoU type, see `MatchPart.buckets`."""
    buckets: int

    def __call__(self, table: pa.Table) -> dict[int, FalseCounts]:
        """The counts, by the number of the run and IoU type, of those that have rows."""
        columns = {name: table.column(name).to_numpy() for name in table.column_names}
        number = columns.pop(BUCKET) // self.buckets
        return {
            one: self.runs[one](**{name: values[number == one] for name, values in columns.items()})
            for one in np.unique(number).tolist()
        }


def rows_in(table: pa.Table) -> MatchedRows:
    """The rows of a table of `MatchPart`."""
    return MatchedRows(**{name: table.column(name).to_numpy() for name in table.column_names if name != BUCKET})


def no_rows() -> pa.Table:
    """A table as `MatchPart` makes it of no detections, with every column that there can be."""
    floats, bits = np.zeros(0), np.zeros(0, np.uint64)
    ints, longs, small = np.zeros(0, np.int32), np.zeros(0, np.int64), np.zeros(0, np.uint8)
    rows = MatchedRows(
        category=ints, score=floats, tie=longs, flags=small, true_positive=bits, ignored=bits, rank=small,
        kind=np.zeros(0, np.int8), object=ints, file_row=longs, iou=floats,
    )  # fmt: skip
    return pa.table({BUCKET: ints, **rows.columns})
