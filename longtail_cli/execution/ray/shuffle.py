"""The shuffle by bucket: Ray Data's, driven by an actor on the cluster, as Ray Data does not run in a Ray client."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any
from uuid import uuid4

import pyarrow as pa

from longtail_cli.errors import LtcalError
from longtail_cli.execution.base import BUCKET, Result
from longtail_cli.execution.ray import nodes

SMALL = 16 << 30
"""Bytes of rows up to which ordinary workers sort them. For more, Ray Data's default sends fewer objects, but starts
processes for each shuffle, which takes some seconds."""

_PARTITION = 256 << 20  # bytes of rows that one task reduces, about
_PER_PROCESSOR = 2  # partitions, so that all have work until the end
_RESTARTS = 3
_RESULT = "result"
_SORTED = "sort_shuffle_pull_based"


@dataclass(frozen=True, slots=True)
class Shuffle:
    """Shuffles one after another."""

    actor: Any
    """The handle of a `_Driver`."""
    small: int = SMALL

    def reduced(
        self, rows: Sequence[Any], work: Callable[[int, pa.Table], Result], buckets: int, size: int
    ) -> Iterator[tuple[int, Result]]:
        """``(bucket, work(bucket, rows))`` for each bucket, in any order; some more than once if a node was lost.

        rows: references to the tables, at least one. buckets: how many there are. size: the bytes of all rows.
        """
        import ray

        partitions = min(buckets, max(_PER_PROCESSOR * nodes.processors(), -(-size // _PARTITION)))
        request = uuid4().hex, list(rows), [ray.put(work)], partitions, size <= self.small
        while (results := ray.get(self.actor.more.remote(*request))) is not None:
            for bucket, pickled in results:
                result = pickle.loads(pickled)
                if isinstance(result, LtcalError):
                    raise result
                yield bucket, result


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
        ray.kill(actor)


class _Driver:
    """Drives Ray Data. If its node is lost, Ray starts another, which begins the shuffle anew."""

    def __init__(self) -> None:
        import ray.data

        context = ray.data.DataContext.get_current()
        context.enable_progress_bars = False
        self._default = context.shuffle_strategy
        self._under_way: str | None = None
        self._blocks: Iterator[pa.Table] = iter(())

    def more(
        self, name: str, rows: list[Any], work: list[Any], partitions: int, small: bool
    ) -> list[tuple[int, bytes]] | None:
        """The next buckets of a shuffle with their pickled results; None after the last.

        name: of the shuffle, which begins with its first call. work: a reference to it.
        """
        import ray

        if self._under_way != name:
            context = ray.data.DataContext.get_current()
            context.shuffle_strategy = _SORTED if small else self._default
            groups = ray.data.from_arrow_refs(rows).groupby(BUCKET, num_partitions=partitions)
            reduced = groups.map_groups(partial(_reduced, work=ray.get(work[0])), batch_format="pyarrow")
            self._blocks = iter(reduced.iter_batches(batch_size=None, batch_format="pyarrow"))
            self._under_way = name
        block = next(self._blocks, None)
        if block is None:
            return None
        return list(zip(block.column(BUCKET).to_pylist(), block.column(_RESULT).to_pylist(), strict=True))


def _reduced(rows: pa.Table, work: Callable[[int, pa.Table], Result]) -> pa.Table:
    """The bucket of some rows, and the pickled result or LtcalError of the work on them."""
    bucket = rows.column(BUCKET)[0].as_py()
    result: object
    try:
        result = work(bucket, rows.drop_columns([BUCKET]))
    except LtcalError as error:
        result = error
    pickled = pickle.dumps(result, protocol=pickle.HIGHEST_PROTOCOL)
    return pa.table({BUCKET: pa.array([bucket], pa.int32()), _RESULT: pa.array([pickled], pa.large_binary())})
