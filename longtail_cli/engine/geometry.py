"""The overlaps of boxes and of masks.

Overlaps are sparse: both functions walk through detections and their images' objects, and write the pairs with an IoU
of at least `least` one after another. They stop where the next detection might not find room, so that the caller
empties the buffers and goes on; room for one pair with each object of an image is always enough for one step.
"""

import cython
import numpy as np

Counts = cython.typedef(cython.const[cython.uint][::1])
Longs = cython.typedef(cython.const[cython.longlong][::1])
Ints = cython.typedef(cython.const[cython.int][::1])
Bools = cython.typedef(cython.const[cython.uchar][::1])
Boxes = cython.typedef(cython.const[cython.double][:, ::1])
Sizes = cython.typedef(cython.const[cython.int][:, ::1])
Bounds = cython.typedef(cython.const[cython.longlong][:, ::1])
Filled = cython.typedef(cython.longlong[::1])
FilledBounds = cython.typedef(cython.longlong[:, ::1])
FilledInts = cython.typedef(cython.int[::1])
FilledFloats = cython.typedef(cython.double[::1])


def box_pairs(
    low: cython.Py_ssize_t,
    high: cython.Py_ssize_t,
    boxes: Boxes,
    image: Ints,
    row: Longs,
    edges: Boxes,
    crowd: Bools,
    object_start: Longs,
    least: cython.double,
    number: FilledInts,
    objects: FilledInts,
    ious: FilledFloats,
) -> tuple:
    """Overlaps of the detections ``row[low:high]``, with the operations of pycocotools' bbIou in order.

    boxes: float64 [N, 4], xywh. image: int32 [N]. row: int64 [M]. edges: float64 [5, G], left, top, right, bottom and
    area of the objects. crowd: bool [G], the IoU is over the detection's area. object_start: int64 [I + 1], the objects
    of an image. number: int32 [M], filled with the number of pairs of each. objects: int32 [R] and ious: float64 [R],
    filled, with room for the objects of an image at least.
    Returns where in `row` to go on, and the number of pairs written.
    """
    room: cython.Py_ssize_t = objects.shape[0]
    count: cython.Py_ssize_t = 0
    before: cython.Py_ssize_t
    n: cython.Py_ssize_t
    g: cython.Py_ssize_t
    first: cython.Py_ssize_t
    last: cython.Py_ssize_t
    x: cython.double
    y: cython.double
    w: cython.double
    h: cython.double
    width: cython.double
    height: cython.double
    iou: cython.double
    shared: FilledFloats = np.empty(room)
    with cython.nogil:
        while low < high:
            n = row[low]
            first, last = object_start[image[n]], object_start[image[n] + 1]
            if count + last - first > room:
                break
            before = count
            x, y, w, h = boxes[n, 0], boxes[n, 1], boxes[n, 2], boxes[n, 3]
            for g in range(first, last):  # without a branch, so that the compiler vectorises it
                width = min(w + x, edges[2, g]) - max(x, edges[0, g])
                height = min(h + y, edges[3, g]) - max(y, edges[1, g])
                shared[g - first] = max(width, 0.0) * max(height, 0.0)
            for g in range(first, last):
                if shared[g - first] <= 0:
                    continue
                iou = shared[g - first] / (w * h if crowd[g] else w * h + edges[4, g] - shared[g - first])
                if iou < least:
                    continue
                objects[count] = g
                ious[count] = iou
                count += 1
            number[low] = count - before
            low += 1
    return low, count


def mask_areas(
    low: cython.Py_ssize_t, high: cython.Py_ssize_t, counts: Counts, start: Longs, areas: FilledFloats
) -> None:
    """The pixels of the masks from `low` up to `high`: `areas`, float64 [N], zeros before.

    counts, start: see `Masks`.
    """
    n: cython.Py_ssize_t
    run: cython.Py_ssize_t
    with cython.nogil:
        for n in range(low, high):
            for run in range(start[n] + 1, start[n + 1], 2):
                areas[n] += counts[run]


def mask_extents(
    low: cython.Py_ssize_t,
    high: cython.Py_ssize_t,
    counts: Counts,
    start: Longs,
    size: Sizes,
    extents: FilledBounds,
    areas: Filled,
) -> None:
    """The smallest box around each mask from `low` up to `high`, and its pixels; fill in zeros of the last two.

    counts, start, size: see `Masks`. extents: int64 [N, 4], (left, top, right, bottom) with the last two exclusive.
    areas: int64 [N]. Both stay zero for a mask without pixels.
    """
    n: cython.Py_ssize_t
    run: cython.Py_ssize_t
    height: cython.longlong
    first: cython.longlong
    last: cython.longlong
    with cython.nogil:
        for n in range(low, high):
            height = size[n, 0]
            last = 0  # one past a run
            for run in range(start[n] + 1, start[n + 1], 2):
                first = last + _at(counts, run - 1)
                last = first + _at(counts, run)
                if last > first:
                    _extend(extents, n, first, last, height, areas[n] == 0)
                    areas[n] += last - first


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _extend(
    extents: FilledBounds,
    n: cython.Py_ssize_t,
    first: cython.longlong,
    last: cython.longlong,
    height: cython.longlong,
    fresh: cython.bint,
) -> cython.void:
    """Extend the box of mask n by the pixels from `first` up to `last`, column by column; later runs lie further on."""
    left: cython.longlong = first // height
    right: cython.longlong = (last - 1) // height
    top: cython.longlong = first - left * height if left == right else 0
    bottom: cython.longlong = last - left * height if left == right else height
    if fresh:
        extents[n, 0], extents[n, 1] = left, top
    extents[n, 1], extents[n, 3] = min(extents[n, 1], top), max(extents[n, 3], bottom)
    extents[n, 2] = right + 1


def mask_pairs(
    low: cython.Py_ssize_t,
    high: cython.Py_ssize_t,
    counts: Counts,
    start: Longs,
    extents: Bounds,
    areas: Longs,
    size: Sizes,
    image: Ints,
    row: Longs,
    object_counts: Counts,
    object_runs: Longs,
    object_extents: Bounds,
    object_areas: Longs,
    object_size: Sizes,
    object_row: Ints,
    crowd: Bools,
    object_start: Longs,
    least: cython.double,
    number: FilledInts,
    objects: FilledInts,
    ious: FilledFloats,
) -> tuple:
    """Overlaps of the masks ``row[low:high]``: whole pixels are counted, then divided once.

    counts, start, size: see `Masks`; extents, areas: of `mask_extents`; the same with object_ for all objects of the
    ground truth, of which object_row, int32 [G], are evaluated. The other arguments and the result as in `box_pairs`.
    Masks of different size do not overlap.

    Masks share at most the pixels that their boxes share, so most pairs are dropped before their runs are read.
    """
    room: cython.Py_ssize_t = objects.shape[0]
    count: cython.Py_ssize_t = 0
    before: cython.Py_ssize_t
    n: cython.Py_ssize_t
    g: cython.Py_ssize_t
    k: cython.Py_ssize_t
    first: cython.Py_ssize_t
    last: cython.Py_ssize_t
    shared: cython.longlong
    together: cython.longlong
    iou: cython.double
    with cython.nogil:
        while low < high:
            n = row[low]
            first, last = object_start[image[n]], object_start[image[n] + 1]
            if count + last - first > room:
                break
            before = count
            for g in range(first, last):
                k = object_row[g]
                if size[n, 0] != object_size[k, 0] or size[n, 1] != object_size[k, 1]:
                    continue
                shared = min(_shared_box(extents, n, object_extents, k), areas[n], object_areas[k])
                together = areas[n] if crowd[g] else areas[n] + object_areas[k]
                if shared == 0 or _iou(shared, together, crowd[g]) < least:
                    continue
                shared = _intersection(
                    counts, start[n], start[n + 1], object_counts, object_runs[k], object_runs[k + 1]
                )
                iou = _iou(shared, together, crowd[g])
                if shared == 0 or iou < least:
                    continue
                objects[count] = g
                ious[count] = iou
                count += 1
            number[low] = count - before
            low += 1
    return low, count


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _iou(shared: cython.longlong, together: cython.longlong, crowd: cython.bint) -> cython.double:
    """`together`: the pixels of both masks, of the detection alone for a crowd region."""
    union: cython.longlong = together if crowd else together - shared
    return cython.cast(cython.double, shared) / cython.cast(cython.double, union)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _shared_box(a: Bounds, n: cython.Py_ssize_t, b: Bounds, row: cython.Py_ssize_t) -> cython.longlong:
    """The pixels in both boxes."""
    width: cython.longlong = min(a[n, 2], b[row, 2]) - max(a[n, 0], b[row, 0])
    height: cython.longlong = min(a[n, 3], b[row, 3]) - max(a[n, 1], b[row, 1])
    return width * height if width > 0 and height > 0 else 0


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _intersection(
    a: Counts,
    i: cython.Py_ssize_t,
    i_stop: cython.Py_ssize_t,
    b: Counts,
    j: cython.Py_ssize_t,
    j_stop: cython.Py_ssize_t,
) -> cython.longlong:
    """Pixels in both masks: walk their runs of ones side by side, always on from the one that ends first."""
    shared: cython.longlong = 0
    if i + 1 >= i_stop or j + 1 >= j_stop:
        return shared
    a_first: cython.longlong = _at(a, i)
    a_last: cython.longlong = a_first + _at(a, i + 1)
    b_first: cython.longlong = _at(b, j)
    b_last: cython.longlong = b_first + _at(b, j + 1)
    while True:
        shared += max(min(a_last, b_last) - max(a_first, b_first), 0)
        if a_last < b_last:
            i += 2
            if i + 1 >= i_stop:
                return shared
            a_first = a_last + _at(a, i)
            a_last = a_first + _at(a, i + 1)
        else:
            j += 2
            if j + 1 >= j_stop:
                return shared
            b_first = b_last + _at(b, j)
            b_last = b_first + _at(b, j + 1)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _at(counts: Counts, run: cython.Py_ssize_t) -> cython.longlong:
    """A run length, as a number that may be added to others without overflow."""
    return cython.cast(cython.longlong, counts[run])
