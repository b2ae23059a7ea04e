"""Kernels in threads: they release the interpreter, so all cores work on one stage."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from itertools import pairwise
from typing import TypeVar

import numpy as np
import numpy.typing as npt


def processors() -> int:
    """Those that batch systems and Ray give a process in ``OMP_NUM_THREADS``, or all of the machine."""
    given = os.environ.get("OMP_NUM_THREADS", "").partition(",")[0].strip()
    return int(given) if given.isascii() and given.isdigit() and int(given) else os.cpu_count() or 1


THREADS = processors()

_PARTS = 4 * THREADS  # more than threads, as parts differ in work
_LEAST = 1 << 12  # rows that are worth a thread

Result = TypeVar("Result")
Scalar = TypeVar("Scalar", bound=np.generic)


def in_parts(work: Callable[[int, int], Result], number: int) -> list[Result]:
    """The results of ``work(first, last)`` for consecutive parts of `number` rows, in order; none for no rows."""
    parts = min(_PARTS, -(-number // _LEAST))
    return in_threads(work, np.linspace(0, number, parts + 1).astype(int).tolist())


def take(values: npt.NDArray[Scalar], rows: npt.NDArray[np.int64]) -> npt.NDArray[Scalar]:
    """``values[rows]``, for one-dimensional values and rows from 0."""
    taken = np.empty(len(rows), values.dtype)
    in_parts(lambda low, high: values.take(rows[low:high], out=taken[low:high], mode="clip"), len(rows))
    return taken


def cuts_of(start: npt.NDArray[np.int64]) -> list[int]:
    """Where to cut C groups into parts with about as many rows each.

    start: int64 [C + 1], rows ``start[c]:start[c + 1]`` are those of group c.
    """
    within = np.linspace(0, start[-1], min(_PARTS, -(-int(start[-1]) // _LEAST)) + 1)[1:-1]
    return [0, *np.searchsorted(start, within).tolist(), len(start) - 1]


def in_threads(work: Callable[[int, int], Result], cuts: Sequence[int]) -> list[Result]:
    """The results of ``work(first, last)`` for each two neighbours of `cuts`, in order."""
    if len(cuts) <= 2:
        return [work(*cut) for cut in pairwise(cuts)]
    with ThreadPoolExecutor(THREADS) as pool:
        return list(pool.map(lambda cut: work(*cut), pairwise(cuts)))


@contextmanager
def one_thread_each() -> Iterator[None]:
    """Run each torch operation on one thread, for work whose parts already use all processors."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
