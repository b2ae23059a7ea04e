"""Parts as Ray tasks, and their rows as Ray objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pyarrow as pa

from longtail_cli.errors import LtcalError
from longtail_cli.execution.base import BUCKET, Found, NamedPart, Part, Produced, Progress, Reduction, Result
from longtail_cli.execution.ray import nodes
from longtail_cli.execution.ray.shuffle import Rows, Shuffle
from longtail_cli.execution.ray.watch import Ref, Watch
from longtail_cli.tables import Longs

RETRIES = 3
"""How often a task is started again if its worker or node is lost."""

_PER_PROCESSOR = 2  # tasks submitted at once: the one that runs, and the next
_NEARLY = 2.0  # seconds until the end of tasks that are not interrupted
_PATIENCE = 5.0  # seconds until a task has to react to an interruption


@dataclass(frozen=True, slots=True)
class RayExecution:
    """Runs each part in a task with one processor, on the cluster that this process is connected to."""

    shuffle: Shuffle
    watch: Watch
    memory: int | None = None
    """Bytes that a worker may use, by which Ray decides how many run on a node; None for no bound."""

    @contextmanager
    def mapped(
        self,
        work: Callable[[Part], Produced[Found]],
        parts: Sequence[NamedPart[Part]],
        task: str,
        progress: Progress,
        gpus: float = 0,
    ) -> Iterator[RayRows[Found]]:
        """See `Execution.mapped`. Raises UsageError if workers are lost again and again."""
        import ray

        needs = {"num_cpus": 1, "memory": self.memory, "max_retries": RETRIES}
        own = {**needs, "num_gpus": gpus if gpus and nodes.has_gpus() else 0}
        run = ray.remote(_produced).options(**own, num_returns=2, name=task)
        shared, folder = ray.put(work), Path.cwd()
        rows: list[Ref] = [None] * len(parts)

        def submit(number: int) -> Ref:
            outcome, rows[number] = run.remote(shared, parts[number].content, folder)
            return outcome

        total, done = max(sum(part.size for part in parts), 1), 0
        outcomes: list[Any] = [None] * len(parts)
        progress(f"{task} 0 of {len(parts)} parts", 0.0)
        completed = _completed(submit, [part.name for part in parts], own, self.watch, progress)
        for count, (number, outcome) in enumerate(completed, 1):
            outcomes[number] = outcome
            done += parts[number].size
            progress(f"{task} {count} of {len(parts)} parts", done / total)
        held = [ref for ref, outcome in zip(rows, outcomes, strict=True) if len(outcome.buckets)]
        try:
            found, size = tuple(outcome.found for outcome in outcomes), sum(outcome.size for outcome in outcomes)
            yield RayRows(found, Rows(held, _added(outcomes), size), needs, self.shuffle, self.watch)
        finally:
            rows.clear()
            held.clear()


@dataclass(frozen=True, slots=True)
class RayRows(Generic[Found]):
    """Rows in the object store of the cluster."""

    found: tuple[Found, ...]
    rows: Rows
    """Its list of tables is emptied when they are released."""
    needs: dict[str, Any]
    """What tasks ask of Ray."""
    shuffle: Shuffle
    watch: Watch

    def reduced(self, work: Reduction[Result], progress: Progress) -> Iterator[Result]:
        """See `Mapped.reduced`. Raises UsageError if workers are lost again and again."""
        if not self.rows.tables:
            return
        results, done, total = dict[int, Result](), 0, sum(self.rows.buckets.values())
        progress("reducing", 0.0)
        with self.watch.raised_in("reducing"):
            for bucket, result in self.shuffle.reduced(self.rows, work, self.needs, self.watch, progress):
                done += 0 if bucket in results else self.rows.buckets[bucket]
                results[bucket] = result
                progress("reducing", done / total)
        for bucket in self.rows.buckets:
            yield results.pop(bucket)

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """See `Mapped.each`. Raises UsageError if workers are lost again and again."""
        import ray

        run = ray.remote(_of_rows).options(**self.needs, name="counting")
        shared, names, tables = ray.put(work), tuple(columns), self.rows.tables
        labels = [f"part {number + 1}" for number in range(len(tables))]

        def submit(number: int) -> Ref:
            return run.remote(shared, names, tables[number])

        completed = _completed(submit, labels, self.needs, self.watch, progress)
        for count, (_, result) in enumerate(completed, 1):
            progress("counting", count / len(tables))
            yield result


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the driver learns of a part."""

    found: Any
    buckets: Longs
    """int64 [b], ascending, those of its rows."""
    rows: Longs
    """int64 [b], how many of them are in each."""
    size: int
    """Bytes of its rows."""


def _produced(
    work: Callable[[Part], Produced[Found]], part: Part, folder: Path
) -> tuple[_Outcome | LtcalError, pa.Table | None]:
    """A task. Errors that are meant for the user are results: Ray neither retries them nor wraps them.

    folder: where relative paths begin, if this node has it; workers start elsewhere.
    """
    try:
        with chdir(folder) if folder.is_dir() else nullcontext():
            produced = work(part)
    except LtcalError as error:
        return error, None
    rows = produced.rows
    if rows is None or not len(rows):
        none = np.zeros(0, np.int64)
        return _Outcome(produced.found, none, none, 0), None
    buckets, number = np.unique(rows.column(BUCKET).to_numpy(), return_counts=True)
    return _Outcome(produced.found, buckets.astype(np.int64), number.astype(np.int64), rows.nbytes), rows


def _added(outcomes: Sequence[_Outcome]) -> dict[int, int]:
    """The number of rows of each bucket, ascending by bucket."""
    none = np.zeros(0, np.int64)
    buckets, index = np.unique(np.concatenate([none, *(one.buckets for one in outcomes)]), return_inverse=True)
    rows = np.zeros(len(buckets), np.int64)
    np.add.at(rows, index, np.concatenate([none, *(one.rows for one in outcomes)]))
    return dict(zip(buckets.tolist(), rows.tolist(), strict=True))


def _of_rows(work: Callable[[pa.Table], Result], columns: tuple[str, ...], rows: pa.Table) -> Result | LtcalError:
    """A task, see `_produced`."""
    try:
        return work(rows.select(list(columns)))
    except LtcalError as error:
        return error


def _completed(
    submit: Callable[[int], Ref], names: Sequence[str], needs: Mapping[str, Any], watch: Watch, progress: Progress
) -> Iterator[tuple[int, Any]]:
    """The number and the result of each task, in the order in which they end.

    submit: starts the task of a number. It is called while there are processors, not for all tasks at once. Tasks that
    are under way when the caller stops, or one fails, are cancelled, and have ended before this does: none writes to an
    output that is removed then. needs: what a task asks of Ray. Raises what a task returns as an LtcalError or raises,
    and UsageError for one that is lost, or that no node can run.
    """
    import ray

    following, running = iter(range(len(names))), dict[Ref, int]()
    try:
        while True:
            room = _PER_PROCESSOR * nodes.processors() - len(running)
            for number in islice(following, max(room, 0)):
                running[submit(number)] = number
            if not running:
                return
            for ref in watch.first(list(running), needs, progress):
                number = running.pop(ref)
                with watch.raised_in(names[number]):
                    result = ray.get(ref)
                if isinstance(result, LtcalError):
                    raise result
                yield number, result
    finally:
        _cancel(list(running))


def _cancel(running: Sequence[Ref]) -> None:
    """Let tasks that are nearly done end, interrupt the others, and end the workers of those that do not stop soon.

    Ray aborts this process if a task ends while it is cancelled (ray-project/ray#54798, also in 2.60), so short tasks
    are not cancelled, and those that wait come first, as they begin when others end.
    """
    import ray

    if not running or not ray.is_initialized():  # the connection may be gone
        return
    _, left = ray.wait(list(running), num_returns=len(running), timeout=_NEARLY)
    for ref in reversed(left):
        ray.cancel(ref)
    _, late = ray.wait(left, num_returns=len(left), timeout=_PATIENCE) if left else ([], [])
    for ref in late:
        ray.cancel(ref, force=True)
