"""The errors of detections, as TIDE defines them."""

import cython

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Kinds = cython.typedef(cython.schar[::1])
Filled = cython.typedef(cython.int[::1])
Flags = cython.typedef(cython.uchar[::1])

NO_ERROR, LOC, CLS, DUPE, BKG, BOTH = range(6)
NO_OBJECT = -1


def assign(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    row: Longs,
    category: Ints,
    wrong: Bools,
    paired: Bools,
    pair_start: Longs,
    pair_object: Ints,
    pair_iou: Floats,
    object_category: Ints,
    counts: Bools,
    used: Bools,
    foreground: cython.double,
    background: cython.double,
    kind: Kinds,
    target: Filled,
) -> None:
    """The error of each detection from `first` up to `last`; fill in the last two arguments.

    row: int64 [M], rows of the pairs. category: int32 [M]. wrong: bool [M], the detections to explain. paired: bool
    [N], whether there are pairs of a row. pair_start, pair_object, pair_iou: see `Overlaps`. object_category: int32
    [G]. counts, used: bool [G], objects that can be found, and those that a detection takes. foreground, background:
    TIDE's IoU thresholds t_f and t_b.
    kind: int8 [M], zeros before (`NO_ERROR`). target: int32 [M], `NO_OBJECT` before: the object that a Loc or Cls error
    points to, the first with the greatest IoU.
    """
    m: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    g: cython.int
    same_object: cython.int
    other_object: cython.int
    iou: cython.double
    same: cython.double
    other: cython.double
    taken: cython.double
    with cython.nogil:
        for m in range(first, last):
            if not wrong[m]:
                continue
            if not paired[row[m]]:
                kind[m] = 4  # BKG
                continue
            same, other, taken = 0.0, 0.0, 0.0
            same_object, other_object = -1, -1
            for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
                g, iou = pair_object[pair], pair_iou[pair]
                if not counts[g]:
                    continue
                if object_category[g] != category[m]:
                    if iou > other:
                        other, other_object = iou, g
                    continue
                if iou > same:
                    same, same_object = iou, g
                if used[g]:
                    taken = max(taken, iou)
            if background <= same <= foreground:
                kind[m], target[m] = 1, same_object  # LOC
            elif other >= foreground:
                kind[m], target[m] = 2, other_object  # CLS
            elif taken >= foreground:
                kind[m] = 3  # DUPE
            elif max(same, other) <= background:
                kind[m] = 4  # BKG
            else:
                kind[m] = 5  # BOTH


def first_choice(row: Longs, score: Floats, target: Ints, used: Bools, chosen: Filled) -> None:
    """The detection that is fixed for each object: of those that point to it the best, the first in the file in a tie.

    row, target: as in `assign`. score: float64 [M]. used: bool [G], objects that need no detection.
    chosen: int32 [G], -1 before, the index of the detection.
    """
    m: cython.Py_ssize_t
    g: cython.int
    best: cython.int
    with cython.nogil:
        for m in range(row.shape[0]):
            g = target[m]
            if g < 0 or used[g]:
                continue
            best = chosen[g]
            if best < 0 or score[m] > score[best] or (score[m] == score[best] and row[m] < row[best]):
                chosen[g] = m


def first_fit(
    row: Longs,
    category: Ints,
    pair_start: Longs,
    pair_object: Ints,
    pair_iou: Floats,
    object_category: Ints,
    crowd: Bools,
    foreground: cython.double,
    used: Flags,
    taken: Filled,
    in_crowd: Flags,
) -> None:
    """The matching of tidecv, at one threshold and with ties for the first object; fill in the last three arguments.

    Arguments as in `assign`, with the rows of each image by descending score. crowd: bool [G].
    used: bool [G], zeros before, the objects that are taken. taken: int32 [M], -1 before, the object that each
    detection takes. in_crowd: bool [M], zeros before, whether a crowd region of its category holds it.
    """
    m: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    g: cython.int
    best: cython.int
    best_iou: cython.double
    with cython.nogil:
        for m in range(row.shape[0]):
            best, best_iou = -1, 0.0
            for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
                g = pair_object[pair]
                if object_category[g] != category[m]:
                    continue
                if crowd[g]:
                    if pair_iou[pair] > foreground:
                        in_crowd[m] = True
                elif not used[g] and pair_iou[pair] > best_iou:
                    best, best_iou = g, pair_iou[pair]
            if best_iou >= foreground:
                taken[m] = best
                used[best] = True
