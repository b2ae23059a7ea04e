"""What is counted of the rows of a classifier, in one pass for all methods. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import reduce
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli.evaluation.bootstrap.resampling import Draws, Weightings
from longtail_cli.evaluation.classification.metrics import ClassificationResult, Tally
from longtail_cli.evaluation.classification.resampled import RowTally, resampled_rows
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.metrics import RowPredictions
from longtail_cli.parallel import THREADS
from longtail_cli.tables import FrequencyTable, LogitColumns, Logits, Longs
from longtail_cli.workflow.intervals import Resampled
from longtail_cli.workflow.logit_batches import BatchAdjuster, map_batches
from longtail_cli.workflow.progress import Progress


@dataclass(frozen=True, slots=True)
class ClassificationInput:
    """One input, the true classes of its rows, and the groups of its classes."""

    file: LogitsFile
    truth: Longs
    groups: npt.NDArray[np.int8] | None
    """int8 [C] in column order, index into `GROUPS`; or None."""
    table: FrequencyTable | None
    per_category: bool
    draws: Draws | None
    rows: Longs | None = None
    """int64 [N], the position of each row in the input, to keep its prediction; None to keep none."""
    sliced: bool = False
    """Whether statistics of each row are needed for slices."""


def tally_methods(
    given: ClassificationInput, adjusters: Sequence[BatchAdjuster], device: torch.device, progress: Progress
) -> list[RowCounter]:
    """The counts of all rows after each adjuster."""
    counters = [RowCounter(given) for _ in adjusters]
    tasks = [(adjuster, counter.count) for adjuster, counter in zip(adjusters, counters, strict=True)]
    for _ in map_batches(given.file, tasks, device, progress):
        pass
    return counters


class RowCounter:
    """A tally for each thread, so that batches can be counted in parallel."""

    def __init__(self, given: ClassificationInput) -> None:
        self._truth, self._draws = given.truth, given.draws
        self.predictions = None if given.rows is None else _no_predictions(given, given.rows)
        classes = len(given.file.columns)
        by_row = given.draws is not None or given.sliced
        self.rows = None if not by_row else RowTally(len(given.truth), classes, given.groups)
        self._all = [Tally(classes, given.groups) for _ in range(THREADS)]
        self._free: SimpleQueue[Tally] = SimpleQueue()
        for tally in self._all:
            self._free.put(tally)

    def count(self, scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> None:
        of_classes, labels = scores[:, columns.classes].cpu().numpy(), self._truth[batch.first :][: len(batch)]
        tally = self._free.get()
        tally.add(of_classes, labels)
        self._free.put(tally)
        if self.rows is not None:
            self.rows.add(batch.first, of_classes, labels)
        if self.predictions is not None:
            there = slice(batch.first, batch.first + len(batch))
            self.predictions.prediction[there] = of_classes.argmax(axis=1)
            self.predictions.confidence[there] = of_classes.max(axis=1)

    def result(self) -> ClassificationResult:
        return reduce(Tally.plus, self._all).metrics()

    def resampled(self) -> Resampled:
        """The metrics of each resample by name; empty without draws."""
        return {} if self.rows is None or self._draws is None else resampled_by_name(self.rows, self._draws)


def _no_predictions(given: ClassificationInput, rows: Longs) -> RowPredictions:
    """The rows, to be filled in."""
    number, names = len(rows), given.file.row_names or None
    return RowPredictions(rows, names, given.truth, np.zeros(number, np.int64), np.zeros(number))


def resampled_by_name(rows: RowTally, draws: Weightings) -> Resampled:
    """The metrics by name with the rows counted in each of these ways."""
    return {f"classification/{name}": values for name, values in resampled_rows(rows, draws).items()}
