"""The rows of a large bucket put in order, piece after piece: a distribution sort in a temporary file.

A sample of the rows says where the pieces begin; each row goes to its piece in the file; and a piece is read when it
is needed. Memory holds the sample, then some batches, then a piece.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from longtail_cli.execution.base import BUCKET, Order, Progress
from longtail_cli.execution.bucket_file import BucketReader, BucketRows, BucketWriter
from longtail_cli.tables import Ints, Longs

Keys = Sequence[npt.NDArray[Any]]
"""Columns [N] whose rows compare as tuples, ascending."""

SAMPLED = 1 << 20
"""Rows from which the limits of the pieces are found. Of p pieces each has about 2^20 / p of them, so that its size is
off by sqrt(p / 2^20): 5% for 2,500 pieces."""
SPARE = 1.1
"""By how much there are more pieces than would be full."""
ROWS_AT_ONCE = 1 << 18
"""That are distributed at once, so that few batches are very small; a larger batch is read whole."""


@contextmanager
def ordered(
    rows: BucketRows, bucket: int, order: Order, most_rows: int, folder: Path, progress: Progress
) -> Iterator[BucketRows]:
    """The rows of `bucket` in a temporary file in `folder`, whose buckets are the pieces, in ascending order.

    The rows of a piece come before those of the next in `order`; rows that are equal in it are in one piece. A piece
    has at most about `most_rows`, if no more rows than that are equal.

    Raises OutputError if the disk is full, or would be before the last row.
    """
    cuts = _cuts(rows, bucket, order, math.ceil(rows.sizes[bucket] * SPARE / most_rows))
    with BucketWriter(folder) as writer:
        _distribute(rows, bucket, order, cuts, writer, progress)
        yield writer.finish()


def _distribute(
    rows: BucketRows, bucket: int, order: Order, cuts: Keys, writer: BucketWriter, progress: Progress
) -> None:
    """Write each row to its piece."""
    total, done = rows.sizes[bucket], 0
    for table in BucketReader(rows).in_turn(bucket, ROWS_AT_ONCE):
        progress("ordering", done / total)
        piece = _piece_of(_keys(table, order), cuts)
        writer.add(table.append_column(BUCKET, pa.array(piece)))
        done += len(table)
        writer.check_room(done, total)


def _cuts(rows: BucketRows, bucket: int, order: Order, pieces: int) -> Keys:
    """Where each of about `pieces` pieces but the first begins: keys [p - 1], ascending and unique."""
    stride, begin = max(1, rows.sizes[bucket] // SAMPLED), 0
    sampled: list[Keys] = []
    for table in BucketReader(rows, order.columns).in_turn(bucket, ROWS_AT_ONCE):
        sampled.append([values[begin::stride] for values in _keys(table, order)])
        begin = (begin - len(table)) % stride
    sample = [np.concatenate(values) for values in zip(*sampled, strict=True)]
    ascending = np.lexsort(sample[::-1])
    row = ascending[np.arange(1, pieces) * len(ascending) // pieces]
    cuts = [values[row] for values in sample]
    new = np.append(True, np.any([values[1:] != values[:-1] for values in cuts], axis=0))
    return [values[new] for values in cuts]


def _keys(table: pa.Table, order: Order) -> Keys:
    columns = [table.column(name).to_numpy() for name in order.columns]
    return [_descending(own) if down else own for own, down in zip(columns, order.descending, strict=True)]


def _descending(values: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Numbers in the opposite order; integers of any type without overflow."""
    return -values if values.dtype.kind == "f" else ~values


def _piece_of(keys: Keys, cuts: Keys) -> Ints:
    """How many cuts are not after each row: int32 [N]. keys: [N]. cuts: [p - 1], ascending."""
    end = np.searchsorted(cuts[0], keys[0], side="right").astype(np.int32)
    if len(keys) == 1:
        return end
    begin = np.searchsorted(cuts[0], keys[0], side="left")
    for row in _alike(begin, np.flatnonzero(begin < end)):  # equal to some cuts in this column: the next ones decide
        among = slice(int(begin[row[0]]), int(end[row[0]]))
        end[row] = among.start + _piece_of([own[row] for own in keys[1:]], [own[among] for own in cuts[1:]])
    return end


def _alike(values: Longs, row: Longs) -> list[Longs]:
    """`row`, int64 [n], divided into those that are equal in `values`."""
    if not len(row):
        return []
    own = values[row]
    order = np.argsort(own.astype(np.min_scalar_type(own.max())), kind="stable")
    return np.split(row[order], np.flatnonzero(np.diff(own[order])) + 1)
