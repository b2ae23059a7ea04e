"""Parts as Ray tasks, and their rows as Ray objects."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import chdir, contextmanager, nullcontext
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Generic

import numpy as np
import pyarrow as pa

from longtail_cli.errors import LtcalError, Problem, UsageError
from longtail_cli.execution.base import BUCKET, Found, NamedPart, Part, Produced, Progress, Result
from longtail_cli.execution.ray import nodes
from longtail_cli.execution.ray.shuffle import Shuffle
from longtail_cli.tables import Longs

Ref = Any
"""A `ray.ObjectRef`, or its like of a Ray client."""

RETRIES = 3
"""How often a task is started again if its worker or node is lost."""

_PER_PROCESSOR = 2  # tasks submitted at once: the one that runs, and the next
_PATIENCE = 5.0  # seconds until a task has to react to an interruption


@dataclass(frozen=True, slots=True)
class RayExecution:
    """Runs each part in a task with one processor, on the cluster that this process is connected to."""

    shuffle: Shuffle
    memory: int | None = None
    """Bytes that a worker may use, by which Ray decides how many run on a node; None for no bound."""

    @property
    def at_once(self) -> int:
        """1, as `memory` is that of a worker."""
        return 1

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
        run = ray.remote(_produced).options(
            **needs, num_returns=2, num_gpus=gpus if gpus and nodes.has_gpus() else 0, name=task
        )
        shared, folder = ray.put(work), Path.cwd()
        rows: list[Ref] = [None] * len(parts)

        def submit(number: int) -> Ref:
            outcome, rows[number] = run.remote(shared, parts[number].content, folder)
            return outcome

        total, done = max(sum(part.size for part in parts), 1), 0
        outcomes: list[Any] = [None] * len(parts)
        progress(task, 0.0)
        for count, (number, outcome) in enumerate(_completed(submit, [part.name for part in parts]), 1):
            outcomes[number] = outcome
            done += parts[number].size
            progress(f"{task} {count} of {len(parts)} parts", done / total)
        held = [ref for ref, outcome in zip(rows, outcomes, strict=True) if len(outcome.buckets)]
        try:
            buckets = np.unique(np.concatenate([np.zeros(0, np.int64), *(outcome.buckets for outcome in outcomes)]))
            size = sum(outcome.size for outcome in outcomes)
            yield RayRows(tuple(outcome.found for outcome in outcomes), held, buckets, size, needs, self.shuffle)
        finally:
            rows.clear()
            held.clear()


@dataclass(frozen=True, slots=True)
class RayRows(Generic[Found]):
    """Rows in the object store of the cluster."""

    found: tuple[Found, ...]
    rows: list[Ref]
    """Of the tables of the parts that have rows; emptied when they are released."""
    buckets: Longs
    """int64 [b], ascending, those that have rows."""
    size: int
    """Bytes of all rows."""
    needs: dict[str, Any]
    """What tasks ask of Ray."""
    shuffle: Shuffle

    def reduced(self, work: Callable[[int, pa.Table], Result], progress: Progress) -> Iterator[Result]:
        """See `Mapped.reduced`. Raises UsageError if workers are lost again and again."""
        if not self.rows:
            return
        results = {}
        progress("reducing", 0.0)
        with _raised_in("reducing"):
            for bucket, result in self.shuffle.reduced(self.rows, work, len(self.buckets), self.size):
                results[bucket] = result
                progress("reducing", len(results) / len(self.buckets))
        for bucket in self.buckets.tolist():
            yield results.pop(bucket)

    def each(self, work: Callable[[pa.Table], Result], columns: Sequence[str], progress: Progress) -> Iterator[Result]:
        """See `Mapped.each`. Raises UsageError if workers are lost again and again."""
        import ray

        run = ray.remote(_of_rows).options(**self.needs, name="counting")
        shared, names = ray.put(work), tuple(columns)
        labels = [f"part {number + 1}" for number in range(len(self.rows))]
        completed = _completed(lambda number: run.remote(shared, names, self.rows[number]), labels)
        for count, (_, result) in enumerate(completed, 1):
            progress("counting", count / len(self.rows))
            yield result


@dataclass(frozen=True, slots=True)
class _Outcome:
    """What the driver learns of a part."""

    found: Any
    buckets: Longs
    """int64 [b], those of its rows."""
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
        return _Outcome(produced.found, np.zeros(0, np.int64), 0), None
    return _Outcome(produced.found, np.unique(rows.column(BUCKET).to_numpy()).astype(np.int64), rows.nbytes), rows


def _of_rows(work: Callable[[pa.Table], Result], columns: tuple[str, ...], rows: pa.Table) -> Result | LtcalError:
    """A task, see `_produced`."""
    try:
        return work(rows.select(list(columns)))
    except LtcalError as error:
        return error


def _completed(submit: Callable[[int], Ref], names: Sequence[str]) -> Iterator[tuple[int, Any]]:
    """The number and the result of each task, in the order in which they end.

    submit: starts the task of a number. It is called while there are processors, not for all tasks at once. Tasks that
    are under way when the caller stops, or one fails, are cancelled, and have ended before this does: none writes to an
    output that is removed then. Raises what a task returns as an LtcalError or
    raises, and UsageError for one that is lost.
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
            done, _ = ray.wait(list(running))
            for ref in done:
                number = running.pop(ref)
                yield number, _result(ref, names[number])
    finally:
        _cancel(list(running))


def _cancel(running: list[Ref]) -> None:
    """Interrupt tasks, and end the workers of those that do not stop soon."""
    import ray

    for ref in running:
        ray.cancel(ref)
    _, late = ray.wait(running, num_returns=len(running), timeout=_PATIENCE) if running else ([], [])
    for ref in late:
        ray.cancel(ref, force=True)


def _result(ref: Ref, name: str) -> Any:
    import ray

    with _raised_in(name):
        result = ray.get(ref)
    if isinstance(result, LtcalError):
        raise result
    return result


@contextmanager
def _raised_in(name: str) -> Iterator[None]:
    """Raise what a task raised as it was, and UsageError for one that is lost. name: what was worked on."""
    import ray

    try:
        yield
    except ray.exceptions.RayTaskError as error:
        raise error.cause from error
    except ray.exceptions.RayError as error:
        raise _lost(name, error) from error


def _lost(name: str, error: Exception) -> UsageError:
    """The error of a part whose workers did not live to its end."""
    problem = Problem(name, "a worker that lives until its part is done", f"{type(error).__name__}: {error}")
    fix = "state with `memory=` what a worker may use, so that no more of them share a node; see Ray's logs of the node"
    return UsageError("Ray", [problem], fix)
