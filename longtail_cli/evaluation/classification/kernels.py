"""Sums over the rows of scores, from which every metric of a classifier is computed.

Nearly all of the time is spent in three plain loops over a row that compilers vectorise: the sums of the columns, the
sum of the squares, and the greatest score of each run of 64 columns. The steps that need branches, the bins and the
rank of the true class, skip the runs whose greatest score is too low to matter.
"""

from __future__ import annotations

from typing import NamedTuple

import numba
import numpy as np

from longtail_cli.tables import Floats, Ints, Longs, Singles

BINS = 15
"""Bins of equal width for the calibration errors (Guo et al., "On Calibration of Modern Neural Networks", 2017)."""

RUN = 64
"""Columns in a run."""

TINY = float(np.finfo(np.float32).tiny)
"""The least positive normal float32; scores below it count as this in the log-likelihood."""


def _largest_in_first_bin() -> np.float32:
    """The largest float32 that is at most 1 / BINS."""
    edge = np.float32(1 / BINS)
    return edge if float(edge) <= 1 / BINS else np.nextafter(edge, np.float32(0))


FIRST_BIN = _largest_in_first_bin()


class Sums(NamedTuple):
    """Sufficient statistics, all additive over the rows."""

    mass: Floats
    """float64 [G + 1, C], by true group of the row (the last: no group), the sum of each column's scores."""
    excess: Floats
    """float64 [C, BINS], by column and bin, the sum of the scores less the rows of that class; bin 0 stays empty, as it
    follows from the column's sum and the other bins."""
    samples: Longs
    """int64 [C], rows of each class."""
    hits: Longs
    """int64 [C], correct predictions among them."""
    bins: Floats
    """float64 [BINS, 3], by the greatest score of a row: rows, sum of the greatest scores, correct predictions."""
    totals: Floats
    """float64 [3], rows whose class is among the first five; sum of -ln s_y; sum of squared differences."""

    @classmethod
    def zero(cls, classes: int, groups: int) -> Sums:
        return cls(
            mass=np.zeros((groups + 1, classes)),
            excess=np.zeros((classes, BINS)),
            samples=np.zeros(classes, np.int64),
            hits=np.zeros(classes, np.int64),
            bins=np.zeros((BINS, 3)),
            totals=np.zeros(3),
        )

    def plus(self, other: Sums) -> Sums:
        """The sums over the rows of both."""
        return Sums(
            mass=self.mass + other.mass,
            excess=self.excess + other.excess,
            samples=self.samples + other.samples,
            hits=self.hits + other.hits,
            bins=self.bins + other.bins,
            totals=self.totals + other.totals,
        )


@numba.njit(cache=True, nogil=True)
def add_rows(scores: Singles, labels: Longs, group: Longs, sums: Sums) -> None:
    """Add the rows to `sums`, in place. group: int64 [C], the row of `Sums.mass` for each class, -1 for the last."""
    bits = scores.view(np.int32)
    peak_bits = np.empty((scores.shape[1] + RUN - 1) // RUN, np.int32)
    peaks = peak_bits.view(np.float32)
    found = np.empty(RUN, np.int32)
    for i in range(len(scores)):
        row, y = scores[i], labels[i]
        own = row[y]
        squares = _add_row(row, sums.mass[group[y]])
        find_peaks(bits[i], peak_bits)
        top, above = peaks[0], 0
        for run in range(len(peaks)):
            if peaks[run] > FIRST_BIN:
                _add_excess(row, run, found, sums.excess)
            if peaks[run] >= own:
                above += count_above(row[run * RUN : (run + 1) * RUN], own, y - run * RUN)
            top = max(top, peaks[run])
        if own > FIRST_BIN:
            sums.excess[y, bin_of(own)] -= 1
        _count(y, above, top, sums)
        sums.totals[1] -= np.log(max(np.float64(own), TINY))
        sums.totals[2] += max(squares + 1 - 2 * np.float64(own), 0.0)  # may be below 0 by rounding


@numba.njit(cache=True, nogil=True, fastmath={"reassoc", "contract"})
def _add_row(row: Singles, mass: Floats) -> float:
    """Add the scores to `mass`; return the sum of their squares (in any order, so that it can be vectorised)."""
    squares = 0.0
    for c in range(len(row)):
        score = np.float64(row[c])
        mass[c] += score
        squares += score * score
    return squares


@numba.njit(cache=True, nogil=True)
def find_peaks(bits: Ints, peaks: Ints) -> None:
    """The greatest score of each run, compared as integers: the order of floats >= 0, with no special case for NaN."""
    for run in range(len(peaks)):
        part = bits[run * RUN : (run + 1) * RUN]
        peak = part[0]
        for c in range(len(part)):
            peak = max(peak, part[c])
        peaks[run] = peak


@numba.njit(cache=True, nogil=True)
def _add_excess(row: Singles, run: int, found: Ints, excess: Floats) -> None:
    """Add the scores of a run that lie above the first bin. found: int32 [RUN], a buffer for their columns."""
    number = 0
    for c in range(run * RUN, min((run + 1) * RUN, len(row))):
        found[number] = c
        number += row[c] > FIRST_BIN  # branch-free, as a branch would be unpredictable
    for c in found[:number]:
        excess[c, bin_of(row[c])] += row[c]


@numba.njit(cache=True, nogil=True)
def count_above(part: Singles, own: float, column: int) -> int:
    """How many scores rank before `own`: the greater ones, and equal ones left of `column`, which may lie outside."""
    above = np.uint32(0)  # as wide as a score, so that the loop is vectorised
    for c in range(len(part)):
        above = np.uint32(above + ((part[c] > own) | ((part[c] == own) & (c < column))))
    return int(above)


@numba.njit(cache=True, nogil=True)
def bin_of(score: float) -> int:
    """The bin (k / BINS, (k + 1) / BINS] that holds `score`, a float32; 0 falls in the first.

    The product is exact in float64, and a float32 strictly between 0 and 1 is never k / 15, so rounding down is right.
    """
    return max(min(int(BINS * np.float64(score)), BINS - 1), 0)


@numba.njit(cache=True, nogil=True)
def _count(y: int, above: int, top: float, sums: Sums) -> None:
    hit = above == 0
    index = bin_of(top)
    sums.samples[y] += 1
    sums.hits[y] += hit
    sums.bins[index, 0] += 1
    sums.bins[index, 1] += top
    sums.bins[index, 2] += hit
    sums.totals[0] += above < 5
