"""A logits file, batch by batch, through one or several corrections; read once, in bounded memory.

Importing this module imports torch.
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from math import prod
from typing import TypeVar

import torch

from longtail_cli.adjust.apply import Adjuster
from longtail_cli.decode.activation import activated
from longtail_cli.files.logits.reader import LogitsFile, parts_of
from longtail_cli.tables import LogitColumns, Logits
from longtail_cli.workflow.progress import Progress

Result = TypeVar("Result")
Work = Callable[[torch.Tensor, LogitColumns, Logits], Result]
"""Takes scores [N, K] float32, what their columns are, and the batch they come from.

Scores and the logits of the batch are valid until it returns.
"""

LOGITS_PER_STEP = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Logits that are worked on together: on a CPU what its caches hold, on a GPU enough to keep it busy."""

STEPS_PER_READ = {"cpu": 8, "cuda": 1}
"""How many times as many are read together, and worked on by one thread: to wake a thread takes time."""

THREADS = os.cpu_count() or 1


def map_batches(
    file: LogitsFile, tasks: Sequence[tuple[Adjuster, Work[Result]]], device: torch.device, progress: Progress
) -> Iterator[list[Result]]:
    """What each task makes of each batch: a list with one result a task, for every batch in the order of the file.

    A task is an adjuster and the work on the scores that follow from it; scores in the file count as they are. Batches
    are worked on in as many threads as there are processors; at most two a thread are in memory.
    """
    rows = max(1, LOGITS_PER_STEP[device.type] // file.width)
    memory, recycled, done = _Memory(device), _Recycled(), 0

    def one(part: Logits) -> list[Result]:
        file.check(part)
        results = []
        for adjuster, work in tasks:
            own = memory.shaped(part.logits.shape)
            scores = adjuster(part.logits, part.features, own)
            if file.content == "logits":
                fits = device.type == "cpu" and scores.shape == own.shape
                scores = activated(scores, adjuster.columns, out=own if fits else None)
            results.append(work(scores, adjuster.columns, part))
        return results

    def worked_on(batch: Logits) -> list[list[Result]]:
        results = [one(part) for part in parts_of(batch, rows)]
        recycled.give(batch.logits)
        return results

    with one_thread_each(), ThreadPoolExecutor(THREADS) as pool:
        ahead: deque[tuple[int, Future[list[list[Result]]]]] = deque()
        for batch in file.unchecked_batches(STEPS_PER_READ[device.type] * rows, recycled.take):
            ahead.append((len(batch), pool.submit(worked_on, batch)))
            if len(ahead) >= 2 * THREADS:
                count, future = ahead.popleft()
                done += count
                progress("correcting", done / max(file.rows, 1))
                yield from future.result()
        while ahead:
            yield from ahead.popleft()[1].result()


class _Memory(threading.local):
    """A tensor for each thread, used over again for every batch: fresh memory costs more than the work done in it."""

    def __init__(self, device: torch.device) -> None:
        self._flat = torch.empty(0, device=device)

    def shaped(self, shape: torch.Size) -> torch.Tensor:
        """Uninitialised float32 of this shape."""
        if len(self._flat) < shape.numel():
            self._flat = torch.empty(shape.numel(), device=self._flat.device)
        return self._flat[: shape.numel()].view(shape)


class _Recycled:
    """Memory that batches are read to, given back when a batch is done with; from any thread."""

    def __init__(self) -> None:
        self._free: deque[torch.Tensor] = deque()
        self._lent: dict[int, torch.Tensor] = {}

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """Uninitialised, in memory that was given back if there is enough of it in one piece."""
        size = prod(shape)
        flat = self._free.popleft() if self._free else torch.empty(0, dtype=dtype)
        if flat.dtype != dtype or len(flat) < size:
            flat = torch.empty(size, dtype=dtype)
        self._lent[flat.data_ptr()] = flat
        return flat[:size].view(shape)

    def give(self, tensor: torch.Tensor) -> None:
        """Take back what `take` gave; kinds of file that bring their own memory keep it."""
        flat = self._lent.pop(tensor.data_ptr(), None)
        if flat is not None:
            self._free.append(flat)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Keep torch from spreading each operation over all processors while the batches do that."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
