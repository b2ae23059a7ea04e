"""Applies methods to a logits file batch by batch, reading it once and in bounded memory. Imports torch."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Generator, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from math import prod
from typing import Generic, Protocol, TypeVar

import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.checks import all_finite, first_not_finite
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.apply import activated, overflowed
from longtail_cli.parallel import THREADS, one_thread_each
from longtail_cli.tables import LogitColumns, Logits
from longtail_cli.workflow.progress import Progress

Result = TypeVar("Result")
Work = Callable[[torch.Tensor, LogitColumns, Logits], Result]
"""Called with scores [N, K] float32, their columns and their batch; scores and logits are valid until it returns."""


class BatchAdjuster(Protocol):
    """Adjusts the logits of a batch."""

    columns: LogitColumns
    """What the columns are afterwards."""

    def of_batch(self, batch: Logits, out: torch.Tensor | None = None) -> torch.Tensor:
        """The adjusted logits [N, K'], in `out` [N, K] if it has their shape."""
        ...

    def in_double(self) -> BatchAdjuster:
        """The same in float64."""
        ...


LOGITS_PER_BATCH = {"cpu": 1 << 20, "cuda": 1 << 26}
"""Logits processed together: few enough for the caches of a CPU, enough to keep a GPU busy."""

BATCHES_PER_TASK = {"cpu": 4, "cuda": 1}
"""How many batches a thread processes before it hands over the results; waking a thread takes time."""


def map_batches(
    file: LogitsFile,
    tasks: Sequence[tuple[BatchAdjuster, Work[Result]]],
    device: torch.device,
    progress: Progress,
    *,
    activate: bool = True,
) -> Generator[list[Result]]:
    """The results of the tasks, one per task, for each batch in file order.

    A task is an adjuster and the work on its scores, or without `activate` on the adjusted logits; a file of scores
    needs no activation. Batches are read and processed by one thread per processor, each in its own memory.
    Rows that overflow float32 are adjusted in float64. Raises InputError for one that overflows even that.
    """
    reader: _Reader[Result] = _Reader(file, LOGITS_PER_BATCH[device.type])
    memory, done = ThreadMemory(device), 0

    def process(batch: Logits) -> list[Result]:
        file.check(batch)
        results = []
        for adjuster, work in tasks:
            own = memory.shaped(batch.logits.shape)
            scores = adjuster.of_batch(batch, own)
            if activate:
                fits = device.type == "cpu" and scores.shape == own.shape
                scores = activated(scores, adjuster.columns, out=own if fits else None)
                overflow = overflowed(scores, adjuster.columns)
                if len(overflow):
                    exact = activated(adjuster.in_double().of_batch(batch), adjuster.columns)
                    scores[overflow] = exact[overflow].to(scores)
                    check_finite(scores[overflow], file, batch, overflow)
            else:
                check_finite(scores, file, batch)
            results.append(work(scores, adjuster.columns, batch))
        return results

    def process_some() -> bool:
        return all(reader.hand_out(process) for _ in range(BATCHES_PER_TASK[device.type]))

    with one_thread_each(), ThreadPoolExecutor(THREADS) as pool:
        running = deque(pool.submit(process_some) for _ in range(2 * THREADS))
        while running:
            if running.popleft().result():
                running.append(pool.submit(process_some))
            for rows, results in reader.in_order():
                done += rows
                progress("adjusting", done / max(file.rows, 1))
                yield results


def check_finite(adjusted: torch.Tensor, file: LogitsFile, batch: Logits, rows: torch.Tensor | None = None) -> None:
    """Raise InputError if a row of a batch of `file` is not finite after it was adjusted.

    adjusted: [n, K'], some rows of the batch, or all. rows: int64 [n], which of them; None for all.
    """
    if all_finite(adjusted):
        return
    (first, *_), _ = first_not_finite(adjusted)
    path, row = file.location(batch.first + (first if rows is None else int(rows[first])))
    problem = Problem(f"tensor `logits`, row {row}", "numbers that the method keeps finite", "an overflow")
    fix = "divide the logits by a constant before saving them, or give the method smaller parameters"
    raise InputError(str(path), [problem], fix)


class _Reader(Generic[Result]):
    """Reads a file batch by batch, each in the thread that processes it, so that it is in the cache of that one."""

    def __init__(self, file: LogitsFile, logits: int) -> None:
        memory = ThreadMemory(torch.device("cpu"))
        self._batches = file.unchecked_batches(max(1, logits // file.width), memory.shaped)
        self._lock = threading.Lock()
        self._ahead: deque[Future[tuple[int, list[Result]]]] = deque()

    def hand_out(self, process: Callable[[Logits], list[Result]]) -> bool:
        """Read the next batch and process it; it is valid until then. False after the last batch and after an error."""
        outcome: Future[tuple[int, list[Result]]] = Future()
        try:
            with self._lock:
                self._ahead.append(outcome)
                batch = next(self._batches, None)
            outcome.set_result((0, []) if batch is None else (len(batch), process(batch)))
        except InputError as error:
            outcome.set_exception(error)
            return False
        return batch is not None

    def in_order(self) -> Iterator[tuple[int, list[Result]]]:
        """Number of rows and results of the batches that are done, up to the first that is not. Raises its error."""
        while self._ahead and self._ahead[0].done():
            rows, results = self._ahead.popleft().result()
            if rows:
                yield rows, results


class ThreadMemory(threading.local):
    """A buffer for each thread, reused for every batch: allocating memory would take longer than the work."""

    def __init__(self, device: torch.device) -> None:
        self._bytes = torch.empty(0, dtype=torch.uint8, device=device)

    def shaped(self, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> torch.Tensor:
        """Uninitialised memory of this shape and type."""
        size = prod(shape) * dtype.itemsize
        if len(self._bytes) < size:
            self._bytes = torch.empty(size, dtype=torch.uint8, device=self._bytes.device)
        return self._bytes[:size].view(dtype).view(shape)
