"""Polygons to masks, exactly as `rleFrPoly` and `rleMerge` of pycocotools 2.0.11 (maskApi.c) make them.

An outline has points on a grid five times as fine as the pixels. Where it crosses the middle of a column of pixels, it
starts or ends a run of the mask (`_crossings`).
"""

import cython
import numpy as np

Floats = cython.typedef(cython.const[cython.double][::1])
Longs = cython.typedef(cython.const[cython.longlong][::1])
Sizes = cython.typedef(cython.const[cython.int][:, ::1])
Filled = cython.typedef(cython.longlong[::1])
Runs = cython.typedef(cython.uint[::1])

_SCALE = cython.declare(cython.int, 5)


def rasterise(
    first: cython.Py_ssize_t,
    points: Floats,
    polygon_start: Longs,
    object_start: Longs,
    size: Sizes,
    start: Filled,
    counts: Runs,
    room: cython.Py_ssize_t,
) -> int:
    """The union of the polygons of each object, from object `first` on; returns where it stopped for lack of room.

    points: float64, x and y of each point, in pixels, at most 1e5 from 0. polygon_start: int64, polygon p is
    ``points[polygon_start[p]:polygon_start[p + 1]]``. object_start: int64 [N + 1], object i has the polygons from
    ``object_start[i]`` up to ``object_start[i + 1]``; one without polygons gets no runs.
    size: int32 [N, 2], (height, width) of each image. start: int64 [N + 1], ``start[:first + 1]`` is given; filled.
    counts: uint32, filled: the runs of object i are ``counts[start[i]:start[i + 1]]``.
    room: how many runs an object may have before they are merged.
    """
    crossing: Filled = np.empty(room, np.int64)
    ordered: Filled = np.empty(room, np.int64)
    column: Filled = np.empty(int(np.max(size[:, 1], initial=0)) + 2, np.int64)
    runs: Runs = np.empty(room, np.uint32)
    merged: Runs = np.empty(room, np.uint32)
    i: cython.Py_ssize_t = first
    p: cython.Py_ssize_t
    k: cython.Py_ssize_t
    number: cython.Py_ssize_t
    found: cython.Py_ssize_t
    most: cython.Py_ssize_t
    height: cython.longlong
    width: cython.longlong
    with cython.nogil:
        while i + 1 < object_start.shape[0]:
            most = 0
            for p in range(object_start[i], object_start[i + 1]):
                most += _most_crossings(points, polygon_start[p], polygon_start[p + 1], size[i, 1]) + 2
            if most > room or start[i] + most > counts.shape[0]:
                break
            height = cython.cast(cython.longlong, size[i, 0])
            width = cython.cast(cython.longlong, size[i, 1])
            number = 0
            for p in range(object_start[i], object_start[i + 1]):
                found = _crossings(points, polygon_start[p], polygon_start[p + 1], height, width, crossing)
                _sort(crossing, found, height, width, column, ordered)
                if number == 0:
                    number = _runs(ordered, found, height, width, counts, start[i])
                    continue
                found = _runs(ordered, found, height, width, runs, 0)
                number = _union(counts, start[i], number, runs, found, merged)
                for k in range(number):
                    counts[start[i] + k] = merged[k]
            start[i + 1] = start[i] + number
            i += 1
    return i


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _grid(coordinate: cython.double) -> cython.int:
    return cython.cast(cython.int, _SCALE * coordinate + 0.5)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _most_crossings(
    points: Floats, begin: cython.Py_ssize_t, end: cython.Py_ssize_t, width: cython.Py_ssize_t
) -> cython.Py_ssize_t:
    """An upper bound of the number of crossings of a polygon."""
    most: cython.Py_ssize_t = 0
    x: cython.int = _grid(points[end - 2])
    at: cython.Py_ssize_t
    for at in range(begin, end, 2):
        most += min(abs(_grid(points[at]) - x) // _SCALE, width) + 1
        x = _grid(points[at])
    return most


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _crossings(
    points: Floats,
    begin: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    height: cython.longlong,
    width: cython.longlong,
    crossing: Filled,
) -> cython.Py_ssize_t:
    """Where runs start and end, as pixels counted down the columns, in any order; returns their number.

    The middle of the pixels in column x is at 5 x + 2 on the grid. An edge crosses it between its points at u = 5 x + 2
    and 5 x + 3, and the run starts or ends at the upper of the two. Of an edge that is wider than high the points have
    each u once; of others each v, and where u changes is estimated, then looked up, as it depends on rounding.
    """
    number: cython.Py_ssize_t = 0
    at: cython.Py_ssize_t
    after: cython.Py_ssize_t
    x_begin: cython.int
    y_begin: cython.int
    x_end: cython.int
    y_end: cython.int
    swapped: cython.int
    dx: cython.int
    dy: cython.int
    t: cython.int
    u: cython.int
    v: cython.int
    last: cython.int
    slope: cython.double
    for at in range(begin, end, 2):
        after = at + 2 if at + 2 < end else begin
        x_begin = _grid(points[at])
        y_begin = _grid(points[at + 1])
        x_end = _grid(points[after])
        y_end = _grid(points[after + 1])
        dx = abs(x_end - x_begin)
        dy = abs(y_end - y_begin)
        if dx == 0:
            continue
        if (dx >= dy and x_begin > x_end) or (dx < dy and y_begin > y_end):
            swapped = x_begin
            x_begin = x_end
            x_end = swapped
            swapped = y_begin
            y_begin = y_end
            y_end = swapped
        u = max(min(x_begin, x_end), 0)
        u += (2 - u % _SCALE + _SCALE) % _SCALE  # the first middle
        last = min(max(x_begin, x_end) - 1, cython.cast(cython.int, width - 1) * _SCALE + 2)
        if dx >= dy:
            slope = cython.cast(cython.double, y_end - y_begin) / dx
        else:
            slope = cython.cast(cython.double, x_end - x_begin) / dy
        while u <= last:
            if dx >= dy:
                t = u - x_begin
                v = min(_rounded(y_begin, slope, t), _rounded(y_begin, slope, t + 1))
            else:
                t = cython.cast(cython.int, (u + 0.5 - x_begin) / slope)
                t = min(max(t, 0), dy - 1)
                while t > 0 and (_rounded(x_begin, slope, t) > u) == (slope > 0):
                    t -= 1
                while t < dy - 1 and (_rounded(x_begin, slope, t + 1) > u) != (slope > 0):
                    t += 1
                v = t + y_begin
            crossing[number] = (u - 2) // _SCALE * height + min(max(v + 2, 0) // _SCALE, height)
            number += 1
            u += _SCALE
    return number


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _rounded(begin: cython.int, slope: cython.double, t: cython.int) -> cython.int:
    return cython.cast(cython.int, begin + slope * t + 0.5)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _sort(
    crossing: Filled,
    number: cython.Py_ssize_t,
    height: cython.longlong,
    width: cython.longlong,
    column: Filled,
    ordered: Filled,
) -> cython.void:
    """Fill `ordered` with `crossing` ascending, column by column; `column` is room for where each begins."""
    k: cython.Py_ssize_t
    x: cython.Py_ssize_t
    gap: cython.Py_ssize_t = 1
    for x in range(width + 2):
        column[x] = 0
    for k in range(number):
        column[crossing[k] // height + 1] += 1  # the last pixel of a column may count as the next one's first
    for x in range(width + 1):
        column[x + 1] += column[x]
    for k in range(number):
        x = crossing[k] // height
        ordered[column[x]] = crossing[k]
        column[x] += 1
    if number > 8 * width:  # else few are out of order: those of one column
        while gap < number // 3:
            gap = 3 * gap + 1
    while gap > 1:  # Shell's sort
        _insert(ordered, number, gap)
        gap //= 3
    _insert(ordered, number, 1)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _insert(ordered: Filled, number: cython.Py_ssize_t, gap: cython.Py_ssize_t) -> cython.void:
    """Sort what lies `gap` apart, each into those before it."""
    k: cython.Py_ssize_t
    at: cython.Py_ssize_t
    pixel: cython.longlong
    for k in range(gap, number):
        pixel = ordered[k]
        at = k
        while at >= gap and ordered[at - gap] > pixel:
            ordered[at] = ordered[at - gap]
            at -= gap
        ordered[at] = pixel


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _runs(
    ordered: Filled,
    number: cython.Py_ssize_t,
    height: cython.longlong,
    width: cython.longlong,
    runs: Runs,
    begin: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """The runs between crossings, without empty ones except the first; returns their number."""
    k: cython.Py_ssize_t = 0
    m: cython.Py_ssize_t = begin
    before: cython.longlong = 0
    at: cython.longlong
    joins: cython.bint = False  # whether the next run goes on with the one before, as an empty one was between them
    for k in range(number + 1):
        at = ordered[k] if k < number else height * width
        if joins:
            runs[m - 1] += cython.cast(cython.uint, at - before)
            joins = False
        elif at > before or k == 0:
            runs[m] = cython.cast(cython.uint, at - before)
            m += 1
        else:
            joins = True
        before = at
    return m - begin


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _union(
    runs: Runs,
    begin: cython.Py_ssize_t,
    number: cython.Py_ssize_t,
    others: Runs,
    number_others: cython.Py_ssize_t,
    merged: Runs,
) -> cython.Py_ssize_t:
    """The runs of either mask; returns their number."""
    a: cython.Py_ssize_t = 1
    b: cython.Py_ssize_t = 1
    m: cython.Py_ssize_t = 0
    in_a: cython.bint = False
    in_b: cython.bint = False
    inside: cython.bint = False
    left_a: cython.longlong = runs[begin]
    left_b: cython.longlong = others[0]
    both: cython.longlong
    run: cython.longlong = 0
    going: cython.bint = True
    was: cython.bint
    while going:
        both = min(left_a, left_b)
        run += both
        left_a -= both
        if left_a == 0 and a < number:
            left_a = runs[begin + a]
            a += 1
            in_a = not in_a
        left_b -= both
        if left_b == 0 and b < number_others:
            left_b = others[b]
            b += 1
            in_b = not in_b
        going = left_a + left_b > 0
        was = inside
        inside = in_a or in_b
        if inside != was or not going:
            merged[m] = cython.cast(cython.uint, run)
            m += 1
            run = 0
    return m
