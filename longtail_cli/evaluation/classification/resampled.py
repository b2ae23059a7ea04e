"""Statistics of each row of scores, from which the metrics of a classifier are computed for resampled rows."""

from __future__ import annotations

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.classification.kernels import BINS, RUN, TINY, bin_of, count_above, find_peaks
from longtail_cli.evaluation.classification.metrics import GROUPS, check_groups, check_rows, ratios
from longtail_cli.metrics import Value, mean, ratio
from longtail_cli.tables import Bools, Floats, Ints, Longs, Singles

Bytes = npt.NDArray[np.uint8]


class RowTally:
    """Statistics of each of N rows: 27 bytes per row, for any number of classes C.

    num_rows: N. classes: C >= 1. group: int8 [C], index into `GROUPS`, -1 for a class in no group; None without groups.
    Raises ValueError for groups of another shape or index.

    label: int32 [N], the true class; C until the row is added. hit: bool [N], whether it is predicted.
    in_first_five: bool [N]. confidence: float32 [N], the greatest score. bin: uint8 [N], the bin of the confidence.
    log_loss: float64 [N], -ln s_y in nats. squares: float64 [N], sum_c (s_c - [y = c])^2. Defined as for `Tally`.
    """

    def __init__(self, num_rows: int, classes: int, group: npt.NDArray[np.int8] | None = None) -> None:
        check_groups(group, classes)
        self.classes = classes
        self.group: npt.NDArray[np.int8] = np.full(classes, -1, np.int8) if group is None else group
        self.label: Ints = np.full(num_rows, classes, np.int32)
        self.hit, self.in_first_five = np.zeros((2, num_rows), bool)
        self.confidence: Singles = np.zeros(num_rows, np.float32)
        self.bin: Bytes = np.zeros(num_rows, np.uint8)
        self.log_loss, self.squares = np.zeros((2, num_rows))

    def __len__(self) -> int:
        return len(self.label)

    def add(self, first_row: int, scores: Singles, labels: Longs) -> None:
        """Fill in rows `first_row` to ``first_row + n``.

        scores: float32 [n, C] in [0, 1], which is not checked. labels: int64 [n], the column of the true class.
        Several threads may fill in different rows at once; the GIL is released.
        Raises ValueError as `check_rows`, and for rows outside the table.
        """
        scores, labels = np.ascontiguousarray(scores), np.ascontiguousarray(labels)
        check_rows(scores, labels, self.classes)
        if not 0 <= first_row <= len(self) - len(scores):
            raise ValueError(f"expected rows from 0 to {len(self)}, found {first_row} to {first_row + len(scores)}")
        there = slice(first_row, first_row + len(scores))
        self.label[there] = labels
        _fill_rows(
            scores, labels, self.hit[there], self.in_first_five[there], self.confidence[there], self.bin[there],
            self.log_loss[there], self.squares[there],
        )  # fmt: skip


def resampled_metrics(rows: RowTally, weight: Bytes) -> dict[str, Value]:
    """The metrics with row i counted weight[i] times, by their names in `Classification`.

    weight: uint8 [N]. ``classwise_ece`` is missing, as it needs every score of a row. Recall is undefined for a class
    of weight 0, and every metric is without rows. The GIL is released. Raises ValueError for
    weights of another shape or type, and if a row of weight > 0 was never added.
    """
    if weight.dtype != np.uint8 or weight.shape != (len(rows),):
        raise ValueError(f"expected weights uint8 [{len(rows)}], found {weight.dtype} {list(weight.shape)}")
    weight = np.ascontiguousarray(weight)
    count, gap = _weighted_counts(rows.classes, rows.label, rows.hit, rows.confidence, rows.bin, weight)
    first_five, log_loss, squares = _weighted_totals(rows.in_first_five, rows.log_loss, rows.squares, weight)
    if count[rows.classes].any():
        raise ValueError(f"expected all {len(rows)} rows to be added, found rows without scores")
    number, hits = int(count.sum()), count[: rows.classes, 1]
    samples = count[: rows.classes].sum(axis=1)
    recall = ratios(hits, samples)
    return {
        "top1": ratio(float(hits.sum()), number),
        "top5": ratio(first_five, number),
        "balanced": mean(recall),
        **{name: mean(recall[rows.group == g]) for g, name in enumerate(GROUPS)},
        "ece": ratio(float(np.abs(gap).sum()), number),
        "nll": ratio(log_loss, number),
        "brier": ratio(squares, number),
    }


@numba.njit(cache=True, nogil=True)
def _fill_rows(
    scores: Singles, labels: Longs, hit: Bools, in_first_five: Bools, confidence: Singles, bins: Bytes,
    log_loss: Floats, squares: Floats,
) -> None:  # fmt: skip
    """Fill in the last six arguments, with the steps of `kernels.add_rows`."""
    bits = scores.view(np.int32)
    peak_bits = np.empty((scores.shape[1] + RUN - 1) // RUN, np.int32)
    peaks = peak_bits.view(np.float32)
    for i in range(len(scores)):
        row, y = scores[i], labels[i]
        own = row[y]
        find_peaks(bits[i], peak_bits)
        top, above = peaks[0], 0
        for run in range(len(peaks)):
            if peaks[run] >= own:
                above += count_above(row[run * RUN : (run + 1) * RUN], own, y - run * RUN)
            top = max(top, peaks[run])
        hit[i] = above == 0
        in_first_five[i] = above < 5
        confidence[i] = top
        bins[i] = bin_of(top)
        log_loss[i] = -np.log(max(np.float64(own), TINY))
        squares[i] = max(_sum_of_squares(row) + 1 - 2 * np.float64(own), 0.0)  # may be below 0 by rounding


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _sum_of_squares(row: Singles) -> float:
    """The sum in any order, so that it can be vectorised."""
    total = 0.0
    for c in range(len(row)):
        score = np.float64(row[c])
        total += score * score
    return total


@numba.njit(cache=True, nogil=True)
def _weighted_counts(
    classes: int, label: Ints, hit: Bools, confidence: Singles, bins: Bytes, weight: Bytes
) -> tuple[Longs, Floats]:
    """Misses and hits of each class, int64 [C + 1, 2], and by bin the confidences minus the hits, float64 [BINS].

    The last row of the first counts rows without scores.
    """
    count = np.zeros((classes + 1, 2), np.int64)
    gap = np.zeros(BINS)
    for i in range(len(weight)):
        times = weight[i]
        right = np.int64(hit[i])
        count[label[i], right] += times
        gap[bins[i]] += times * (np.float64(confidence[i]) - right)
    return count, gap


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _weighted_totals(
    in_first_five: Bools, log_loss: Floats, squares: Floats, weight: Bytes
) -> tuple[float, float, float]:
    """Weighted sums of the three, in any order, so that they can be vectorised."""
    first_five, loss, square = 0.0, 0.0, 0.0
    for i in range(len(weight)):
        times = np.float64(weight[i])
        first_five += times * in_first_five[i]
        loss += times * log_loss[i]
        square += times * squares[i]
    return first_five, loss, square
