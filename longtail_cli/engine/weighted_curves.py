"""Precision-recall curves of weighted images: AP and recall of 32 resamples at once, from one set of matches.

Whatever is done for one resample is done for all 32 in a loop, which compilers turn into vector instructions. (Those
over `drawn` have no fixed length: they would be unrolled instead.) Numbers that a loop changes together lie in one
buffer, so that compilers see that they do not overlap: the state, which holds for each threshold five times 32 numbers:

      0  hits so far
     32  detections so far that are ignored at the threshold
     64  the greatest precision at the hits that were passed
     96  how many of the 101 recalls, at which the precision is read, the hits so far reach
    128  the sum of the interpolated precision over these recalls
"""

import cython
import numpy as np

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Bits = cython.typedef(cython.const[cython.ushort][::1])
Weights = cython.typedef(cython.const[cython.uchar][:, ::1])
Words = cython.typedef(cython.const[cython.ulonglong][:, ::1])
Curves = cython.typedef(cython.double[:, :, ::1])
Bytes = cython.typedef(cython.uchar[::1])
Word = cython.typedef(cython.ulonglong[::1])
Counts = cython.typedef(cython.int[::1])
Values = cython.typedef(cython.double[::1])

STATE = cython.declare(cython.Py_ssize_t, 160)
"""Numbers of the state for each threshold."""

EPSILON = cython.declare(cython.double, 2.0**-52)
"""Added to the number of detections by the official code, as `np.spacing(1)`."""

NAN = cython.declare(cython.double, float("nan"))

RECALLS = cython.declare(cython.double, 101)
"""Recalls at which the precision is read: 0, 0.01, ... 1."""


def weighted_curves(
    start: Longs,
    image: Ints,
    hit: Bits,
    miss: Bits,
    false_start: Longs,
    false_image: Ints,
    object_start: Longs,
    object_image: Ints,
    weight: Weights,
    words: Words,
    ap: Curves,
    recall: Curves,
) -> None:
    """Fill in the AP and recall of K curves at T thresholds in 32 resamples.

    start to object_image: see `CurveEvents`. weight: uint8 [I, 32], how often each image occurs. words: uint64 [I, 4],
    the same memory. ap, recall: float64 [K, T, 32], NaN where none of a curve's objects is drawn.

    Each curve is traversed forwards to count its hits and detections, then backwards while subtracting the hits again:
    so at each hit the greatest precision from there on is known.
    """
    thresholds: cython.Py_ssize_t = ap.shape[1]
    most: cython.Py_ssize_t = most_images(weight)
    seen: Values = np.empty(32 * np.diff(start).max(initial=0))
    state: Values = np.empty(STATE * thresholds)
    pair = np.empty(4, np.uint64)
    word: Word = pair
    byte: Bytes = pair.view(np.uint8)
    number: Counts = np.empty(32, np.int32)
    drawn: Values = np.empty(32)
    objects: Values = np.empty(32)
    known: Values = np.empty(32)
    k: cython.Py_ssize_t
    with cython.nogil:
        for k in range(start.shape[0] - 1):
            _see(start[k], start[k + 1], image, false_start, false_image, weight, words, most, word, byte, number, seen)
            number[:] = 0
            _add(object_image, object_start[k], object_start[k + 1], words, most, word, byte, number)
            _reduce(
                k, start[k], start[k + 1], image, hit, miss, false_start, weight, number, drawn, objects, known, seen,
                state, thresholds, ap, recall,
            )  # fmt: skip


def curves_of_seen(
    image: Ints,
    hit: Bits,
    miss: Bits,
    false_start: Longs,
    object_start: Longs,
    object_image: Ints,
    weight: Weights,
    words: Words,
    seen: Values,
    ap: Curves,
    recall: Curves,
) -> None:
    """As `weighted_curves`, for K curves that have the same E events and differ in their objects.

    false_start: int64 [E + 1]; two neighbours differ if a false positive lies between two events, and may differ if
    none does: then precision is computed where it is not the greatest.
    seen: float64 [E * 32], the number of detections up to each event, itself included.
    """
    thresholds: cython.Py_ssize_t = ap.shape[1]
    most: cython.Py_ssize_t = most_images(weight)
    state: Values = np.empty(STATE * thresholds)
    pair = np.empty(4, np.uint64)
    word: Word = pair
    byte: Bytes = pair.view(np.uint8)
    number: Counts = np.empty(32, np.int32)
    drawn: Values = np.empty(32)
    objects: Values = np.empty(32)
    known: Values = np.empty(32)
    k: cython.Py_ssize_t
    with cython.nogil:
        for k in range(object_start.shape[0] - 1):
            number[:] = 0
            _add(object_image, object_start[k], object_start[k + 1], words, most, word, byte, number)
            _reduce(
                k, 0, image.shape[0], image, hit, miss, false_start, weight, number, drawn, objects, known, seen,
                state, thresholds, ap, recall,
            )  # fmt: skip


def add_weights(start: Longs, image: Ints, words: Words, most: cython.Py_ssize_t, total: Values) -> None:
    """Add the weights of the images ``image[start[e]:start[e + 1]]``, at most 2^23, to ``total[32 * e:32 * e + 32]``.

    start: int64 [E + 1]. words: see `weighted_curves`. most: see `most_images`. total: float64 [E * 32].
    """
    pair = np.empty(4, np.uint64)
    word: Word = pair
    byte: Bytes = pair.view(np.uint8)
    number: Counts = np.empty(32, np.int32)
    e: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    with cython.nogil:
        for e in range(start.shape[0] - 1):
            number[:] = 0
            _add(image, start[e], start[e + 1], words, most, word, byte, number)
            for lane in range(number.shape[0]):
                total[32 * e + lane] += number[lane]


def most_images(weight: Weights) -> int:
    """How many images have weights, uint8 [I, 32], that add up within a byte."""
    return 255 // int(np.max(weight, initial=1))


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _see(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    image: Ints,
    false_start: Longs,
    false_image: Ints,
    weight: Weights,
    words: Words,
    most: cython.Py_ssize_t,
    word: Word,
    byte: Bytes,
    number: Counts,
    seen: Values,
) -> cython.void:
    """Count the detections of a curve up to each event. seen: float64 [events * 32]. number: a buffer."""
    e: cython.Py_ssize_t
    at: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    i: cython.Py_ssize_t
    lanes: cython.Py_ssize_t = weight.shape[1]
    number[:] = 0
    for e in range(first, last):
        _add(false_image, false_start[e], false_start[e + 1], words, most, word, byte, number)
        i = image[e]
        at = lanes * (e - first)
        for lane in range(lanes):
            number[lane] += weight[i, lane]
            seen[at + lane] = number[lane]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _reduce(
    k: cython.Py_ssize_t,
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    image: Ints,
    hit: Bits,
    miss: Bits,
    false_start: Longs,
    weight: Weights,
    number: Counts,
    drawn: Values,
    objects: Values,
    known: Values,
    seen: Values,
    state: Values,
    thresholds: cython.Py_ssize_t,
    ap: Curves,
    recall: Curves,
) -> cython.void:
    """Fill in curve k. number: int32 [32], of its objects. drawn, objects, known: buffers of 32 numbers."""
    t: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    for lane in range(drawn.shape[0]):
        objects[lane] = max(number[lane], 1)
        known[lane] = 1.0 if number[lane] > 0 else NAN
    _count(first, last, image, hit, miss, weight, drawn, state, thresholds)
    for t in range(thresholds):
        for lane in range(drawn.shape[0]):
            recall[k, t, lane] = state[STATE * t + lane] / objects[lane] * known[lane]
    _sum_precision(first, last, image, hit, miss, false_start, weight, drawn, objects, seen, state, thresholds)
    for t in range(thresholds):
        for lane in range(drawn.shape[0]):
            ap[k, t, lane] = state[STATE * t + 128 + lane] / RECALLS * known[lane]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _add(
    images: Ints,
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    words: Words,
    most: cython.Py_ssize_t,
    word: Word,
    byte: Bytes,
    number: Counts,
) -> cython.void:
    """Add the weights of ``images[first:last]`` to `number`, int32 [32].

    Eight weights are added in a word, as long as none of the sums can exceed a byte. word, byte: a buffer of 32 bytes.
    """
    end: cython.Py_ssize_t
    f: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    a: cython.ulonglong
    b: cython.ulonglong
    c: cython.ulonglong
    d: cython.ulonglong
    while first < last:
        end = min(first + most, last)
        a = 0
        b = 0
        c = 0
        d = 0
        for f in range(first, end):
            a += words[images[f], 0]
            b += words[images[f], 1]
            c += words[images[f], 2]
            d += words[images[f], 3]
        word[0] = a
        word[1] = b
        word[2] = c
        word[3] = d
        for lane in range(number.shape[0]):
            number[lane] += byte[lane]
        first = end


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _draw(weight: Weights, i: cython.Py_ssize_t, drawn: Values) -> cython.void:
    """How often image i occurs."""
    lane: cython.Py_ssize_t
    for lane in range(weight.shape[1]):
        drawn[lane] = weight[i, lane]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _count(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    image: Ints,
    hit: Bits,
    miss: Bits,
    weight: Weights,
    drawn: Values,
    state: Values,
    thresholds: cython.Py_ssize_t,
) -> cython.void:
    """Count the hits of a curve and the detections that are ignored; start the state anew."""
    e: cython.Py_ssize_t
    t: cython.Py_ssize_t
    at: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    ignored: cython.int
    lanes: cython.Py_ssize_t = weight.shape[1]
    for t in range(STATE * thresholds):
        state[t] = 0
    for e in range(first, last):
        _draw(weight, image[e], drawn)
        ignored = ~(hit[e] | miss[e])
        for t in range(thresholds):
            at = STATE * t
            if (hit[e] >> t) & 1:
                for lane in range(lanes):
                    state[at + lane] += drawn[lane]
            elif (ignored >> t) & 1:
                for lane in range(lanes):
                    state[at + 32 + lane] += drawn[lane]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sum_precision(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    image: Ints,
    hit: Bits,
    miss: Bits,
    false_start: Longs,
    weight: Weights,
    drawn: Values,
    objects: Values,
    seen: Values,
    state: Values,
    thresholds: cython.Py_ssize_t,
) -> cython.void:
    """Sum the interpolated precision over the recalls.

    Each hit contributes the greatest precision from it on, times the number of recalls that it is the first to reach. A
    hit whose image is not drawn reaches none, and its precision is at most that of the hit before it. Precision grows
    from a hit to the next with no miss between them, so it is computed only at the last of these.
    """
    e: cython.Py_ssize_t
    n: cython.Py_ssize_t
    t: cython.Py_ssize_t
    at: cython.Py_ssize_t
    lane: cython.Py_ssize_t
    ignored: cython.int
    after_miss: cython.int = ~0  # bit t: a miss lies between this event and the next hit at threshold t
    for t in range(thresholds):
        at = STATE * t
        for lane in range(drawn.shape[0]):
            state[at + 96 + lane] = _recalls_up_to(state[at + lane] / objects[lane])
    for n in range(last - first):
        e = last - 1 - n
        _draw(weight, image[e], drawn)
        ignored = ~(hit[e] | miss[e])
        for t in range(thresholds):
            at = STATE * t
            if (hit[e] >> t) & 1:
                if (after_miss >> t) & 1:
                    _raise_precision(state, at, seen, 32 * (e - first), drawn)
                _pass_hit(state, at, drawn, objects)
            elif (ignored >> t) & 1:
                for lane in range(drawn.shape[0]):
                    state[at + 32 + lane] -= drawn[lane]
        after_miss = (after_miss & ~cython.cast(cython.int, hit[e])) | cython.cast(cython.int, miss[e])
        if false_start[e] < false_start[e + 1]:
            after_miss = ~0
    for t in range(thresholds):
        at = STATE * t
        for lane in range(drawn.shape[0]):
            state[at + 128 + lane] += state[at + 64 + lane]  # recall 0, which needs no hit


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _raise_precision(
    state: Values, at: cython.Py_ssize_t, seen: Values, n: cython.Py_ssize_t, drawn: Values
) -> cython.void:
    """Let the greatest precision be at least that of all detections up to a hit; `seen` has their number from n on."""
    lane: cython.Py_ssize_t
    precision: cython.double
    best: cython.double
    for lane in range(drawn.shape[0]):
        precision = state[at + lane] / (seen[n + lane] - state[at + 32 + lane] + EPSILON)
        best = state[at + 64 + lane]
        state[at + 64 + lane] = precision if precision > best else best


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _pass_hit(state: Values, at: cython.Py_ssize_t, drawn: Values, objects: Values) -> cython.void:
    """Add the precision at the recalls that a hit in image i is the first to reach; take it from the hits."""
    lane: cython.Py_ssize_t
    left: cython.double
    before: cython.double
    for lane in range(drawn.shape[0]):
        left = state[at + lane] - drawn[lane]
        before = _recalls_up_to(left / objects[lane])
        state[at + lane] = left
        state[at + 128 + lane] += state[at + 64 + lane] * (state[at + 96 + lane] - before)
        state[at + 96 + lane] = before


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _recalls_up_to(recall: cython.double) -> cython.double:
    """How many of the recalls are at most `recall`; the n-th of them, from 0, is exactly n * 0.01."""
    n: cython.double = cython.cast(cython.int, recall * 100.0 + 1e-9)
    reached: cython.double = 1.0 if n * 0.01 <= recall else 0.0
    return n + reached
