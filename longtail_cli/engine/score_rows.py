"""Sums over rows of scores, and statistics of each row, from which every metric of a classifier is computed.

The rows are scores from 0 to 1, compared as the integers with the same bits, which have the same order. Nearly all of
the time is spent in plain loops over a row that compilers vectorise.
"""

import cython
import numpy as np
from cython.cimports.libc.math import log

Scores = cython.typedef(cython.const[cython.float][:, ::1])
ScoreBits = cython.typedef(cython.const[cython.int][:, ::1])
Labels = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Singles = cython.typedef(cython.const[cython.float][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Counts = cython.typedef(cython.longlong[::1])
CountTable = cython.typedef(cython.longlong[:, ::1])
Sums = cython.typedef(cython.double[::1])
SumTable = cython.typedef(cython.double[:, ::1])
FilledBools = cython.typedef(cython.uchar[::1])
FilledSingles = cython.typedef(cython.float[::1])

BINS = cython.declare(cython.int, 15)
"""Bins of equal width for the calibration errors."""

Peak = cython.struct(column=cython.Py_ssize_t, above=cython.int)

TINY = cython.declare(cython.double, 2.0**-126)
"""The least positive normal float32; scores below it count as this in the log-likelihood."""


def add_rows(
    scores: Scores,
    bits: ScoreBits,
    labels: Labels,
    group: Labels,
    first_bin: cython.int,
    mass: SumTable,
    excess: SumTable,
    samples: Counts,
    hits: Counts,
    bins: SumTable,
    totals: Sums,
) -> None:
    """Add n rows to the sums from `mass` on, which `Sums` defines, in place.

    scores: float32 [n, C], bits: int32 [n, C], the same memory. labels: int64 [n]. group: int64 [C], the row of `mass`
    for each class. first_bin: the bits of the largest score in the first bin.
    """
    lanes: Sums = np.empty(32)
    i: cython.Py_ssize_t
    y: cython.Py_ssize_t
    squares: cython.double
    own: cython.double
    top: cython.double
    above: cython.int
    index: cython.int
    peak: Peak
    with cython.nogil:
        for i in range(scores.shape[0]):
            y = labels[i]
            own = cython.cast(cython.double, scores[i, y])
            squares = _add_row(scores, i, mass, group[y], lanes)
            peak = _add_excess(scores, bits, i, y, first_bin, excess)
            if bits[i, y] > first_bin:
                excess[y, _bin_of(own)] -= 1
                above = peak.above
            else:
                above = _rank_up_to_five(bits, i, y)
            top = cython.cast(cython.double, scores[i, peak.column])
            index = _bin_of(top)
            samples[y] += 1
            hits[y] += above == 0
            bins[index, 0] += 1
            bins[index, 1] += top
            bins[index, 2] += above == 0
            totals[0] += above < 5
            totals[1] -= log(max(own, TINY))
            totals[2] += max(squares + 1 - 2 * own, 0.0)  # may be below 0 by rounding


def fill_rows(
    scores: Scores,
    bits: ScoreBits,
    labels: Labels,
    hit: FilledBools,
    in_first_five: FilledBools,
    confidence: FilledSingles,
    bins: FilledBools,
    log_loss: Sums,
    squares: Sums,
) -> None:
    """Fill in the statistics of n rows from `hit` on, which `RowTally` defines.

    scores: float32 [n, C], bits: int32 [n, C], the same memory. labels: int64 [n].
    """
    lanes: Sums = np.empty(32)
    i: cython.Py_ssize_t
    y: cython.Py_ssize_t
    own: cython.double
    top: cython.double
    above: cython.int
    with cython.nogil:
        for i in range(scores.shape[0]):
            y = labels[i]
            own = cython.cast(cython.double, scores[i, y])
            above = _rank(bits, i, y)
            top = own if above == 0 else _greatest(scores, bits, i)
            hit[i] = above == 0
            in_first_five[i] = above < 5
            confidence[i] = top
            bins[i] = _bin_of(top)
            log_loss[i] = -log(max(own, TINY))
            squares[i] = max(_sum_of_squares(scores, i, lanes) + 1 - 2 * own, 0.0)  # may be below 0 by rounding


def weighted_sums(
    label: Ints,
    hit: Bools,
    in_first_five: Bools,
    confidence: Singles,
    bins: Bools,
    log_loss: Floats,
    squares: Floats,
    weight: Bools,
    count: CountTable,
    gap: Sums,
    totals: Sums,
) -> None:
    """Add up N rows, of which row i counts `weight[i]` times, to the last three arguments.

    label to squares: see `RowTally`. weight: uint8 [N]. count: int64 [C + 1, 2], misses and hits of each class; the
    last row counts rows without scores. gap: float64 [BINS], by bin the confidences minus the hits. totals: float64
    [3], of `in_first_five`, `log_loss` and `squares`.
    """
    i: cython.Py_ssize_t
    times: cython.double
    with cython.nogil:
        for i in range(weight.shape[0]):
            times = weight[i]
            count[label[i], cython.cast(cython.int, hit[i])] += weight[i]
            gap[bins[i]] += times * (cython.cast(cython.double, confidence[i]) - cython.cast(cython.int, hit[i]))
            totals[0] += times * in_first_five[i]
            totals[1] += times * log_loss[i]
            totals[2] += times * squares[i]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _add_row(scores: Scores, i: cython.Py_ssize_t, mass: SumTable, g: cython.Py_ssize_t, lanes: Sums) -> cython.double:
    """Add the scores of row i to row g of `mass`; returns the sum of their squares, added up as `_sum_of_squares`."""
    start: cython.Py_ssize_t = 0
    c: cython.Py_ssize_t
    score: cython.double
    lanes[:] = 0
    while start + 32 <= scores.shape[1]:
        for c in range(32):
            score = cython.cast(cython.double, scores[i, start + c])
            mass[g, start + c] += score
            lanes[c] += score * score
        start += 32
    for c in range(scores.shape[1] - start):
        score = cython.cast(cython.double, scores[i, start + c])
        mass[g, start + c] += score
        lanes[c] += score * score
    return _total(lanes)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sum_of_squares(scores: Scores, i: cython.Py_ssize_t, lanes: Sums) -> cython.double:
    """The sum of the squares of row i, in 32 sums of every 32nd score, so that it is vectorised.

    lanes: float64 [32], a buffer for them.
    """
    start: cython.Py_ssize_t = 0
    c: cython.Py_ssize_t
    score: cython.double
    lanes[:] = 0
    while start + 32 <= scores.shape[1]:
        for c in range(32):
            score = cython.cast(cython.double, scores[i, start + c])
            lanes[c] += score * score
        start += 32
    for c in range(scores.shape[1] - start):
        score = cython.cast(cython.double, scores[i, start + c])
        lanes[c] += score * score
    return _total(lanes)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _total(lanes: Sums) -> cython.double:
    """The sum of the 32 sums, which are overwritten: the upper half is added to the lower one until one is left."""
    half: cython.Py_ssize_t = 16
    c: cython.Py_ssize_t
    while half > 0:
        for c in range(half):
            lanes[c] += lanes[half + c]
        half //= 2
    return lanes[0]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _add_excess(
    scores: Scores,
    bits: ScoreBits,
    i: cython.Py_ssize_t,
    y: cython.Py_ssize_t,
    first_bin: cython.int,
    excess: SumTable,
) -> Peak:
    """Add the scores of row i that lie above the first bin.

    Returns the first column with the greatest score, and how many of the scores above the first bin rank before that of
    column y. Most runs of 32 hold neither a score above the first bin nor a new greatest, which is found out together.
    """
    peak: Peak = Peak(column=0, above=0)
    score: cython.double
    own: cython.int = bits[i, y]
    cut: cython.int = -1
    start: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    c: cython.Py_ssize_t
    above: cython.int
    while start < bits.shape[1]:
        end = min(start + 32, bits.shape[1])
        above = -1
        if end == start + 32:
            above = 0
            for c in range(32):
                above |= cut - bits[i, start + c]  # negative if one is above
        if above < 0:
            for c in range(start, end):
                if bits[i, c] > cut:
                    if bits[i, c] > first_bin:
                        score = cython.cast(cython.double, scores[i, c])
                        excess[c, _bin_of(score)] += score
                        peak.above += bits[i, c] > own or (bits[i, c] == own and c < y)
                    if bits[i, c] > bits[i, peak.column]:
                        peak.column = c
                    cut = min(bits[i, peak.column], first_bin)
        start = end
    return peak


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _rank_up_to_five(bits: ScoreBits, i: cython.Py_ssize_t, y: cython.Py_ssize_t) -> cython.int:
    """As `_rank`, but any number from 5 on stands for all of them, which most rows reach early."""
    above: cython.int = 0
    own: cython.int = bits[i, y]
    start: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    c: cython.Py_ssize_t
    while start < bits.shape[1] and above < 5:
        end = min(start + 64, bits.shape[1])
        for c in range(start, end):
            above += bits[i, c] > own
        for c in range(start, min(end, y)):
            above += bits[i, c] == own
        start = end
    return above


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _rank(bits: ScoreBits, i: cython.Py_ssize_t, y: cython.Py_ssize_t) -> cython.int:
    """How many scores of row i rank before that of column y: the greater ones, and equal ones left of it."""
    above: cython.int = 0
    own: cython.int = bits[i, y]
    c: cython.Py_ssize_t
    for c in range(y):
        above += bits[i, c] >= own
    for c in range(y + 1, bits.shape[1]):
        above += bits[i, c] > own
    return above


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _greatest(scores: Scores, bits: ScoreBits, i: cython.Py_ssize_t) -> cython.double:
    """The greatest score of row i. Most runs of 64 have none above those before, which is found out together."""
    peak: cython.Py_ssize_t = 0
    start: cython.Py_ssize_t = 0
    end: cython.Py_ssize_t
    c: cython.Py_ssize_t
    best: cython.int
    above: cython.int
    while start < bits.shape[1]:
        end = min(start + 64, bits.shape[1])
        best = bits[i, peak]
        above = 0
        for c in range(start, end):
            above |= best - bits[i, c]  # negative if one is above
        if above < 0:
            for c in range(start, end):
                if bits[i, c] > bits[i, peak]:
                    peak = c
        start = end
    return cython.cast(cython.double, scores[i, peak])


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _bin_of(score: cython.double) -> cython.int:
    """The bin (k / BINS, (k + 1) / BINS] that holds `score`, a float32; 0 falls in the first.

    The product is exact in float64, and a float32 strictly between 0 and 1 is never k / 15, so rounding down is right.
    """
    return max(min(cython.cast(cython.int, BINS * score), BINS - 1), 0)
