"""Buckets with more rows than a worker holds: Ray Data sorts their rows, then each is reduced block after block.

Like the shuffle, this runs in an actor on the cluster.
"""

from __future__ import annotations

import pickle
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from longtail_cli.errors import LtcalError
from longtail_cli.execution.base import BUCKET, Order, Reduction
from longtail_cli.tables import Longs

Slices = tuple[tuple[Any, int, int], ...]
"""References to blocks, and the first and the last row (exclusive) of a bucket in each."""


def reduced_in_order(
    rows: Sequence[Any], work: Reduction[Any], large: Mapping[int, int], block: int, needs: Mapping[str, Any]
) -> Iterator[tuple[int, bytes]]:
    """Each bucket and its pickled result or LtcalError, in the order in which they are done.

    rows: references to tables that hold these buckets among others. large: the number of rows of each bucket, ascending
    by bucket; at least one. block: how many rows are sorted at once, at least. needs: what the task of a bucket asks
    of Ray.
    """
    import ray

    run = ray.remote(_in_pieces).options(**needs, name="reducing")
    shared = ray.put(work)
    slices = _slices(large, _sorted_blocks(rows, work.order, list(large), max(block, work.most_rows)))
    running = {run.remote(shared, bucket, slices.pop(bucket)): bucket for bucket in large}
    while running:
        done, _ = ray.wait(list(running))
        for ref in done:
            yield running.pop(ref), ray.get(ref)


def of_buckets(rows: pa.Table, buckets: Sequence[int], *, inside: bool) -> pa.Table:
    """The rows of some buckets, or of all others."""
    chosen = pc.is_in(rows.column(BUCKET), pa.array(buckets, pa.int32()))
    return rows.filter(chosen if inside else pc.invert(chosen))


def pieces_in_order(blocks: Iterable[pa.Table], order: Order, most_rows: int) -> Iterator[pa.Table]:
    """The rows of ordered blocks in pieces of at most `most_rows`, more only if so many rows are equal in `order`.

    Rows that are equal in `order` are in one piece. Pieces have rows; none come of no rows.
    """
    held: pa.Table | None = None
    for block in blocks:
        held = block if held is None else pa.concat_tables([held, block])
        first = 0
        for cut in _cuts(held, order, most_rows) if len(held) > most_rows else ():
            yield held.slice(first, cut - first)
            first = cut
        held = held.slice(first)
    if held is not None and len(held):
        yield held


def _cuts(rows: pa.Table, order: Order, most_rows: int) -> Iterator[int]:
    """Where pieces end, but for the last, which has at most `most_rows` or is of equal rows alone."""
    changes, first = _changes(rows, order), 0
    while len(rows) - first > most_rows:
        beyond = int(np.searchsorted(changes, first + most_rows, side="right"))
        within = beyond > 0 and changes[beyond - 1] > first
        if not within and beyond == len(changes):
            return
        first = int(changes[beyond - 1 if within else beyond])
        yield first


def _changes(rows: pa.Table, order: Order) -> Longs:
    """int64, the index of each row that differs in `order` from the one before."""
    differs = np.zeros(len(rows) - 1, bool)
    for name in order.columns:
        values = rows.column(name).to_numpy()
        differs |= values[1:] != values[:-1]
    return np.flatnonzero(differs) + 1


def _sorted_blocks(rows: Sequence[Any], order: Order, buckets: list[int], block: int) -> Iterator[tuple[Any, int]]:
    """References to blocks that follow one another in order, and the number of rows of each: about `block`.

    Ray Data gives as many blocks as it gets, of ranges that it finds by sampling as many rows of each: so all have the
    same number of rows before.
    """
    import ray.data

    own = ray.data.from_arrow_refs(list(rows)).map_batches(
        partial(of_buckets, buckets=buckets, inside=True), batch_size=None, batch_format="pyarrow"
    )
    own = own.repartition(target_num_rows_per_block=block)
    for bundle in own.sort([BUCKET, *order.columns], [False, *order.descending]).iter_internal_ref_bundles():
        for ref, facts in zip(bundle.block_refs, bundle.metadata, strict=True):
            yield ref, facts.num_rows


def _slices(large: Mapping[int, int], blocks: Iterable[tuple[Any, int]]) -> dict[int, Slices]:
    """Where the rows of each bucket are. blocks: with the rows of the buckets one after another."""
    found: dict[int, list[tuple[Any, int, int]]] = {bucket: [] for bucket in large}
    left = iter(large.items())
    bucket, missing = next(left)
    for ref, rows in blocks:
        first = 0
        while first < rows:
            if not missing:
                bucket, missing = next(left)
            taken = min(rows - first, missing)
            found[bucket].append((ref, first, first + taken))
            first, missing = first + taken, missing - taken
    return {bucket: tuple(own) for bucket, own in found.items()}


def _in_pieces(work: Reduction[Any], bucket: int, slices: Slices) -> bytes:
    """A task: the pickled result of a bucket, or LtcalError."""
    try:
        result = work.in_pieces(bucket, pieces_in_order(_blocks(slices), work.order, work.most_rows))
    except LtcalError as error:
        result = error
    return pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)


def _blocks(slices: Slices) -> Iterator[pa.Table]:
    """One after another: only those that a piece refers to are held."""
    import ray

    for ref, first, last in slices:
        yield ray.get(ref).slice(first, last - first).drop_columns([BUCKET])
