"""Figures of classifiers: accuracy by frequency of the class, calibration, and where the mass of the scores goes.

The sums that they are reduced from are updated block by block, so that no more than a block is ever in memory.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate.classification.kernels import Sums, add_rows
from longtail_cli.tables import Floats, Longs, Singles

GROUPS = ("many", "medium", "few")
"""Classes by how often they occur in the training set, head to tail; what the indices of `Tally` stand for."""


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """The rows whose greatest score lies in a bin: how many, the mean of it, and the share predicted rightly.

    confidence, accuracy: None where there are no rows.
    """

    count: int
    confidence: float | None
    accuracy: float | None


@dataclass(frozen=True, slots=True)
class ClassificationMetrics:
    """The figures of N rows of scores s [C] with true class y; fractions in [0, 1] unless stated.

    A row's prediction is the lowest class among those of the greatest score, its confidence that score. Of no rows
    every figure is None, and so is the recall of a class without rows and the mean recall of a group without any.

    rows: N. samples: int64 [C], rows of each class. recall: share of the rows of each class predicted rightly.
    top1, top5: share of the rows whose class stands first, or among the first five.
    balanced, many, medium, few: unweighted mean of the recall of all classes, and of each group.
    ece: sum over the 15 bins of |accuracy - confidence| times the bin's share of the rows (Guo et al., "On Calibration
        of Modern Neural Networks", ICML 2017, eq. 3). Bins are (k/15, (k+1)/15]; 0 falls in the first.
    classwise_ece: the mean over all C classes c of the same error of s_c against y = c (Kull et al., "Beyond
        temperature scaling", NeurIPS 2019, section 2; the static calibration error of Nixon et al., "Measuring
        Calibration in Deep Learning", 2019). Classes without rows take part: their scores should be low.
    nll: mean of -ln s_y in nats, >= 0, s_y at least the least normal float32 (87.3 nats).
    brier: mean over the rows of sum_c (s_c - [y = c])^2, in [0, C], for rows that sum to 1 in [0, 2].
    confusion: by true group, then by group: the mean over the rows of the true group of the sum of the scores of the
        group's classes. Empty without grouping.
    reliability: the 15 bins.

    Scores of sigmoid heads need not sum to 1. Then confidence is the score of the predicted class against all others
    together, nll the log-likelihood of the true class alone, and a row of the confusion sums to the mean sum of the
    scores, not to 1. Also for softmax it sums to less than 1 where a class or the background belongs to no group.
    """

    rows: int
    top1: float | None
    top5: float | None
    balanced: float | None
    many: float | None
    medium: float | None
    few: float | None
    ece: float | None
    classwise_ece: float | None
    nll: float | None
    brier: float | None
    confusion: Mapping[str, Mapping[str, float | None]]
    reliability: tuple[ReliabilityBin, ...]
    samples: Longs
    recall: tuple[float | None, ...]


class Tally:
    """The sufficient statistics of the figures, all of them sums over rows, kept in float64.

    classes: C >= 1. group: int8 [C], index into `GROUPS`, -1 for a class of none; None where there is no grouping.

    Scores count as the exact numbers that they are, and the sums are kept in float64: figures differ from the exact
    ones, and with the order of the blocks from one another, by less than 2e-16 times N, in practice by less than 1e-12.
    A tally is for one thread at a time; several threads take one each, which `plus` adds up. `add` releases the lock of
    the interpreter. Raises ValueError for groups of another shape or index.
    """

    def __init__(self, classes: int, group: npt.NDArray[np.int8] | None = None) -> None:
        if group is not None and (group.shape != (classes,) or not np.isin(group, range(-1, len(GROUPS))).all()):
            raise ValueError(f"expected the group of each of {classes} classes, -1 to {len(GROUPS) - 1}, found {group}")
        self._grouped = group is not None
        self._group = np.full(classes, -1, np.int64) if group is None else group.astype(np.int64)
        self._sums = Sums.zero(classes, len(GROUPS))

    def add(self, scores: Singles, labels: Longs) -> None:
        """Count n more rows.

        scores: float32 [n, C] in [0, 1], which is not checked. labels: int64 [n], the column of the true class.
        Fast for blocks that stay in the cache, 1,000 rows or so. n = 0 changes nothing.
        Raises ValueError where shapes or types are others, or a label is no column.
        """
        scores, labels = np.ascontiguousarray(scores), np.ascontiguousarray(labels)
        self._check(scores, labels)
        add_rows(scores, labels, self._group, self._sums)

    def plus(self, other: Tally) -> Tally:
        """A tally of the rows of both. Raises ValueError where they are of other classes or groups."""
        if not np.array_equal(self._group, other._group) or self._grouped != other._grouped:
            raise ValueError("expected a tally of the same classes and groups")
        both = Tally(len(self._group), self._group.astype(np.int8) if self._grouped else None)
        both._sums = self._sums.plus(other._sums)
        return both

    def figures(self) -> ClassificationMetrics:
        """The figures of all rows so far; more may follow."""
        sums = self._sums
        rows = int(sums.samples.sum())
        recall = _ratios(sums.hits, sums.samples)
        first_five, log_loss, squares = sums.totals.tolist()
        by_group = {name: recall[self._group == g] for g, name in enumerate(GROUPS)}
        return ClassificationMetrics(
            rows=rows,
            top1=_ratio(float(sums.hits.sum()), rows),
            top5=_ratio(first_five, rows),
            balanced=_mean(recall),
            many=_mean(by_group["many"]),
            medium=_mean(by_group["medium"]),
            few=_mean(by_group["few"]),
            ece=_ratio(float(np.abs(sums.bins[:, 1] - sums.bins[:, 2]).sum()), rows),
            classwise_ece=_classwise_ece(sums),
            nll=_ratio(log_loss, rows),
            brier=_ratio(squares, rows),
            confusion=_confusion(sums, self._group) if self._grouped else {},
            reliability=_reliability(sums.bins),
            samples=sums.samples.copy(),
            recall=_defined(recall),
        )

    def _check(self, scores: Singles, labels: Longs) -> None:
        classes = len(self._group)
        if scores.dtype != np.float32 or scores.ndim != 2 or scores.shape[1] != classes:
            raise ValueError(f"expected scores float32 [n, {classes}], found {scores.dtype} {list(scores.shape)}")
        if labels.dtype != np.int64 or labels.shape != scores.shape[:1]:
            raise ValueError(f"expected labels int64 [{len(scores)}], found {labels.dtype} {list(labels.shape)}")
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise ValueError(f"expected labels from 0 to {classes - 1}, found {labels.min()} to {labels.max()}")


def _classwise_ece(sums: Sums) -> float | None:
    """The mean over the classes of sum_b |sum of scores - rows of the class| / N, the first bin being what is left."""
    rows = int(sums.samples.sum())
    first = sums.mass.sum(axis=0) - sums.samples - sums.excess.sum(axis=1)
    of_class = np.abs(first) + np.abs(sums.excess[:, 1:]).sum(axis=1)
    return _ratio(float(of_class.mean()), rows)


def _confusion(sums: Sums, group: Longs) -> dict[str, dict[str, float | None]]:
    return {
        true: {
            name: _ratio(float(sums.mass[t, group == g].sum()), int(sums.samples[group == t].sum()))
            for g, name in enumerate(GROUPS)
        }
        for t, true in enumerate(GROUPS)
    }


def _reliability(bins: Floats) -> tuple[ReliabilityBin, ...]:
    count, confidence, right = bins.T
    columns = (count.astype(int).tolist(), _defined(_ratios(confidence, count)), _defined(_ratios(right, count)))
    return tuple(ReliabilityBin(*column) for column in zip(*columns, strict=True))


def _ratio(total: float, number: int) -> float | None:
    return total / number if number else None


def _ratios(totals: Floats | Longs, numbers: Floats | Longs) -> Floats:
    """Quotients, NaN where the number is 0."""
    quotients = np.full(len(totals), np.nan)
    np.divide(totals, numbers, out=quotients, where=numbers > 0)
    return quotients


def _defined(values: Floats) -> tuple[float | None, ...]:
    return tuple(None if np.isnan(value) else value for value in values.tolist())


def _mean(values: Floats) -> float | None:
    """The mean of the values that are not NaN; None without any."""
    defined = values[~np.isnan(values)]
    return float(defined.mean()) if len(defined) else None
