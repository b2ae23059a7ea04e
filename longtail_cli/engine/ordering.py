"""Which detections count, and their order."""

import cython
import numpy as np

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Boxes = cython.typedef(cython.const[cython.double][:, ::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Flags = cython.typedef(cython.const[cython.uchar][:, ::1])
Filled = cython.typedef(cython.longlong[::1])
FilledTable = cython.typedef(cython.longlong[:, ::1])
Keys = cython.typedef(cython.ulonglong[::1])
FilledInts = cython.typedef(cython.int[::1])
FilledFloats = cython.typedef(cython.double[::1])
FilledBools = cython.typedef(cython.uchar[::1])


def look_up(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    ids: Longs,
    table: Ints,
    least: cython.longlong,
    index: FilledInts,
) -> bool:
    """Fill `index`, int32 [N], with ``table[ids - least]`` from `first` up to `last`.

    ids: int64 [N]. table: int32 [ids in a range], -1 for those that are unknown. Returns whether all ids are known.
    """
    known: cython.bint = True
    n: cython.Py_ssize_t
    end: cython.longlong = least + table.shape[0]
    with cython.nogil:
        for n in range(first, last):
            index[n] = table[ids[n] - least] if least <= ids[n] < end else -1
            if index[n] < 0:
                known = False
    return known


def box_areas(first: cython.Py_ssize_t, last: cython.Py_ssize_t, boxes: Boxes, areas: FilledFloats) -> None:
    """Width times height of the boxes (float64 [N, 4], xywh) from `first` up to `last`: `areas`, float64 [N]."""
    n: cython.Py_ssize_t
    with cython.nogil:
        for n in range(first, last):
            areas[n] = boxes[n, 2] * boxes[n, 3]


def judged(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    image: Ints,
    category: Ints,
    area: Floats,
    judgements: Flags,
    judgement: cython.int,
    count: FilledBools,
) -> None:
    """Whether the detections from `first` up to `last` have an area, and their image judges their category: `count`.

    image, category: int32 [N]. area: float64 [N]. judgements: uint8 [I, C], of which the bit `judgement` must be set.
    count: bool [N], filled.
    """
    n: cython.Py_ssize_t
    with cython.nogil:
        for n in range(first, last):
            count[n] = area[n] > 0 and judgements[image[n], category[n]] & judgement != 0


def count(first: cython.Py_ssize_t, last: cython.Py_ssize_t, values: Ints, counts: Filled) -> None:
    """Count each of the values (int32 [N], from 0) from `first` up to `last`, in `counts`: int64, zeros before."""
    n: cython.Py_ssize_t
    with cython.nogil:
        for n in range(first, last):
            counts[values[n]] += 1


def by_category(category: Ints, start: Filled, rows: Filled) -> None:
    """Sort the rows by category, stably.

    category: int32 [M], below C. start: int64 [C + 1], zeros before, filled: category c owns
    ``rows[start[c]:start[c + 1]]``. rows: int64 [M], filled.
    """
    m: cython.Py_ssize_t
    c: cython.Py_ssize_t
    number: cython.Py_ssize_t = start.shape[0] - 1
    free: Filled = np.zeros(number, np.int64)
    with cython.nogil:
        for m in range(category.shape[0]):
            start[category[m] + 1] += 1
        for c in range(number):
            start[c + 1] += start[c]
            free[c] = start[c]
        for m in range(category.shape[0]):
            c = category[m]
            rows[free[c]] = m
            free[c] += 1


def best_first(
    first: cython.Py_ssize_t, last: cython.Py_ssize_t, start: Longs, bits: Longs, sign: cython.longlong, rows: Filled
) -> None:
    """Sort the rows of each category from `first` up to `last` by descending score, stably.

    start, rows: from `by_category`. bits: int64 [M], the scores (float64, not NaN) seen as integers. sign: -2^63, the
    bits of -0.0, which equals 0.0.

    A radix sort, a byte at a time from the lowest, of numbers in the order of the scores; few categories are that long
    that they do not stay in the cache.
    """
    most: cython.Py_ssize_t = 0
    c: cython.Py_ssize_t
    k: cython.Py_ssize_t
    m: cython.Py_ssize_t
    number: cython.Py_ssize_t
    for c in range(first, last):
        most = max(most, start[c + 1] - start[c])
    keys: Keys = np.empty(2 * most, np.uint64)
    order: Filled = np.empty(2 * most, np.int64)
    counts: FilledTable = np.empty((8, 256), np.int64)
    top: cython.ulonglong = 0x7FFFFFFFFFFFFFFF
    ordinal: cython.longlong
    with cython.nogil:
        for c in range(first, last):
            number = start[c + 1] - start[c]
            for k in range(number):
                order[k] = rows[start[c] + k]
                ordinal = bits[order[k]] if bits[order[k]] >= 0 else sign - bits[order[k]]
                keys[k] = top - cython.cast(cython.ulonglong, ordinal)
            if number < 64:
                _insertion_sort(keys, order, number)
                k = 0
            else:
                k = _radix_sort(keys, order, counts, number, most)
            for m in range(number):
                rows[start[c] + m] = order[k + m]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _insertion_sort(keys: Keys, order: Filled, number: cython.Py_ssize_t) -> cython.void:
    """Sort the first `number` keys, and `order` with them, stably."""
    k: cython.Py_ssize_t
    j: cython.Py_ssize_t
    key: cython.ulonglong
    row: cython.longlong
    for k in range(1, number):
        key, row = keys[k], order[k]
        j = k
        while j > 0 and keys[j - 1] > key:
            keys[j], order[j] = keys[j - 1], order[j - 1]
            j -= 1
        keys[j], order[j] = key, row


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _radix_sort(
    keys: Keys, order: Filled, counts: FilledTable, number: cython.Py_ssize_t, half: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """Sort the first `number` keys, and `order` with them, stably; returns where the result begins: 0 or `half`.

    keys, order: the second half is room to sort into. counts: [8, 256], overwritten.
    """
    here: cython.Py_ssize_t = 0
    k: cython.Py_ssize_t
    p: cython.Py_ssize_t
    digit: cython.Py_ssize_t
    place: cython.Py_ssize_t
    there: cython.Py_ssize_t
    for p in range(8):
        for digit in range(256):
            counts[p, digit] = 0
    for k in range(number):
        for p in range(8):
            counts[p, (keys[k] >> (8 * p)) & 255] += 1
    for p in range(8):
        if counts[p, (keys[here] >> (8 * p)) & 255] == number:
            continue  # all keys have this byte
        there = half - here
        place = there
        for digit in range(256):
            place += counts[p, digit]
            counts[p, digit] = place - counts[p, digit]
        for k in range(here, here + number):
            digit = (keys[k] >> (8 * p)) & 255
            place = counts[p, digit]
            counts[p, digit] = place + 1
            keys[place] = keys[k]
            order[place] = order[k]
        here = there
    return here


def ranks(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    start: Longs,
    rows: Longs,
    image: Ints,
    images: cython.Py_ssize_t,
    rank: Filled,
) -> None:
    """The rank of each row of the categories from `first` up to `last` within its image and category, from 0.

    start, rows: from `best_first`. image: int32, by row, below `images`. rank: int64 [M], filled.
    """
    seen: FilledInts = np.zeros(images, np.int32)
    c: cython.Py_ssize_t
    m: cython.Py_ssize_t
    with cython.nogil:
        for c in range(first, last):
            for m in range(start[c], start[c + 1]):
                rank[m] = seen[image[rows[m]]]
                seen[image[rows[m]]] += 1
            for m in range(start[c], start[c + 1]):
                seen[image[rows[m]]] = 0


def keeps_order(
    first: cython.Py_ssize_t, last: cython.Py_ssize_t, start: Longs, rows: Longs, score: Floats, image: Ints
) -> bool:
    """Whether the rows of the categories from `first` up to `last` descend by score, and in a tie ascend by image and
    row.

    start, rows: as from `best_first`. score: float64 and image: int32, by row.
    """
    kept: cython.bint = True
    c: cython.Py_ssize_t
    m: cython.Py_ssize_t
    here: cython.Py_ssize_t
    above: cython.Py_ssize_t
    with cython.nogil:
        for c in range(first, last):
            for m in range(start[c] + 1, start[c + 1]):
                here, above = rows[m], rows[m - 1]
                if score[here] < score[above]:
                    continue
                if (
                    score[here] > score[above]
                    or image[here] < image[above]
                    or (image[here] == image[above] and here < above)
                ):
                    kept = False
                    break
            if not kept:
                break
    return kept
