"""Every batch of a classifier's scores counted: the figures of each correction, and those of each resample."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli.adjust.apply import Adjuster
from longtail_cli.evaluate.classification import ClassificationFigures, Tally
from longtail_cli.evaluate.classification_rows import RowTally, resampled_figures
from longtail_cli.evaluate.draws import Draws
from longtail_cli.files.logits import LogitsFile
from longtail_cli.tables import FrequencyTable, LogitColumns, Logits, Longs
from longtail_cli.workflow.batches import THREADS, through
from longtail_cli.workflow.evaluated import Resampled
from longtail_cli.workflow.telling import Say


@dataclass(frozen=True, slots=True)
class Case:
    """One file and what it is held against. groups: int8 [C] in column order, or None."""

    file: LogitsFile
    truth: Longs
    groups: npt.NDArray[np.int8] | None
    table: FrequencyTable | None
    per_category: bool
    draws: Draws | None


def tallied(
    case: Case, adjusters: Sequence[Adjuster], device: torch.device, say: Say
) -> list[tuple[ClassificationFigures, Resampled]]:
    """The figures after each adjuster, and those of each resample."""
    counters = [_Counter(case) for _ in adjusters]
    tasks = [(adjuster, counter.count) for adjuster, counter in zip(adjusters, counters, strict=True)]
    for _ in through(case.file, tasks, device, say):
        pass
    return [(counter.figures(), counter.resampled()) for counter in counters]


class _Counter:
    """A tally for each thread, so that batches can be counted at once."""

    def __init__(self, case: Case) -> None:
        self._truth, self._draws = case.truth, case.draws
        classes = len(case.file.columns)
        self._rows = None if case.draws is None else RowTally(len(case.truth), classes, case.groups)
        self._all = [Tally(len(case.file.columns), case.groups) for _ in range(THREADS)]
        self._free: SimpleQueue[Tally] = SimpleQueue()
        for tally in self._all:
            self._free.put(tally)

    def count(self, scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> None:
        of_classes, labels = scores[:, columns.classes].cpu().numpy(), self._truth[batch.first :][: len(batch)]
        tally = self._free.get()
        tally.add(of_classes, labels)
        self._free.put(tally)
        if self._rows is not None:
            self._rows.add(batch.first, of_classes, labels)

    def figures(self) -> ClassificationFigures:
        return reduce(Tally.plus, self._all).figures()

    def resampled(self) -> Resampled:
        """The figures of each resample by name; none without draws."""
        if self._rows is None or self._draws is None:
            return {}
        rows, draws = self._rows, self._draws
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda b: resampled_figures(rows, draws.weight(b)), range(draws.resamples)))
        return {f"classification/{name}": np.array([one[name] for one in found], np.float64) for name in found[0]}
