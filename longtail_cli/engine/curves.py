"""Average precision: the reduction of the matches to precision-recall curves."""

import cython
import numpy as np

Longs = cython.typedef(cython.const[cython.longlong][::1])
LongTable = cython.typedef(cython.const[cython.longlong][:, ::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Kinds = cython.typedef(cython.const[cython.schar][::1])
Bits = cython.typedef(cython.const[cython.ushort][:, ::1])
Counter = cython.typedef(cython.longlong[::1])
Counters = cython.typedef(cython.longlong[:, ::1])
Filled = cython.typedef(cython.double[::1])
FilledTable = cython.typedef(cython.double[:, ::1])
FilledCube = cython.typedef(cython.double[:, :, ::1])


def curves(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    start: Longs,
    true_positive: Bits,
    ignored: Bits,
    num_objects: LongTable,
    recalls: Floats,
    epsilon: cython.double,
    ap: FilledCube,
    recall: FilledCube,
) -> None:
    """AP and recall of the categories from `first` up to `last`, by threshold, category and area range.

    start: int64 [C + 1]. true_positive, ignored: uint16 [M, A], bit t for threshold t; see `Matches`. num_objects:
    int64 [C, A]. recalls: float64 [R]. epsilon: added to the denominator of precision. ap, recall: float64 [T, C, A],
    filled except where there are no objects.
    """
    thresholds: cython.Py_ssize_t = ap.shape[0]
    every: cython.uint = (1 << thresholds) - 1
    most: cython.longlong = 1
    c: cython.Py_ssize_t
    a: cython.Py_ssize_t
    m: cython.Py_ssize_t
    t: cython.Py_ssize_t
    for c in range(first, last):
        for a in range(ap.shape[2]):
            most = max(most, num_objects[c, a])
    precision: FilledTable = np.empty((thresholds, most))
    hits: Counter = np.empty(thresholds, np.int64)
    misses: Counter = np.empty(thresholds, np.int64)
    false: cython.longlong
    hit: cython.uint
    ignore: cython.uint
    with cython.nogil:
        for c in range(first, last):
            for a in range(ap.shape[2]):
                if num_objects[c, a] == 0:
                    continue
                for t in range(thresholds):
                    hits[t], misses[t] = 0, 0
                false = 0  # at all thresholds
                for m in range(start[c], start[c + 1]):
                    hit, ignore = true_positive[m, a], ignored[m, a]
                    if ignore == every:
                        continue
                    if hit == 0 and ignore == 0:
                        false += 1
                        continue
                    for t in range(thresholds):
                        if (hit >> t) & 1:
                            hits[t] += 1
                            precision[t, hits[t] - 1] = hits[t] / (misses[t] + false + hits[t] + epsilon)
                        elif not (ignore >> t) & 1:
                            misses[t] += 1
                for t in range(thresholds):
                    ap[t, c, a] = _interpolated(precision[t], hits[t], num_objects[c, a], recalls)
                    recall[t, c, a] = cython.cast(cython.double, hits[t]) / num_objects[c, a]


def single_curves(
    start: Longs, true_positive: Bools, num_objects: Longs, recalls: Floats, epsilon: cython.double, ap: Filled
) -> None:
    """AP of each category at one threshold: `ap`, float64 [C], zeros before.

    start: int64 [C + 1]. true_positive: bool [M], within a category best score first. num_objects: int64 [C], of which
    those without objects keep AP 0. recalls, epsilon: as in `curves`.
    """
    c: cython.Py_ssize_t
    m: cython.Py_ssize_t
    hits: cython.Py_ssize_t
    precision: Filled = np.empty(max(true_positive.shape[0], 1))
    with cython.nogil:
        for c in range(ap.shape[0]):
            if num_objects[c] <= 0:
                continue
            hits = 0
            for m in range(start[c], start[c + 1]):
                if true_positive[m]:
                    precision[hits] = (hits + 1) / ((m - start[c] + 1) + epsilon)
                    hits += 1
            ap[c] = _interpolated(precision, hits, num_objects[c], recalls)


def fixed_curves(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    start: Longs,
    before: Longs,
    after: Longs,
    moved_start: Longs,
    moved: Longs,
    score: Floats,
    tie: Longs,
    hit: Bools,
    shown: Bools,
    kind: Kinds,
    fixed: Bools,
    dropped: Ints,
    moving: cython.int,
    num_objects: LongTable,
    found: Longs,
    recalls: Floats,
    epsilon: cython.double,
    ap: FilledTable,
    kept: Counters,
) -> None:
    """TIDE's curves for the categories from `first` up to `last`: AP with nothing fixed, and with each error fixed.

    start: int64 [C + 1], category c owns ``before[start[c]:start[c + 1]]`` and those of `after`: int64 [start[C]],
    detections best first, with nothing fixed and after a fix; empty for 0, 1, 2, and so on. moved_start: int64 [C + 1],
    moved: int64 [F], detections that belong to another category once fixed, by this category, best first; those from
    ``start[C]`` on are on no other curve. score: float64 [M], tie: int64 [M]: `after` and `moved` are ordered by
    descending score, then ascending tie. hit, shown: bool [M], true positives, and those on the curve with nothing
    fixed. kind: int8 [M], the error. fixed: bool [M], a fix makes it a hit.
    dropped: int32 [K], the kind of error that is fixed in each of the curves 1 to K: detections with this error are
    hits if `fixed`, else left out; those of the kind `moving` are in `moved` instead.
    num_objects: int64 [C, 2], objects that count, and of them those that are not missed. found: int64 [C], objects that
    were found. ap: float64 [K + 4, C] and kept: int64 [K + 4, C], the detections on each curve, filled: with nothing
    fixed, each kind of error, missed objects (Miss), no false positives (FalsePos), only objects found (FalseNeg).
    """
    kinds: cython.Py_ssize_t = dropped.shape[0]
    most: cython.longlong = 1
    c: cython.Py_ssize_t
    k: cython.Py_ssize_t
    for c in range(first, last):
        most = max(most, start[c + 1] - start[c] + moved_start[c + 1] - moved_start[c])
    precision: Filled = np.empty(most)
    hits: cython.Py_ssize_t
    with cython.nogil:
        for c in range(first, last):
            hits = _walk(c, 0, start, before, 0, 0, moved, score, tie, hit, shown, kind, fixed, -1, moving,
                         epsilon, precision, kept)  # fmt: skip
            ap[0, c] = _ap(precision, hits, num_objects[c, 0], recalls)
            for k in range(kinds):
                if dropped[k] == moving:
                    hits = _walk(c, k + 1, start, after, moved_start[c], moved_start[c + 1], moved, score, tie, hit,
                                 shown, kind, fixed, dropped[k], moving, epsilon, precision, kept)  # fmt: skip
                else:
                    hits = _walk(c, k + 1, start, after, 0, 0, moved, score, tie, hit, shown, kind, fixed, dropped[k],
                                 moving, epsilon, precision, kept)  # fmt: skip
                ap[k + 1, c] = _ap(precision, hits, num_objects[c, 0], recalls)
            hits = _walk(c, kinds + 1, start, after, 0, 0, moved, score, tie, hit, shown, kind, fixed, -1, moving,
                         epsilon, precision, kept)  # fmt: skip
            kept[kinds + 2, c] = kept[kinds + 1, c]
            kept[kinds + 3, c] = kept[kinds + 1, c]
            ap[kinds + 1, c] = _ap(precision, hits, num_objects[c, 1], recalls)
            ap[kinds + 3, c] = _ap(precision, hits, found[c], recalls)
            for k in range(hits):
                precision[k] = (k + 1) / ((k + 1) + epsilon)
            ap[kinds + 2, c] = _ap(precision, hits, num_objects[c, 0], recalls)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _walk(
    c: cython.Py_ssize_t,
    curve: cython.Py_ssize_t,
    start: Longs,
    order: Longs,
    j: cython.Py_ssize_t,
    j_stop: cython.Py_ssize_t,
    moved: Longs,
    score: Floats,
    tie: Longs,
    hit: Bools,
    shown: Bools,
    kind: Kinds,
    fixed: Bools,
    dropped: cython.int,
    moving: cython.int,
    epsilon: cython.double,
    precision: Filled,
    kept: Counters,
) -> cython.Py_ssize_t:
    """The precision at each hit of category c, with ``moved[j:j_stop]`` in their places; returns the number of hits."""
    number: cython.longlong = 0
    hits: cython.Py_ssize_t = 0
    k: cython.Py_ssize_t
    m: cython.Py_ssize_t
    true: cython.bint
    for k in range(start[c], start[c + 1]):
        m = order[k] if order.shape[0] > 0 else k
        if kind[m] == dropped:
            if dropped == moving or not fixed[m]:
                continue
            true = True
        elif shown[m]:
            true = hit[m]
        else:
            continue
        while j < j_stop and (score[moved[j]] > score[m] or (score[moved[j]] == score[m] and tie[moved[j]] < tie[m])):
            number += 1
            precision[hits] = (hits + 1) / (number + epsilon)
            hits += 1
            j += 1
        number += 1
        if true:
            precision[hits] = (hits + 1) / (number + epsilon)
            hits += 1
    while j < j_stop:
        number += 1
        precision[hits] = (hits + 1) / (number + epsilon)
        hits += 1
        j += 1
    kept[curve, c] = number
    return hits


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _ap(precision: Filled, hits: cython.Py_ssize_t, number: cython.longlong, recalls: Floats) -> cython.double:
    """The mean interpolated precision, 0 without objects."""
    return _interpolated(precision, hits, number, recalls) if number > 0 else 0.0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _interpolated(
    precision: Filled, found: cython.Py_ssize_t, number: cython.longlong, recalls: Floats
) -> cython.double:
    """Mean interpolated precision; `precision[k]` is the precision at the (k + 1)-th of `found` hits.

    number: of objects. Between hits precision only falls, so its maximum to the right is reached at a hit.
    """
    k: cython.Py_ssize_t
    r: cython.Py_ssize_t
    for k in range(found - 1, 0, -1):
        precision[k - 1] = max(precision[k - 1], precision[k])
    total: cython.double = 0
    k = 0
    for r in range(recalls.shape[0]):
        while k < found and cython.cast(cython.double, k + 1) / number < recalls[r]:
            k += 1
        if k == found:
            break
        total += precision[k]
    return total / recalls.shape[0]
