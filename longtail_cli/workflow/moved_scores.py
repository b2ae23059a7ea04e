"""How far a method moves the scores of logits, measured on some rows spread over the file. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.methods.apply import Adjuster, activated, overflowed
from longtail_cli.parallel import one_thread_each
from longtail_cli.tables import Logits

SAMPLED_LOGITS = 1 << 19
"""About how many logits are kept."""


SampledRows = tuple[torch.Tensor, torch.Tensor | None]
"""Logits and features."""


class RowSample:
    """Some rows of a file, taken from its batches while they are read for the first time."""

    def __init__(self, file: LogitsFile, unadjusted: Adjuster) -> None:
        """unadjusted: the adjuster of the method ``none``."""
        self._share = sampled_share(file)
        self._unadjusted = unadjusted
        self._taken: dict[int, SampledRows] = {}
        self._rows: SampledRows | None = None
        self._before = torch.empty(0)

    def offer(self, batch: Logits) -> None:
        """Take some rows of the batch, unless they were taken before or the sample is closed."""
        if self._rows is None and batch.first not in self._taken:
            self._taken[batch.first] = sampled_rows(batch, self._share)

    def close(self) -> None:
        """Every batch was offered."""
        if self._rows is None and self._taken:
            self.fill([self._taken[first] for first in sorted(self._taken)])
            self._taken.clear()

    def fill(self, parts: Sequence[SampledRows]) -> None:
        """Take the rows of all batches, in the order of the file; at least one batch."""
        logits, features = zip(*parts, strict=True)
        known = [one for one in features if one is not None]
        self._rows = torch.cat(logits), torch.cat(known) if known else None
        self._before = _scores(self._unadjusted, self._rows)

    def moved(self, adjuster: Adjuster) -> float:
        """The mean distance between the scores of a row before and after, in [0, 1]; 0 without rows.

        Of two softmax heads with all columns it is the total variation distance, half of the sum of the absolute
        differences; otherwise the mean absolute difference over the classes.
        """
        if self._rows is None:
            return 0.0
        before, after, one = self._before, _scores(adjuster, self._rows), self._unadjusted
        if one.columns.head == adjuster.columns.head == "softmax":
            return float((after - before).abs().sum(dim=1).mean()) / 2
        return float((after[:, adjuster.columns.classes] - before[:, one.columns.classes]).abs().mean())


def sampled_share(file: LogitsFile) -> float:
    """Which share of the rows of a file is taken, in [0, 1]."""
    return min(1.0, SAMPLED_LOGITS / max(1, file.rows * file.width))


def sampled_rows(batch: Logits, share: float) -> SampledRows:
    """Copies of some rows of a batch, spread over it; at least one."""
    row = torch.linspace(0, len(batch) - 1, max(1, round(len(batch) * share))).long()
    return batch.logits[row], None if batch.features is None else batch.features[row]


def _scores(adjuster: Adjuster, rows: SampledRows) -> torch.Tensor:
    with one_thread_each():  # faster for so few rows
        scores = activated(adjuster(*rows), adjuster.columns)
        overflow = overflowed(scores, adjuster.columns)
        if len(overflow):
            scores[overflow] = activated(adjuster.in_double()(*rows), adjuster.columns)[overflow].to(scores)
        return scores
