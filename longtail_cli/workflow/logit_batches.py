"""Applies methods to a logits file batch by batch, reading it once and in bounded memory. Imports torch."""

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

from longtail_cli.files.logits.reader import LogitsFile, parts_of
from longtail_cli.methods.apply import Adjuster, activated
from longtail_cli.tables import LogitColumns, Logits
from longtail_cli.workflow.progress import Progress

Result = TypeVar("Result")
Work = Callable[[torch.Tensor, LogitColumns, Logits], Result]
"""Called with scores [N, K] float32, their columns and their batch; scores and logits are valid until it returns."""

LOGITS_PER_STEP = {"cpu": 1 << 19, "cuda": 1 << 26}
"""Logits processed together: as many as fit into the caches of a CPU, or keep a GPU busy."""

STEPS_PER_READ = {"cpu": 8, "cuda": 1}
"""How many of these steps are read together and processed by one thread; waking a thread takes time."""

THREADS = os.cpu_count() or 1


def map_batches(
    file: LogitsFile, tasks: Sequence[tuple[Adjuster, Work[Result]]], device: torch.device, progress: Progress
) -> Iterator[list[Result]]:
    """The results of the tasks, one per task, for each batch in file order.

    A task is an adjuster and the work on its scores; a file of scores needs no activation. Batches are processed by one
    thread per processor, with at most two batches per thread in memory.
    """
    rows = max(1, LOGITS_PER_STEP[device.type] // file.width)
    memory, recycled, done = _Memory(device), _Recycled(), 0

    def process_part(part: Logits) -> list[Result]:
        file.check(part)
        results = []
        for adjuster, work in tasks:
            own = memory.shaped(part.logits.shape)
            scores = adjuster(part.logits, part.features, own)
            fits = device.type == "cpu" and scores.shape == own.shape
            scores = activated(scores, adjuster.columns, out=own if fits else None)
            results.append(work(scores, adjuster.columns, part))
        return results

    def process(batch: Logits) -> list[list[Result]]:
        results = [process_part(part) for part in parts_of(batch, rows)]
        recycled.give(batch.logits)
        return results

    with one_thread_each(), ThreadPoolExecutor(THREADS) as pool:
        ahead: deque[tuple[int, Future[list[list[Result]]]]] = deque()
        for batch in file.unchecked_batches(STEPS_PER_READ[device.type] * rows, recycled.take):
            ahead.append((len(batch), pool.submit(process, batch)))
            if len(ahead) >= 2 * THREADS:
                count, future = ahead.popleft()
                done += count
                progress("adjusting", done / max(file.rows, 1))
                yield from future.result()
        while ahead:
            yield from ahead.popleft()[1].result()


class _Memory(threading.local):
    """A buffer for each thread, reused for every batch: allocating memory would take longer than the work."""

    def __init__(self, device: torch.device) -> None:
        self._flat = torch.empty(0, device=device)

    def shaped(self, shape: torch.Size) -> torch.Tensor:
        """Uninitialised float32 of this shape."""
        if len(self._flat) < shape.numel():
            self._flat = torch.empty(shape.numel(), device=self._flat.device)
        return self._flat[: shape.numel()].view(shape)


class _Recycled:
    """Buffers that batches are read into, returned after use from any thread."""

    def __init__(self) -> None:
        self._free: deque[torch.Tensor] = deque()
        self._lent: dict[int, torch.Tensor] = {}

    def take(self, shape: tuple[int, ...], dtype: torch.dtype) -> torch.Tensor:
        """An uninitialised tensor, in a returned buffer if that is large enough."""
        size = prod(shape)
        flat = self._free.popleft() if self._free else torch.empty(0, dtype=dtype)
        if flat.dtype != dtype or len(flat) < size:
            flat = torch.empty(size, dtype=dtype)
        self._lent[flat.data_ptr()] = flat
        return flat[:size].view(shape)

    def give(self, tensor: torch.Tensor) -> None:
        """Return a tensor from `take`; tensors with other memory are ignored."""
        flat = self._lent.pop(tensor.data_ptr(), None)
        if flat is not None:
            self._free.append(flat)


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run each torch operation on one thread, as the batches already use all processors."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
