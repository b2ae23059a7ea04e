"""The work on a bucket of rows: the metrics of its categories; and on any rows: the counts of false positives."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from hashlib import blake2b

import numpy as np
import pyarrow as pa

from longtail_cli.evaluation.parts.counting import CountFalse, FalseCounts
from longtail_cli.evaluation.parts.ordered import metrics_in_order
from longtail_cli.evaluation.parts.rows import MOVED, MatchedRows
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics, share_metrics
from longtail_cli.execution.base import BUCKET, Order
from longtail_cli.files.temporary import TemporaryFile
from longtail_cli.tables import Longs


@dataclass(frozen=True, slots=True)
class Reduced:
    """What a bucket gives."""

    metrics: tuple[ShareMetrics, ...]
    """Of all categories of the bucket, each once."""
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
    most_rows: int
    """See `longtail_cli.execution.base.Reduction`."""

    @property
    def order(self) -> Order:
        return Order(("category", "score", "tie"), (False, True, False))

    def __call__(self, bucket: int, rows: pa.Table) -> tuple[int, Reduced]:
        """The bucket, and what it gives."""
        rules, category = self._of(bucket)
        matched = rows_in(rows)
        digest = _OrderDigest()
        metrics = share_metrics(rules, category, matched)
        if self.digested:
            digest.fed(matched.in_order_of_evaluation())
        return bucket, Reduced((metrics,), digest.digest() if self.digested else None)

    def in_pieces(self, bucket: int, pieces: Iterable[pa.Table]) -> tuple[int, Reduced]:
        """The same, of rows in order. Raises OutputError if a temporary file fails, and what reading a piece raises."""
        rules, category = self._of(bucket)
        digest, rows = _OrderDigest(), map(rows_in, pieces)
        if self.digested:
            rows = map(digest.fed, map(MatchedRows.in_order_of_evaluation, rows))
        scratch = partial(TemporaryFile, "room for the false positives of a category")
        metrics = tuple(metrics_in_order(rules, category, rows, scratch))
        return bucket, Reduced(metrics, digest.digest() if self.digested else None)

    def _of(self, bucket: int) -> tuple[Rules, Longs]:
        """The rules and categories of a bucket."""
        number, first = divmod(bucket, self.buckets)
        rules = self.rules[number % len(self.rules)]
        return rules, np.arange(first, rules.categories, self.buckets)


class _OrderDigest:
    """A digest of the order of evaluation, without the rows that only a fix moves."""

    def __init__(self) -> None:
        self._columns = {name: blake2b(digest_size=16) for name in ("category", "tie", "flags")}

    def fed(self, rows: MatchedRows) -> MatchedRows:
        """The same rows, the next in the order of evaluation, now part of the digest."""
        own = (rows.flags & MOVED) == 0
        for name, digest in self._columns.items():
            digest.update(rows.columns[name][own].data)
        return rows

    def digest(self) -> bytes:
        """Of all rows; it does not depend on their division into pieces."""
        return b"".join(digest.digest() for digest in self._columns.values())


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
