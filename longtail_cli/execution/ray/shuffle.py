"""The shuffle by bucket: Ray Data's, driven by an actor on the cluster, as Ray Data does not run in a Ray client."""

from __future__ import annotations

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from math import ceil
from typing import Any
from uuid import uuid4

import pyarrow as pa

from longtail_cli.errors import LtcalError
from longtail_cli.execution.base import BUCKET, Progress, Reduction, Result
from longtail_cli.execution.ray import nodes
from longtail_cli.execution.ray.ordered import of_buckets, reduced_in_order
from longtail_cli.execution.ray.watch import Watch

SMALL = 16 << 30
"""Bytes of rows up to which ordinary workers sort them. For more, Ray Data's default sends fewer objects, but starts
processes for each shuffle, which takes some seconds."""

BLOCK = 1 << 19
"""Rows of a large bucket that are sorted at once, at least: n blocks become n^2 objects."""

_PARTITION = 256 << 20  # bytes of rows that one task reduces, about
_PER_PROCESSOR = 2  # partitions, so that all have work until the end
_RESTARTS = 3
_RESULT = "result"
_PER_MEMORY = 8  # the memory of a worker, in such partitions: a bucket takes up to half of it
_SORTED = "sort_shuffle_pull_based"
_SORTED_OF_MANY = "sort_shuffle_push_based"  # with fewer objects


@dataclass(frozen=True, slots=True)
class Rows:
    """The rows of all parts."""

    tables: list[Any]
    """References to tables."""
    buckets: Mapping[int, int]
    """The number of rows of each bucket that has any, ascending by bucket."""
    size: int
    """Bytes of all rows."""


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Shuffles one after another."""

    actor: Any
    """The handle of a `_Driver`."""
    small: int = SMALL
    block: int = BLOCK

    def reduced(
        self, rows: Rows, work: Reduction[Result], needs: Mapping[str, Any], watch: Watch, progress: Progress
    ) -> Iterator[tuple[int, Result]]:
        """The number and the result of each bucket, in any order; some more than once if a node was lost.

        rows: at least one. needs: what a task asks of Ray.
        """
        import ray

        large = {bucket: number for bucket, number in rows.buckets.items() if number > work.most_rows}
        size = rows.size * (1 - sum(large.values()) / sum(rows.buckets.values()))
        most = _PARTITION if needs["memory"] is None else min(_PARTITION, needs["memory"] // _PER_MEMORY)
        partitions = min(len(rows.buckets) - len(large), max(_PER_PROCESSOR * nodes.processors(), ceil(size / most)))
        request = _Request(
            uuid4().hex, rows.tables, ray.put(work), large, partitions, self.block, dict(needs), rows.size <= self.small
        )
        while True:
            (ref,) = watch.first([self.actor.more.remote(request)], needs, progress)
            if (results := ray.get(ref)) is None:
                return
            for bucket, pickled in results:
                result = pickle.loads(pickled)
                if isinstance(result, LtcalError):
                    raise result
                yield bucket, result


@dataclass(frozen=True, slots=True)
class _Request:
    """A shuffle."""

    name: str
    """Its own."""
    rows: list[Any]
    work: Any
    """A reference to it."""
    large: dict[int, int]
    """See `reduced_in_order`."""
    partitions: int
    """Of the other buckets; 0 if there are none."""
    block: int
    needs: dict[str, Any]
    small: bool
    """Whether ordinary workers sort the rows."""


@contextmanager
def shuffling() -> Iterator[Shuffle]:
    """An actor that starts while parts are worked on, as it needs some seconds; stopped at the end of the block.

    It is on the node that this process is connected to, without which nothing could go on. Its calls are retried for as
    long as it is restarted: a node that was lost refuses connections for a while before Ray takes it for dead.
    """
    import ray
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=True)
    driver = ray.remote(_Driver).options(
        num_cpus=0, max_restarts=_RESTARTS, max_task_retries=-1, scheduling_strategy=here
    )
    actor = driver.remote()
    try:
        yield Shuffle(actor)
    finally:
        if ray.is_initialized():  # else Ray would start a cluster
            ray.kill(actor)


class _Driver:
    """Drives Ray Data. If its node is lost, Ray starts another, which begins the shuffle anew."""

    def __init__(self) -> None:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        self._default = context.shuffle_strategy
        self._under_way: str | None = None
        self._results: Iterator[list[tuple[int, bytes]]] = iter(())

    def more(self, request: _Request) -> list[tuple[int, bytes]] | None:
        """The next buckets with their pickled results; None after the last. A shuffle begins with its first call."""
        if self._under_way != request.name:
            self._results = self._reduced(request)
            self._under_way = request.name
        return next(self._results, None)

    def _reduced(self, request: _Request) -> Iterator[list[tuple[int, bytes]]]:
        import ray

        context, work = ray.data.DataContext.get_current(), ray.get(request.work)
        if request.partitions:
            context.shuffle_strategy = _SORTED if request.small else self._default
            rows = ray.data.from_arrow_refs(request.rows)
            if request.large:
                others = partial(of_buckets, buckets=list(request.large), inside=False)
                rows = rows.map_batches(others, batch_size=None, batch_format="pyarrow")
            groups = rows.groupby(BUCKET, num_partitions=request.partitions)
            reduced = groups.map_groups(
                partial(_reduced, work=work), batch_format="pyarrow", memory=request.needs["memory"]
            )
            for block in reduced.iter_batches(batch_size=None, batch_format="pyarrow"):
                yield list(zip(block.column(BUCKET).to_pylist(), block.column(_RESULT).to_pylist(), strict=True))
        if request.large:
            context.shuffle_strategy = _SORTED if request.small else _SORTED_OF_MANY
            for one in reduced_in_order(request.rows, work, request.large, request.block, request.needs):
                yield [one]


def _reduced(rows: pa.Table, work: Reduction[Any]) -> pa.Table:
    """The bucket of some rows, and the pickled result or LtcalError of the work on them."""
    bucket = rows.column(BUCKET)[0].as_py()
    result: object
    try:
        result = work(bucket, rows.drop_columns([BUCKET]))
    except LtcalError as error:
        result = error
    pickled = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
    return pa.table({BUCKET: pa.array([bucket], pa.int32()), _RESULT: pa.array([pickled], pa.large_binary())})
