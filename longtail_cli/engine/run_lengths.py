"""COCO run lengths: read from JSON, decoded, and the boxes around them.

Run lengths are column-major and start with a run of zeros. In a compressed RLE each run (from the fourth on: its
difference to the run two before) is cut into groups of five bits, lowest first; a group is one character, 48 plus the
five bits plus 32 if more groups follow, and bit 16 of the last group is the sign.
"""

import cython

Bytes = cython.typedef(cython.const[cython.uchar][::1])
Spans = cython.typedef(cython.const[cython.longlong][:, ::1])
Longs = cython.typedef(cython.const[cython.longlong][::1])
Counts = cython.typedef(cython.const[cython.uint][::1])
Sizes = cython.typedef(cython.const[cython.int][:, ::1])
Runs = cython.typedef(cython.uint[::1])
Filled = cython.typedef(cython.longlong[::1])
FilledSizes = cython.typedef(cython.int[:, ::1])
Boxes = cython.typedef(cython.double[:, ::1])

MOST_PIXELS = 1 << 29
"""A mask has fewer. pycocotools, which may get the same masks, writes longer runs beyond the end of its memory."""
_MOST_PIXELS = cython.declare(cython.longlong, MOST_PIXELS)

Text = cython.struct(end=cython.Py_ssize_t, run=cython.Py_ssize_t, pixels=cython.longlong)
Side = cython.struct(end=cython.Py_ssize_t, value=cython.longlong)


def read(data: Bytes, spans: Spans, size: FilledSizes, start: Filled, counts: Runs) -> int:
    """Read N masks like ``{"size": [4, 5], "counts": "52203"}``; returns how many, up to one that is not like this.

    data: uint8, text with JSON at `spans`, and after the last of them at least one byte that is not white space.
    spans: int64 [N, 2], begin and end of each mask and the white space after it.
    size: int32 [N, 2], filled with (height, width).
    start: int64 [N + 1], filled: the runs of mask i are ``counts[start[i]:start[i + 1]]``.
    counts: uint32, filled; has room for as many runs as the spans have characters.

    A mask is not like this if it has other keys or one of them twice, other escapes than of a backslash, sides beyond
    31 bits, `MOST_PIXELS` or more, or runs that do not fill it.
    """
    row: cython.Py_ssize_t = 0
    text: Text
    start[0] = 0
    with cython.nogil:
        while row < spans.shape[0]:
            text = _mask(data, spans[row, 0], row, size, start[row], counts)
            if text.end != spans[row, 1] or text.pixels != _area(size, row) or text.pixels >= _MOST_PIXELS:
                break
            row += 1
            start[row] = text.run
    return row


def decode(characters: Bytes, start: Longs, run_start: Filled, counts: Runs, pixels: Filled) -> None:
    """Decode N compressed strings.

    characters: uint8, the strings one after another, ASCII; string i is ``characters[start[i]:start[i + 1]]``.
    start: int64 [N + 1]. run_start: int64 [N + 1], filled with the start of the runs of each.
    counts: uint32, filled; has room for as many runs as there are characters.
    pixels: int64 [N], filled with the sum of the runs of each, or -1 if it is not valid; then it has no runs.
    """
    row: cython.Py_ssize_t
    text: Text
    run_start[0] = 0
    with cython.nogil:
        for row in range(start.shape[0] - 1):
            text = _runs(characters, start[row], start[row + 1], False, run_start[row], counts)
            pixels[row] = text.pixels if text.end == start[row + 1] else -1
            run_start[row + 1] = text.run if pixels[row] >= 0 else run_start[row]


def boxes(counts: Counts, start: Longs, size: Sizes, box: Boxes) -> None:
    """Fill `box`, float64 [N, 4], with the smallest xywh box around each mask in pixels; zeros for an empty mask.

    counts: uint32; start: int64 [N + 1]; size: int32 [N, 2]: see `read`.
    """
    mask: cython.Py_ssize_t
    run: cython.Py_ssize_t
    height: cython.longlong
    left: cython.longlong
    top: cython.longlong
    right: cython.longlong
    bottom: cython.longlong
    first: cython.longlong  # and last column of a run
    last: cython.longlong
    begin: cython.longlong
    end: cython.longlong
    with cython.nogil:
        for mask in range(size.shape[0]):
            height = size[mask, 0]
            left = size[mask, 1]
            top = height
            right = bottom = -1
            end = 0
            for run in range(start[mask], start[mask + 1]):
                begin = end
                end += cython.cast(cython.longlong, counts[run])
                if (run - start[mask]) % 2 == 0 or begin == end:
                    continue
                first = begin // height
                last = (end - 1) // height
                left = min(left, first)
                right = max(right, last)
                if first < last:  # it goes from the bottom of one column to the top of the next
                    top = 0
                    bottom = height - 1
                else:
                    top = min(top, begin % height)
                    bottom = max(bottom, (end - 1) % height)
            box[mask, 0] = left if right >= 0 else 0
            box[mask, 1] = top if right >= 0 else 0
            box[mask, 2] = right - left + 1 if right >= 0 else 0
            box[mask, 3] = bottom - top + 1 if right >= 0 else 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _area(size: FilledSizes, row: cython.Py_ssize_t) -> cython.longlong:
    return cython.cast(cython.longlong, size[row, 0]) * cython.cast(cython.longlong, size[row, 1])


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _mask(
    data: Bytes, i: cython.Py_ssize_t, row: cython.Py_ssize_t, size: FilledSizes, run: cython.Py_ssize_t, counts: Runs
) -> Text:
    """One mask of `read`; its end is -1 if it is not like this."""
    member: cython.int
    side: cython.int
    sides: cython.int = 0
    number: Side
    runs: Text = Text(end=-1, run=run, pixels=-1)
    bad: Text = Text(end=-1, run=run, pixels=-1)
    if data[i] != ord("{"):
        return bad
    for member in range(2):
        if member == 1 and data[i] != ord(","):
            return bad
        i = _blank(data, i + 1)
        if sides == 0 and _is_size(data, i):
            i = _value(data, i + 6)
            for side in range(2):
                if data[i] != (ord(",") if side else ord("[")):
                    return bad
                number = _side(data, _blank(data, i + 1))
                if number.end < 0:
                    return bad
                size[row, side] = cython.cast(cython.int, number.value)
                i = _blank(data, number.end)
                sides += 1
            if data[i] != ord("]"):
                return bad
            i += 1
        elif runs.end < 0 and _is_counts(data, i):
            i = _value(data, i + 8)
            if data[i] != ord('"'):
                return bad
            runs = _runs(data, i + 1, data.shape[0], True, run, counts)
            if runs.pixels < 0 or data[runs.end] != ord('"'):
                return bad
            i = runs.end + 1
        else:
            return bad
        i = _blank(data, i)
    if data[i] != ord("}"):
        return bad
    runs.end = _blank(data, i + 1)
    return runs


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _runs(
    data: Bytes, i: cython.Py_ssize_t, end: cython.Py_ssize_t, json: cython.bint, run: cython.Py_ssize_t, counts: Runs
) -> Text:
    r"""The runs of a compressed string: where its characters end, where its runs end, and how many pixels they cover.

    The pixels are -1 if a run is beyond 32 bits or cut off. In JSON a backslash is written ``\\``.
    """
    first: cython.Py_ssize_t = run
    value: cython.longlong = 0
    pixels: cython.longlong = 0
    bits: cython.int = 0
    group: cython.int
    while i < end:
        group = cython.cast(cython.int, data[i]) - 48
        if group < 0 or group > 63:
            break
        i += 1
        if json and group == ord("\\") - 48:
            if data[i] != ord("\\"):
                return Text(end=i, run=run, pixels=-1)
            i += 1
        if bits > 30:  # 35 bits hold any difference of two uint32
            return Text(end=i, run=run, pixels=-1)
        value |= cython.cast(cython.longlong, group & 31) << bits
        bits += 5
        if group & 32:
            continue
        if group & 16:
            value -= cython.cast(cython.longlong, 1) << bits
        if run - first > 2:
            value += cython.cast(cython.longlong, counts[run - 2])
        if value < 0 or value >> 32:
            return Text(end=i, run=run, pixels=-1)
        counts[run] = cython.cast(cython.uint, value)
        pixels += value
        run += 1
        value = 0
        bits = 0
    return Text(end=i, run=run, pixels=-1 if bits else pixels)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _side(data: Bytes, i: cython.Py_ssize_t) -> Side:
    """An integer from 0 to 2^31 - 1; its end is -1 if it is not one."""
    begin: cython.Py_ssize_t = i
    value: cython.longlong = 0
    while ord("0") <= data[i] <= ord("9") and value >> 31 == 0:
        value = value * 10 + cython.cast(cython.int, data[i]) - ord("0")
        i += 1
    if i == begin or value >> 31 or (data[begin] == ord("0") and i > begin + 1):
        i = -1
    return Side(end=i, value=value)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _is_size(data: Bytes, i: cython.Py_ssize_t) -> cython.bint:
    return (
        data[i] == ord('"') and data[i + 1] == ord("s") and data[i + 2] == ord("i") and data[i + 3] == ord("z")
        and data[i + 4] == ord("e") and data[i + 5] == ord('"')
    )  # fmt: skip


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _is_counts(data: Bytes, i: cython.Py_ssize_t) -> cython.bint:
    return (
        data[i] == ord('"') and data[i + 1] == ord("c") and data[i + 2] == ord("o") and data[i + 3] == ord("u")
        and data[i + 4] == ord("n") and data[i + 5] == ord("t") and data[i + 6] == ord("s") and data[i + 7] == ord('"')
    )  # fmt: skip


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _value(data: Bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The value after a key that ends at `i`; the end of `data` if there is no colon."""
    i = _blank(data, i)
    return _blank(data, i + 1) if data[i] == ord(":") else data.shape[0] - 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _blank(data: Bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    while data[i] == ord(" ") or data[i] == ord("\n") or data[i] == ord("\r") or data[i] == ord("\t"):
        i += 1
    return i
