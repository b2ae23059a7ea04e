"""Which (row, class) pairs of an image become detections: the best first, after suppression within each class.

Suppression goes through the pairs of all classes in order of score and stops when an image has all its detections, so
only the best few of a million pairs are ever sorted. The result is the same as suppressing class by class and cutting
afterwards: whether a pair is kept depends only on better pairs of its class.

Scores are compared as the integers with the same bits, which have the same order because scores are not negative.
"""

import cython
import numpy as np

Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Scores = cython.typedef(cython.const[cython.int][:, ::1])
Boxes = cython.typedef(cython.const[cython.float][:, :, ::1])
Filled = cython.typedef(cython.int[::1])
Buffer = cython.typedef(cython.longlong[::1])

BIN_BITS = cython.declare(cython.int, 19)
"""Scores are counted in bins by their upper bits: sixteen bins from one power of two to the next."""

BINS = (0x7F800000 >> 19) + 1

FIRST_PAIRS = cython.declare(cython.Py_ssize_t, 1024)
"""Pairs of an image that are examined first; four times as many if these do not give enough detections."""

LOWER = cython.declare(cython.longlong, 0xFFFFFFFF)
"""The lower half of a key."""

Number = cython.struct(pairs=cython.Py_ssize_t, complete=cython.bint)


def decode_scores(
    image: cython.Py_ssize_t,
    scores: Scores,
    first: cython.Py_ssize_t,
    classes: cython.Py_ssize_t,
    start: Longs,
    boxes: Boxes,
    threshold: cython.int,
    nms_iou: cython.double,
    limit: cython.Py_ssize_t,
    flat_index: Buffer,
    value: Filled,
    row: Buffer,
    column: Filled,
    score: Filled,
    begin: Buffer,
) -> cython.Py_ssize_t:
    """Fill in the detections of the images from `image` on; the last four arguments.

    scores: the bits of float32 >= 0, int32 [N, K]; the classes are the `classes` columns from `first`. start:
    int64 [I + 1]; image i has rows ``start[i]:start[i + 1]``. boxes: float32 [N, 1 or C, 4], xyxy. threshold: the bits
    of the score that detections exceed. limit: the most detections of an image, L. flat_index: int64 [P], value:
    int32 [P]; buffers for the pairs of an image. row: int64 [I * L], column, score: int32 [I * L], one image after
    another, best first (equal scores: the earlier row, then the earlier class). begin: int64 [I + 1], where each image
    begins, which is known up to `image`.

    Returns I, or the image for which the buffers are too small; then call it again with larger ones.
    """
    images: cython.Py_ssize_t = start.shape[0] - 1
    bins: Buffer = np.empty(BINS, np.int64)
    last: Filled = np.empty(classes, np.int32)
    before: Filled = np.empty(limit, np.int32)
    kept: Filled = np.empty(limit, np.int32)
    heap: Buffer = np.empty(flat_index.shape[0], np.int64)
    most: cython.Py_ssize_t
    number: cython.Py_ssize_t
    found: Number = Number(pairs=0, complete=False)
    with cython.nogil:
        while image < images:
            most = max(FIRST_PAIRS, 2 * limit)
            number = 0
            found.pairs = 0
            found.complete = False
            while found.pairs >= 0 and number < limit and not found.complete:
                found = _best_pairs(
                    scores, start[image], start[image + 1], first, classes, threshold, most, bins, flat_index, value
                )
                number = _suppress(
                    flat_index, value, 0, found.pairs, classes, start[image], boxes, nms_iou, heap, last, before, kept
                )
                most *= 4
            if found.pairs < 0:
                break
            _write(flat_index, value, 0, classes, start[image], kept, number, begin[image], row, column, score)
            begin[image + 1] = begin[image] + number
            image += 1
    return image


def decode_pairs(
    flat_index: Longs,
    value: Ints,
    pair_start: Longs,
    classes: cython.Py_ssize_t,
    start: Longs,
    boxes: Boxes,
    nms_iou: cython.double,
    limit: cython.Py_ssize_t,
    row: Buffer,
    column: Filled,
    score: Filled,
    begin: Buffer,
) -> None:
    """As `decode_scores`, from all pairs above the threshold.

    flat_index: int64 [P], row * C + class with rows counted from the first of the image, ascending within an image.
    value: the bits of the scores, int32 [P]. pair_start: int64 [I + 1].
    """
    images: cython.Py_ssize_t = start.shape[0] - 1
    last: Filled = np.empty(classes, np.int32)
    before: Filled = np.empty(limit, np.int32)
    kept: Filled = np.empty(limit, np.int32)
    heap: Buffer = np.empty(flat_index.shape[0], np.int64)
    image: cython.Py_ssize_t
    number: cython.Py_ssize_t
    with cython.nogil:
        for image in range(images):
            number = _suppress(
                flat_index, value, pair_start[image], pair_start[image + 1] - pair_start[image], classes, start[image],
                boxes, nms_iou, heap, last, before, kept,
            )  # fmt: skip
            _write(
                flat_index, value, pair_start[image], classes, start[image], kept, number, begin[image], row, column,
                score,
            )  # fmt: skip
            begin[image + 1] = begin[image] + number


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _best_pairs(
    scores: Scores,
    low: cython.Py_ssize_t,
    high: cython.Py_ssize_t,
    first: cython.Py_ssize_t,
    classes: cython.Py_ssize_t,
    cut: cython.int,
    most: cython.Py_ssize_t,
    bins: Buffer,
    flat_index: Buffer,
    value: Filled,
) -> Number:
    """The best pairs above the threshold `cut` of rows `low` to `high`, in order of `flat_index`.

    At least `most`, unless there are fewer. Every pair is counted in the bin of its score; once `most` pairs are in
    higher bins, those in the lowest bin are dropped. Returns their number and whether these are all; -1 if there is no
    room for them.
    """
    lowest: cython.Py_ssize_t = cut >> BIN_BITS
    above: cython.Py_ssize_t = 0
    number: Number = Number(pairs=0, complete=True)
    row: cython.Py_ssize_t
    c: cython.Py_ssize_t
    end: cython.Py_ssize_t
    bits: cython.int
    bins[:] = 0
    for row in range(low, high):
        c = _next_block(scores, row, first, first + classes, cut)
        while c < first + classes:
            if number.pairs + 64 > flat_index.shape[0]:
                number.pairs = _drop(flat_index, value, number.pairs, cut)
                if 2 * number.pairs + 64 > flat_index.shape[0]:
                    number.pairs = -1
                    return number
            end = min(c + 64, first + classes)
            while c < end:
                bits = scores[row, c]
                if bits > cut:
                    flat_index[number.pairs] = (row - low) * classes + c - first
                    value[number.pairs] = bits
                    number.pairs += 1
                    bins[bits >> BIN_BITS] += 1
                    above += 1
                c += 1
            while above - bins[lowest] >= most:
                above -= bins[lowest]
                lowest += 1
                cut = cython.cast(cython.int, (lowest << BIN_BITS) - 1)
                number.complete = False
            c = _next_block(scores, row, end, first + classes, cut)
    number.pairs = _drop(flat_index, value, number.pairs, cut)
    return number


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _next_block(
    scores: Scores, row: cython.Py_ssize_t, begin: cython.Py_ssize_t, end: cython.Py_ssize_t, cut: cython.int
) -> cython.Py_ssize_t:
    """The start of the next 64 scores with one above `cut`, compared together; `end` if there are none."""
    c: cython.Py_ssize_t
    more: cython.int
    while begin + 64 <= end:
        more = 0
        for c in range(64):
            more |= cut - scores[row, begin + c]  # negative if any is
        if more < 0:
            return begin
        begin += 64
    for c in range(begin, end):
        if scores[row, c] > cut:
            return begin
    return end


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _drop(flat_index: Buffer, value: Filled, number: cython.Py_ssize_t, cut: cython.int) -> cython.Py_ssize_t:
    """Move the pairs above `cut` to the front, in the same order; returns their number."""
    count: cython.Py_ssize_t = 0
    pair: cython.Py_ssize_t
    for pair in range(number):
        if value[pair] > cut:
            flat_index[count] = flat_index[pair]
            value[count] = value[pair]
            count += 1
    return count


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _suppress(
    flat_index: Longs,
    value: Ints,
    first: cython.Py_ssize_t,
    pairs: cython.Py_ssize_t,
    classes: cython.Py_ssize_t,
    low: cython.Py_ssize_t,
    boxes: Boxes,
    nms_iou: cython.double,
    heap: Buffer,
    last: Filled,
    before: Filled,
    kept: Filled,
) -> cython.Py_ssize_t:
    """Choose from the `pairs` pairs from `first` on, best first: no two of one class have an IoU above `nms_iou`.

    kept: int32 [L], which pairs, counted from `first`; returns their number. heap, last, before: buffers; the last kept
    pair of each class, and the one kept before it.
    """
    number: cython.Py_ssize_t = 0
    pair: cython.Py_ssize_t
    one: cython.Py_ssize_t
    other: cython.Py_ssize_t
    at: cython.longlong
    c: cython.Py_ssize_t
    for pair in range(pairs):
        heap[pair] = (cython.cast(cython.longlong, 0x7FFFFFFF - value[first + pair]) << 32) | pair
    for pair in range(pairs // 2):
        _sink(heap, pairs // 2 - 1 - pair, pairs)
    for c in range(classes):
        last[c] = -1
    while pairs > 0 and number < kept.shape[0]:
        pair = heap[0] & LOWER
        pairs -= 1
        heap[0] = heap[pairs]
        _sink(heap, 0, pairs)
        at = flat_index[first + pair]
        c = at % classes
        one = last[c]
        while one >= 0:
            other = first + kept[one]
            if _iou(boxes, low + at // classes, low + flat_index[other] // classes, c) > nms_iou:
                break
            one = before[one]
        if one < 0:
            kept[number] = pair
            before[number] = last[c]
            last[c] = number
            number += 1
    return number


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sink(heap: Buffer, place: cython.Py_ssize_t, number: cython.Py_ssize_t) -> cython.void:
    """Restore the heap of the first `number` keys, least first, of which only the one at `place` may be too great."""
    key: cython.longlong = heap[place]
    child: cython.Py_ssize_t = 2 * place + 1
    while child < number:
        if child + 1 < number and heap[child + 1] < heap[child]:
            child += 1
        if key <= heap[child]:
            break
        heap[place] = heap[child]
        place = child
        child = 2 * place + 1
    heap[place] = key


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _iou(boxes: Boxes, one: cython.Py_ssize_t, other: cython.Py_ssize_t, c: cython.Py_ssize_t) -> cython.double:
    """Intersection over union of the boxes of two rows for class c, in float64; 0 if both are empty."""
    box: cython.Py_ssize_t = 0 if boxes.shape[1] == 1 else c
    x0: cython.double = boxes[one, box, 0]
    y0: cython.double = boxes[one, box, 1]
    x1: cython.double = boxes[one, box, 2]
    y1: cython.double = boxes[one, box, 3]
    u0: cython.double = boxes[other, box, 0]
    v0: cython.double = boxes[other, box, 1]
    u1: cython.double = boxes[other, box, 2]
    v1: cython.double = boxes[other, box, 3]
    width: cython.double = min(x1, u1) - max(x0, u0)
    height: cython.double = min(y1, v1) - max(y0, v0)
    if width <= 0 or height <= 0:
        return 0.0
    shared: cython.double = width * height
    return shared / ((x1 - x0) * (y1 - y0) + (u1 - u0) * (v1 - v0) - shared)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _write(
    flat_index: Longs,
    value: Ints,
    first: cython.Py_ssize_t,
    classes: cython.Py_ssize_t,
    low: cython.Py_ssize_t,
    kept: Filled,
    number: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    row: Buffer,
    column: Filled,
    score: Filled,
) -> cython.void:
    """Write the kept pairs of an image from `begin` on."""
    k: cython.Py_ssize_t
    pair: cython.Py_ssize_t
    for k in range(number):
        pair = first + kept[k]
        row[begin + k] = low + flat_index[pair] // classes
        column[begin + k] = flat_index[pair] % classes
        score[begin + k] = value[pair]
