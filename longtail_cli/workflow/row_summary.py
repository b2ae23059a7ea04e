"""What the values of a logits file look like, from one pass over its rows in bounded memory. Imports torch."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.tables import Floats, Logits, Longs, Singles
from longtail_cli.workflow.prepare_methods import LOG_PROBABILITY
from longtail_cli.workflow.progress import Progress

VALUES_PER_BATCH = 1 << 20
SAMPLED = 1 << 17
"""The median is of so many values, evenly from the file, or up to twice as many."""
SUM = 1e-2
"""Rows of probabilities sum to 1 up to this, also in half precision."""

Meaning = Literal["logits", "probabilities", "independent probabilities", "log-probabilities"]


@dataclass(frozen=True, slots=True)
class Span:
    """The least and the greatest of some numbers."""

    least: float
    greatest: float

    def within(self, low: float, high: float) -> bool:
        """Whether all are at least `low` and at most `high`."""
        return low <= self.least and self.greatest <= high


@dataclass(frozen=True, slots=True)
class RowSummary:
    """The values of N rows, N >= 1."""

    sample: Floats
    """float64 [n], some of the values, n >= 1."""
    value: Span
    sum: Span
    """Of each row."""
    log_sum_exp: Span
    """Of each row."""
    highest: Longs
    """int64 [N], the class column with the highest value of each row, from 0."""
    box: Span | None
    """Of the four numbers of the boxes; None without boxes."""
    largest_side: float
    """Of the boxes; 0 without boxes."""
    objectness: Span | None

    @property
    def meaning(self) -> Meaning:
        """What the values look like."""
        if self.value.least >= 0 and self.sum.within(1 - SUM, 1 + SUM):
            return "probabilities"
        if self.value.within(0, 1):
            return "independent probabilities"
        if self.log_sum_exp.within(-LOG_PROBABILITY, LOG_PROBABILITY):
            return "log-probabilities"
        return "logits"


def row_summary(file: LogitsFile, progress: Progress) -> RowSummary | None:
    """The summary; None for a file without rows. Raises InputError as the reader does."""
    parts = list(_parts(file, progress))
    return _joined(parts) if parts else None


def _parts(file: LogitsFile, progress: Progress) -> Iterator[RowSummary]:
    every = max(1, file.rows * file.width // SAMPLED)
    done = 0
    for batch in file.batches(max(1, VALUES_PER_BATCH // file.width)):
        yield _of_batch(file, batch, every)
        done += len(batch)
        progress("reading", done / file.rows)


def _of_batch(file: LogitsFile, batch: Logits, every: int) -> RowSummary:
    values = batch.logits.to(torch.float32)
    # a bags head mixes classes with the columns of its slices, so its highest column says nothing about a class
    classes = values if file.columns.head == "bags" else values[:, file.columns.classes]
    boxes = None if batch.boxes is None else batch.boxes.reshape(-1, 4)
    return RowSummary(
        values.reshape(-1)[::every].double().numpy().copy(),
        _span(values.numpy()),
        _span(values.double().sum(dim=1).numpy()),
        _span(torch.logsumexp(values, dim=1).numpy()),
        classes.argmax(dim=1).numpy(),
        None if boxes is None else _span(boxes),
        0.0 if boxes is None else float((boxes[:, 2:] - boxes[:, :2]).max(initial=0)),
        None if batch.objectness is None else _span(batch.objectness),
    )


def _span(values: Floats | Singles) -> Span:
    return Span(float(values.min()), float(values.max()))


def _joined(parts: list[RowSummary]) -> RowSummary:
    return RowSummary(
        np.concatenate([one.sample for one in parts]),
        _around([one.value for one in parts]),
        _around([one.sum for one in parts]),
        _around([one.log_sum_exp for one in parts]),
        np.concatenate([one.highest for one in parts]),
        _around([one.box for one in parts if one.box is not None]) if parts[0].box is not None else None,
        max(one.largest_side for one in parts),
        _around([one.objectness for one in parts if one.objectness is not None])
        if parts[0].objectness is not None
        else None,
    )


def _around(spans: list[Span]) -> Span:
    return Span(min(one.least for one in spans), max(one.greatest for one in spans))
