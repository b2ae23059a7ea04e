"""Metrics of classifiers: accuracy by class frequency, calibration, and confusion between the frequency groups.

They are reduced from sums that are updated block by block, so that only one block is in memory at a time.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.classification.kernels import Sums, add_rows
from longtail_cli.metrics import Classification, ReliabilityBin, Value, Values, defined, mean, ratio
from longtail_cli.tables import Floats, Longs, Singles

GROUPS = ("many", "medium", "few")
"""Classes by frequency in the training set, head to tail; `Tally` takes groups as indices into this."""


@dataclass(frozen=True, slots=True)
class ClassificationResult:
    """The metrics of N rows, over all C classes and by class."""

    metrics: Classification
    samples: Longs
    """int64 [C], rows of each class."""
    recall: tuple[Value, ...]
    """Share of correct predictions among the rows of each class; None for classes without rows."""

    @property
    def rows(self) -> int:
        """N."""
        return int(self.samples.sum())


class Tally:
    """The sufficient statistics of the metrics, all of them sums over rows in float64.

    classes: C >= 1. group: int8 [C], index into `GROUPS`, -1 for a class in no group; None without groups.

    The metrics differ from the exact ones, and with the order of the blocks, by less than 2e-16 times N, in practice by
    less than 1e-12. A tally is for one thread at a time; give each thread its own and add them up with `plus`. `add`
    releases the GIL. Raises ValueError for groups of another shape or index.
    """

    def __init__(self, classes: int, group: npt.NDArray[np.int8] | None = None) -> None:
        check_groups(group, classes)
        self._grouped = group is not None
        self._group = np.full(classes, -1, np.int64) if group is None else group.astype(np.int64)
        self._sums = Sums.zero(classes, len(GROUPS))

    def add(self, scores: Singles, labels: Longs) -> None:
        """Add n >= 0 rows.

        scores: float32 [n, C] in [0, 1], which is not checked. labels: int64 [n], the column of the true class.
        Fastest for blocks that fit in the cache, about 1,000 rows. Raises ValueError as `check_rows`.
        """
        scores, labels = np.ascontiguousarray(scores), np.ascontiguousarray(labels)
        check_rows(scores, labels, len(self._group))
        add_rows(scores, labels, self._group, self._sums)

    def plus(self, other: Tally) -> Tally:
        """A tally of the rows of both. Raises ValueError if their classes or groups differ."""
        if not np.array_equal(self._group, other._group) or self._grouped != other._grouped:
            raise ValueError("expected a tally of the same classes and groups")
        both = Tally(len(self._group), self._group.astype(np.int8) if self._grouped else None)
        both._sums = self._sums.plus(other._sums)
        return both

    def metrics(self) -> ClassificationResult:
        """The metrics of all rows so far; more may follow."""
        sums = self._sums
        rows = int(sums.samples.sum())
        recall = ratios(sums.hits, sums.samples)
        first_five, log_loss, squares = sums.totals.tolist()
        by_group = {name: mean(recall[self._group == g]) for g, name in enumerate(GROUPS)}
        metrics = Classification(
            top1=ratio(float(sums.hits.sum()), rows),
            top5=ratio(first_five, rows),
            balanced=mean(recall),
            many=by_group["many"],
            medium=by_group["medium"],
            few=by_group["few"],
            ece=ratio(float(np.abs(sums.bins[:, 1] - sums.bins[:, 2]).sum()), rows),
            classwise_ece=_classwise_ece(sums),
            nll=ratio(log_loss, rows),
            brier=ratio(squares, rows),
            confusion=_confusion(sums, self._group) if self._grouped else {},
            reliability=_reliability(sums.bins),
        )
        return ClassificationResult(metrics, sums.samples.copy(), tuple(defined(recall)))


def check_groups(group: npt.NDArray[np.int8] | None, classes: int) -> None:
    """Raise ValueError unless `group` is None or int8 [classes] of indices into `GROUPS` and -1."""
    if group is not None and (group.shape != (classes,) or not np.isin(group, range(-1, len(GROUPS))).all()):
        raise ValueError(f"expected the group of each of {classes} classes, -1 to {len(GROUPS) - 1}, found {group}")


def check_rows(scores: Singles, labels: Longs, classes: int) -> None:
    """Raise ValueError unless scores are float32 [n, classes], and labels int64 [n] of indices of columns."""
    if scores.dtype != np.float32 or scores.ndim != 2 or scores.shape[1] != classes:
        raise ValueError(f"expected scores float32 [n, {classes}], found {scores.dtype} {list(scores.shape)}")
    if labels.dtype != np.int64 or labels.shape != scores.shape[:1]:
        raise ValueError(f"expected labels int64 [{len(scores)}], found {labels.dtype} {list(labels.shape)}")
    if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
        raise ValueError(f"expected labels from 0 to {classes - 1}, found {labels.min()} to {labels.max()}")


def ratios(totals: Floats | Longs, numbers: Floats | Longs) -> Floats:
    """The quotients, NaN if the number is 0: float64 [n]."""
    quotients = np.full(len(totals), np.nan)
    np.divide(totals, numbers, out=quotients, where=numbers > 0)
    return quotients


def _classwise_ece(sums: Sums) -> Value:
    """Mean over the classes of sum_b |sum of scores - rows of the class| / N; the first bin follows from the others."""
    rows = int(sums.samples.sum())
    first = sums.mass.sum(axis=0) - sums.samples - sums.excess.sum(axis=1)
    of_class = np.abs(first) + np.abs(sums.excess[:, 1:]).sum(axis=1)
    return ratio(float(of_class.mean()), rows)


def _confusion(sums: Sums, group: Longs) -> dict[str, Values]:
    return {
        true: {
            name: ratio(float(sums.mass[t, group == g].sum()), int(sums.samples[group == t].sum()))
            for g, name in enumerate(GROUPS)
        }
        for t, true in enumerate(GROUPS)
    }


def _reliability(bins: Floats) -> tuple[ReliabilityBin, ...]:
    count, confidence, right = bins.T
    columns = (count.astype(int).tolist(), defined(ratios(confidence, count)), defined(ratios(right, count)))
    return tuple(ReliabilityBin(*column) for column in zip(*columns, strict=True))
