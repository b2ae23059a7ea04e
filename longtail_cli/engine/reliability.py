"""The sums over bins of the score, of which calibration errors of detections consist."""

import cython

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Bits = cython.typedef(cython.const[cython.ushort][:, ::1])
Sums = cython.typedef(cython.double[:, :, ::1])


def add_detections(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    score: Floats,
    row: Longs,
    start: Longs,
    pair_start: Longs,
    pair_object: Ints,
    pair_iou: Floats,
    true_positive: Bits,
    ignored: Bits,
    taken: Ints,
    counts: Bools,
    sums: Sums,
) -> None:
    """Add the detections of the categories from `first` up to `last` to `sums`.

    score: float64 [N] in [0, 1]. row, start: see `Selection`. pair_start, pair_object, pair_iou: see `Overlaps`.
    true_positive, ignored, taken: see `Matches`; bit 0 of area range 0 counts. counts: bool [C], others are left out.
    sums: float64 [C, BINS, 4], the number of detections and the sums of their scores, hits and IoUs.
    """
    c: cython.Py_ssize_t
    m: cython.Py_ssize_t
    n: cython.Py_ssize_t
    k: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    with cython.nogil:
        for c in range(first, last):
            if not counts[c]:
                continue
            for m in range(start[c], start[c + 1]):
                if ignored[m, 0] & 1:
                    continue
                n = row[m]
                k = _bin(score[n], sums.shape[1])
                sums[c, k, 0] += 1
                sums[c, k, 1] += score[n]
                if true_positive[m, 0] & 1:
                    sums[c, k, 2] += 1
                    for pair in range(pair_start[n], pair_start[n + 1]):
                        if pair_object[pair] == taken[m]:
                            sums[c, k, 3] += pair_iou[pair]


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _bin(score: cython.double, bins: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The bin (k / BINS, (k + 1) / BINS] that holds `score` in [0, 1]; 0 falls in the first.

    The product may be rounded up to a whole number, never below one that the score exceeds.
    """
    k: cython.Py_ssize_t = cython.cast(cython.Py_ssize_t, bins * score)
    if score <= cython.cast(cython.double, k) / bins:
        k -= 1
    return max(k, 0)
