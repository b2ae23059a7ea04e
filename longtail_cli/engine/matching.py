"""The greedy matching of detections and objects, at all IoU thresholds and area ranges at once."""

import cython
import numpy as np

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
FloatTable = cython.typedef(cython.const[cython.double][:, ::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Lanes = cython.typedef(cython.const[cython.ulonglong][::1])
FilledLanes = cython.typedef(cython.ulonglong[::1])
Filled = cython.typedef(cython.int[::1])
Flags = cython.typedef(cython.uchar[::1])
Reached = cython.typedef(cython.ushort[::1])
Bits = cython.typedef(cython.const[cython.ushort][::1])
Buffer = cython.typedef(cython.longlong[::1])


CLAIMS = 128
"""The bit of `traits` for detections with claims."""


def traits(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    category: Ints,
    area: Floats,
    not_exhaustive: Bools,
    area_ranges: FloatTable,
    pair_start: Longs,
    pair_object: Ints,
    pair_iou: Floats,
    object_category: Ints,
    excluded: Bools,
    lowest: cython.double,
    number: Buffer,
    found: Flags,
) -> None:
    """What is known of the detections from `first` up to `last` before they are matched; fill in the last two.

    category: int32 [N], area: float64 [N], not_exhaustive: bool [N], of the detections. area_ranges: float64 [A, 2],
    with both ends. pair_start, pair_object, pair_iou: see `Overlaps`. object_category: int32 [G], excluded: bool [G].
    number: int64 [N], the claims of each: pairs with an object of its category and an IoU of at least `lowest`.
    found: uint8 [N], bit a: ignored in area range a if unmatched (A = 4); `CLAIMS`: it has claims.
    """
    n: cython.Py_ssize_t
    a: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    bits: cython.int
    with cython.nogil:
        for n in range(first, last):
            number[n] = 0
            for pair in range(pair_start[n], pair_start[n + 1]):
                if _claimed(pair, category[n], pair_object, pair_iou, object_category, excluded, lowest):
                    number[n] += 1
            bits = 128 if number[n] > 0 else 0  # CLAIMS
            for a in range(area_ranges.shape[0]):
                if not_exhaustive[n] or area[n] < area_ranges[a, 0] or area[n] > area_ranges[a, 1]:
                    bits |= cython.cast(cython.int, 1) << a
            found[n] = bits


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _claimed(
    pair: cython.Py_ssize_t,
    category: cython.int,
    pair_object: Ints,
    pair_iou: Floats,
    object_category: Ints,
    excluded: Bools,
    lowest: cython.double,
) -> cython.bint:
    if pair_iou[pair] < lowest:
        return False
    return object_category[pair_object[pair]] == category and not excluded[pair_object[pair]]


def claims(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    category: Ints,
    pair_start: Longs,
    pair_object: Ints,
    pair_iou: Floats,
    object_category: Ints,
    excluded: Bools,
    thresholds: Floats,
    claim_start: Longs,
    claim_object: Filled,
    claim_reached: Reached,
) -> None:
    """The claims of the detections from `first` up to `last` by IoU descending, later pairs first in a tie.

    Arguments as for `traits`. thresholds: float64 [T], ascending. claim_start: int64 [N + 1], from the numbers.
    claim_object: int32 [claims] and claim_reached: uint16 [claims], filled: bit t for the thresholds that are reached.
    """
    most: cython.Py_ssize_t = 0
    n: cython.Py_ssize_t
    for n in range(first, last):
        most = max(most, claim_start[n + 1] - claim_start[n])
    sorted_pairs: Buffer = np.empty(most, np.int64)
    k: cython.Py_ssize_t
    number: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    with cython.nogil:
        for n in range(first, last):
            if claim_start[n] == claim_start[n + 1]:
                continue
            number = 0
            for pair in range(pair_start[n], pair_start[n + 1]):
                if _claimed(pair, category[n], pair_object, pair_iou, object_category, excluded, thresholds[0]):
                    k = number
                    while k > 0 and pair_iou[sorted_pairs[k - 1]] <= pair_iou[pair]:
                        sorted_pairs[k] = sorted_pairs[k - 1]
                        k -= 1
                    sorted_pairs[k] = pair
                    number += 1
            for k in range(number):
                claim_object[claim_start[n] + k] = pair_object[sorted_pairs[k]]
                claim_reached[claim_start[n] + k] = _reached(pair_iou[sorted_pairs[k]], thresholds)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _reached(iou: cython.double, thresholds: Floats) -> cython.uint:
    """The bits of the thresholds that `iou` reaches."""
    t: cython.Py_ssize_t = 0
    while t < thresholds.shape[0] and iou >= thresholds[t]:
        t += 1
    return (cython.cast(cython.uint, 1) << t) - 1


def match_categories(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    row: Longs,
    start: Longs,
    found: Bools,
    claim_start: Longs,
    claim_object: Ints,
    claim_reached: Bits,
    crowd: Bools,
    ignore: Lanes,
    outside: Lanes,
    lanes: cython.ulonglong,
    every: cython.ulonglong,
    used: FilledLanes,
    true_positive: FilledLanes,
    ignored: FilledLanes,
    taken: Filled,
) -> None:
    """Match the detections of the categories from `first` up to `last`; fill in the last four arguments.

    row: int64 [M], start: int64 [C + 1], see `Selection`. found: uint8 [N], from `traits`. claim_start, claim_object,
    claim_reached: from `claims`. crowd: bool [G].
    The four area ranges are lanes of 16 bits of one number, the first the lowest; bit t of a lane is threshold t.
    ignore: uint64 [G], every bit of the lanes in which an object is ignored. outside: uint64 [16], every bit of the
    lanes that are set in the index. lanes: bit 0 of each lane. every: the bits of all thresholds in each lane.
    used: uint64 [G], an object is taken. true_positive, ignored: uint64 [M]. taken: int32 [M], the object at the first
    threshold and area range.

    All thresholds at once: in order of descending IoU, an object is taken at the thresholds without a match so far.
    """
    m: cython.Py_ssize_t
    k: cython.Py_ssize_t
    g: cython.int
    bits: cython.int
    of_ignored: cython.int
    open_at: cython.ulonglong
    take: cython.ulonglong
    with cython.nogil:
        for m in range(start[first], start[last]):
            bits = found[row[m]]
            if bits == 0:
                continue
            open_at = every
            if bits & 128:  # CLAIMS
                for of_ignored in range(2):
                    for k in range(claim_start[row[m]], claim_start[row[m] + 1]):
                        g = claim_object[k]
                        take = open_at & (cython.cast(cython.ulonglong, claim_reached[k]) * lanes)
                        take &= ignore[g] if of_ignored else every & ~ignore[g]
                        if not crowd[g]:
                            take &= ~used[g]
                        if take == 0:
                            continue
                        used[g] |= take
                        open_at ^= take
                        if of_ignored:
                            ignored[m] |= take
                        else:
                            true_positive[m] |= take
                        if take & 1:
                            taken[m] = g
            ignored[m] |= open_at & outside[bits & 15]
