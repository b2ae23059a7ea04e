"""A strict reader (RFC 8259) of JSON lists of objects into columns.

The text is ``data[:end]``, followed by a NUL. As JSON contains no NUL, everything stops there by itself. A function
takes the position at which its piece begins and returns the position after it, or ``~i`` if it stopped at position i:
the text is not valid, or goes on beyond `end`.

The entries of a list are mostly written alike. The text between the values of an entry that was read in full is
remembered, and where the next entry has the same text there, only its values are read. Any other is read in full.
"""

import sys

import cython
import numpy as np

Bytes = cython.typedef(cython.const[cython.uchar][::1])
Names = cython.typedef(cython.const[cython.uchar][:, ::1])
Fields = cython.typedef(cython.const[cython.int][:, ::1])
Steps = cython.typedef(cython.longlong[:, ::1])
Integers = cython.typedef(cython.longlong[:, ::1])
Reals = cython.typedef(cython.double[:, ::1])
Spans = cython.typedef(cython.longlong[:, :, ::1])
Positions = cython.typedef(cython.longlong[::1])
Places = cython.typedef(cython.const[cython.longlong][:, ::1])
Points = cython.typedef(cython.double[::1])
Words = cython.typedef(cython.const[cython.ulonglong][:, ::1])
Floats = cython.typedef(cython.const[cython.double][::1])

ID, INTEGER, FLAG, REAL, BOX, VALUE = range(6)
"""Kinds of fields: an integer, perhaps written like 42.0; an integer in digits; true, false, 0 or 1; a number; four
numbers, the last two not negative; any value."""

START, FIRST, NEXT, CLOSED = range(4)
"""What was read last: nothing, the bracket that opens the list, an entry, the bracket that closes the list."""

MORE, REFUSED, BROKEN = range(3)
"""Why `scan` stopped: the text ends, an entry is not valid, or something else is between two entries."""

CONSTANTS, JSON, PAIRED = range(3)
"""How strict to be: NaN and Infinity are accepted, they are not, nor are halves of UTF-16 surrogates in escapes."""

MAX_DEPTH = 64
"""How many levels of lists and objects a value may have."""

MAX_STEPS = 32  # values of an entry that is remembered; each side of a box is one

_ID = cython.declare(cython.int, ID)
_INTEGER = cython.declare(cython.int, INTEGER)
_FLAG = cython.declare(cython.int, FLAG)
_REAL = cython.declare(cython.int, REAL)
_BOX = cython.declare(cython.int, BOX)
_VALUE = cython.declare(cython.int, VALUE)
_SIDE = cython.declare(cython.int, 6)  # of a box
_END = cython.declare(cython.int, 7)  # of an entry
_START = cython.declare(cython.int, START)
_FIRST = cython.declare(cython.int, FIRST)
_NEXT = cython.declare(cython.int, NEXT)
_CLOSED = cython.declare(cython.int, CLOSED)
_MORE = cython.declare(cython.int, MORE)
_REFUSED = cython.declare(cython.int, REFUSED)
_BROKEN = cython.declare(cython.int, BROKEN)
_CONSTANTS = cython.declare(cython.int, CONSTANTS)
_PAIRED = cython.declare(cython.int, PAIRED)
_MAX_DEPTH = cython.declare(cython.int, MAX_DEPTH)
_MAX_STEPS = cython.declare(cython.int, MAX_STEPS)
_LOWEST = cython.declare(cython.int, -64)
_POWERS = cython.declare(cython.int, 128)  # from 1e-64 to 1e63; Python reads the rest
_NAN = cython.declare(cython.double, float("nan"))


def _powers_of_ten() -> tuple[np.ndarray, np.ndarray]:
    """10^e = (power + rest) * scale / 2^64, 0 <= rest < 2^-64: power as 128 bits in two words, its binary point between
    them; and the scale.
    """
    power, scale = [], []
    for exponent in range(-64, 64):
        numerator, denominator = 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
        shift = numerator.bit_length() - denominator.bit_length() - 128
        bits = (numerator << max(-shift, 0)) // (denominator << max(shift, 0))
        excess = bits.bit_length() - 128  # 0 or 1
        power.append(divmod(bits >> excess, 1 << 64))
        scale.append(2.0 ** (shift + excess + 128))
    return np.array(power, np.uint64), np.array(scale, np.float64)


_WORDS = cython.declare(
    Names,
    np.array([list(word.ljust(9, b"\0")) for word in (b"true", b"false", b"null", b"NaN", b"Infinity")], np.uint8),
)
_POWER = cython.declare(Words, _powers_of_ten()[0])
_SCALE = cython.declare(Floats, _powers_of_ten()[1])
_TEN = cython.declare(Floats, np.array([10.0**exponent for exponent in range(23)]))

_LITTLE_ENDIAN = cython.declare(cython.bint, sys.byteorder == "little")
_ZEROS = cython.declare(cython.ulonglong, 0x3030303030303030)  # in every byte of a word
_ABOVE_NINE = cython.declare(cython.ulonglong, 0x7676767676767676)
_ALL_BITS = cython.declare(cython.ulonglong, 0xFFFFFFFFFFFFFFFF)
_HIGH_BITS = cython.declare(cython.ulonglong, 0x8080808080808080)
_BYTES = cython.declare(cython.ulonglong, 0x00FF00FF00FF00FF)
_SHORTS = cython.declare(cython.ulonglong, 0x0000FFFF0000FFFF)

Plain = cython.struct(end=cython.Py_ssize_t, digits=cython.ulonglong, places=cython.Py_ssize_t)
Decimal = cython.struct(
    end=cython.Py_ssize_t,
    digits=cython.ulonglong,
    exponent=cython.longlong,
    negative=cython.bint,
    cut=cython.bint,
    whole=cython.bint,
)
Value = cython.struct(end=cython.Py_ssize_t, exact=cython.bint)


def scan(
    data: Bytes,
    end: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    state: cython.int,
    names: Names,
    fields: Fields,
    required: cython.uint,
    strict: cython.int,
    integers: Integers,
    reals: Reals,
    boxes: Reals,
    spans: Spans,
    deferred: Positions,
) -> tuple[int, int, int, int, int]:
    """Read as many entries as ``data[begin:end]`` holds, and as the columns have room for.

    state: what was read before `begin`.
    names: uint8 [F, W], the names of the fields, each followed by NULs. Other fields may have any value.
    fields: int32 [F, 3], the kind of each field, the column of its value among those of its kind, and that of its
        span, or -1.
    required: bit f is set if every entry must have field f. No entry may have a field twice.
    integers: int64 [A, R], filled with ids, integers and flags; zeros for an entry without one.
    reals: float64 [B, R], filled.
    boxes: float64 [R, 4], filled; x is NaN for an entry without a box.
    spans: int64 [S, R, 2], filled with the begin and end of values; zeros for an entry without one.
    deferred: int64 [R], filled with the begin of an entry with a number that Python has to read, else -1.

    Returns why it stopped (for lack of room as if the text ends), what was read last and where that ends, where it
    stopped, and how many rows it filled.
    """
    steps: Steps = np.zeros((MAX_STEPS + 1, 5), np.int64)
    room: cython.Py_ssize_t = deferred.shape[0]
    rows: cython.Py_ssize_t = 0
    why: cython.int = _MORE
    i: cython.Py_ssize_t
    after: cython.Py_ssize_t
    with cython.nogil:
        while True:
            i = _blank(data, begin)
            if i >= end:
                begin = i
                break
            if state == _START and data[i] == ord("["):
                state = _FIRST
                begin = i + 1
                continue
            if state in (_FIRST, _NEXT) and data[i] == ord("]"):
                state = _CLOSED
                begin = i + 1
                continue
            if state in (_START, _CLOSED) or (state == _NEXT and data[i] != ord(",")):
                why = _BROKEN
                break
            if rows == room:
                break
            if state == _NEXT:
                i = _blank(data, i + 1)
            after = ~i
            if steps[0, 1] > 0:
                after = _alike(data, i, rows, strict, steps, integers, reals, boxes, spans, deferred)
            if after < 0:
                after = _entry(
                    data, i, rows, names, fields, required, strict, steps, integers, reals, boxes, spans, deferred
                )
            if after < 0:
                if ~after < end:
                    why = _REFUSED
                else:
                    i = end
                break
            state = _NEXT
            begin = after
            rows += 1
    return why, state, begin, i, rows


def member(data: Bytes, begin: cython.Py_ssize_t, names: Names, strict: cython.int) -> tuple[int, int]:
    """The member of an object whose key is at `begin`: where its value begins, or ``~i``, and its row in `names`.

    names: uint8 [F, W], each followed by NULs. The row is F for any other name.
    """
    value: cython.Py_ssize_t
    name: cython.Py_ssize_t = names.shape[0]
    with cython.nogil:
        begin = _blank(data, begin)
        value = _key(data, begin, strict)
        if value >= 0:
            name = _name_of(data, begin, names)
    return value, name


def skip(data: Bytes, begin: cython.Py_ssize_t, strict: cython.int) -> int:
    """The end of the value at `begin` and of the white space after it, or ``~i``."""
    end: cython.Py_ssize_t
    with cython.nogil:
        end = _skip(data, begin, strict)
    return end


def polygons(
    data: Bytes,
    places: Places,
    largest: cython.double,
    points: Points,
    polygon_start: Positions,
    object_start: Positions,
) -> None:
    """Read lists of polygons, ``[[x1, y1, x2, y2, x3, y3, ...], ...]``.

    places: int64 [N, 2], where each list begins, and its end with the white space after it.
    largest: the largest absolute coordinate.
    points: float64, filled with all coordinates. polygon_start: int64, filled: where in `points` each polygon begins.
    object_start: int64 [N + 1], filled: the first polygon of each list. There has to be room for half as many
        coordinates and polygons as the places have characters, and one.

    A value that is none, or has polygons of fewer than three points or half a point, larger coordinates, or numbers
    that Python has to read, gets no polygons.
    """
    row: cython.Py_ssize_t
    number: cython.Py_ssize_t = 0
    object_start[0] = 0
    polygon_start[0] = 0
    with cython.nogil:
        for row in range(places.shape[0]):
            number = _polygons(data, places[row, 0], places[row, 1], largest, points, polygon_start, number)
            object_start[row + 1] = number


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _polygons(
    data: Bytes,
    i: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    largest: cython.double,
    points: Points,
    polygon_start: Positions,
    before: cython.Py_ssize_t,
) -> cython.Py_ssize_t:
    """One list of polygons after the `before` that were read; returns how many were read now."""
    number: cython.Py_ssize_t = before
    at: cython.Py_ssize_t
    real: cython.double
    decimal: Decimal
    while data[i] == (ord("[") if number == before else ord(",")):
        i = _blank(data, i + 1)
        at = polygon_start[number]
        if data[i] != ord("["):
            return before
        while data[i] == (ord("[") if at == polygon_start[number] else ord(",")):
            i = _blank(data, i + 1)
            decimal = _number(data, i)
            i = decimal.end
            if i < 0:
                return before
            real = _nearest(decimal.digits, decimal.exponent, decimal.cut)
            if not real <= largest:
                return before
            points[at] = -real if decimal.negative else real
            at += 1
            i = _blank(data, i)
        if data[i] != ord("]") or at - polygon_start[number] < 6 or (at - polygon_start[number]) % 2:
            return before
        number += 1
        polygon_start[number] = at
        i = _blank(data, i + 1)
    return number if data[i] == ord("]") and _blank(data, i + 1) == end else before


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _alike(
    data: Bytes,
    i: cython.Py_ssize_t,
    row: cython.Py_ssize_t,
    strict: cython.int,
    steps: Steps,
    integers: Integers,
    reals: Reals,
    boxes: Reals,
    spans: Spans,
    deferred: Positions,
) -> cython.Py_ssize_t:
    """An entry into its row, if it is written like the one that is remembered, with numbers that are read at once."""
    step: cython.Py_ssize_t = 0
    begin: cython.Py_ssize_t
    length: cython.Py_ssize_t
    kind: cython.longlong
    column: cython.longlong
    negative: cython.bint
    number: Plain
    real: cython.double
    value: Value
    _clear(row, integers, boxes, spans, deferred)
    while True:
        begin = steps[step, 0]
        length = steps[step, 1]
        if data[i] != data[begin] or (length > 1 and not _same(data, i, begin, length)):
            return ~i
        i += length
        begin = i
        kind = steps[step, 2]
        column = steps[step, 3]
        if kind in (_SIDE, _REAL, _ID, _INTEGER):
            negative = data[i] == ord("-")
            number = _plain(data, i + 1 if negative else i)
            if number.end < 0:
                return ~i
            i = number.end
            if kind in (_ID, _INTEGER):
                if number.places > 0 or number.digits >> 63:
                    return ~i
                integers[column, row] = cython.cast(cython.longlong, number.digits)
                if negative:
                    integers[column, row] = -integers[column, row]
            else:
                if number.digits >> 53 == 0:
                    real = cython.cast(cython.double, number.digits) / _TEN[number.places]
                else:
                    real = _product(number.digits, -_LOWEST - number.places, False)
                    if real != real:
                        return ~i
                if negative:
                    real = -real
                if kind == _REAL:
                    reals[column, row] = real
                elif negative and column >= 2:
                    return ~i
                else:
                    boxes[row, column] = real
        elif kind == _END:
            return i
        else:
            value = _value(data, i, row, kind, column, -1, strict, integers, reals, boxes, spans)
            if value.end < 0:
                return ~i
            i = value.end
        if steps[step, 4] >= 0:
            spans[steps[step, 4], row, 0] = begin
            spans[steps[step, 4], row, 1] = i
        step += 1


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _entry(
    data: Bytes,
    i: cython.Py_ssize_t,
    row: cython.Py_ssize_t,
    names: Names,
    fields: Fields,
    required: cython.uint,
    strict: cython.int,
    steps: Steps,
    integers: Integers,
    reals: Reals,
    boxes: Reals,
    spans: Spans,
    deferred: Positions,
) -> cython.Py_ssize_t:
    """An entry into its row; it is remembered in `steps`.

    Row s of `steps` is the begin and length of the text before value s, and its kind, column and column of the span.
    """
    start: cython.Py_ssize_t = i
    literal: cython.Py_ssize_t = i
    key: cython.Py_ssize_t
    step: cython.Py_ssize_t = 0
    seen: cython.uint = 0
    name: cython.Py_ssize_t
    side: cython.int
    kind: cython.longlong
    column: cython.longlong
    span: cython.longlong
    exact: cython.bint = True
    value: Value
    steps[0, 1] = 0
    if data[i] != ord("{"):
        return ~i
    _clear(row, integers, boxes, spans, deferred)
    i = _blank(data, i + 1)
    while True:
        key = i
        i = _key(data, i, strict)
        if i < 0:
            return i
        name = _name_of(data, key, names)
        kind = _VALUE
        column = 0
        span = -1
        if name < names.shape[0]:
            if seen >> name & 1:
                return ~key
            seen |= cython.cast(cython.uint, 1) << name
            kind = fields[name, 0]
            column = fields[name, 1]
            span = fields[name, 2]
        for side in range(4 if kind == _BOX else 1):
            if kind == _BOX:
                if data[i] != (ord(",") if side else ord("[")):
                    return ~i
                i = _blank(data, i + 1)
                column = side
            if step < _MAX_STEPS:
                _remember(steps, step, literal, i, _SIDE if kind == _BOX else kind, column, span)
            step += 1
            value = _value(
                data, i, row, _SIDE if kind == _BOX else kind, column, span, strict, integers, reals, boxes, spans
            )
            i = value.end
            if i < 0:
                return i
            exact &= value.exact
            literal = i
            i = _blank(data, i)
        if kind == _BOX:
            if data[i] != ord("]"):
                return ~i
            i = _blank(data, i + 1)
        if data[i] != ord(","):
            break
        i = _blank(data, i + 1)
    if data[i] != ord("}") or seen & required != required:
        return ~i
    if step < _MAX_STEPS:
        _remember(steps, step, literal, i + 1, _END, 0, -1)
    else:
        steps[0, 1] = 0
    if not exact:
        deferred[row] = start
    return i + 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _remember(
    steps: Steps,
    step: cython.Py_ssize_t,
    begin: cython.Py_ssize_t,
    end: cython.Py_ssize_t,
    kind: cython.longlong,
    column: cython.longlong,
    span: cython.longlong,
) -> cython.void:
    steps[step, 0] = begin
    steps[step, 1] = end - begin
    steps[step, 2] = kind
    steps[step, 3] = column
    steps[step, 4] = span


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _clear(row: cython.Py_ssize_t, integers: Integers, boxes: Reals, spans: Spans, deferred: Positions) -> cython.void:
    """The row of an entry without fields."""
    column: cython.Py_ssize_t
    span: cython.Py_ssize_t
    for column in range(integers.shape[0]):
        integers[column, row] = 0
    deferred[row] = -1
    if boxes.shape[0]:
        boxes[row, 0] = _NAN
    for span in range(spans.shape[0]):
        spans[span, row, 0] = 0
        spans[span, row, 1] = 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _value(
    data: Bytes,
    i: cython.Py_ssize_t,
    row: cython.Py_ssize_t,
    kind: cython.longlong,
    column: cython.longlong,
    span: cython.longlong,
    strict: cython.int,
    integers: Integers,
    reals: Reals,
    boxes: Reals,
    spans: Spans,
) -> Value:
    """A value into its columns; whether it is exact: if not, Python has to read it."""
    begin: cython.Py_ssize_t = i
    exact: cython.bint = True
    real: cython.double
    number: Decimal
    if kind == _VALUE:
        i = _skip(data, i, strict)
    elif kind == _FLAG and (data[i] == ord("t") or data[i] == ord("f")):
        integers[column, row] = data[i] == ord("t")
        i = _word(data, i, 0 if data[i] == ord("t") else 1)
    else:
        number = _number(data, i)
        i = number.end
        if kind in (_REAL, _SIDE):
            real = _nearest(number.digits, number.exponent, number.cut)
            real = -real if number.negative else real
            exact = real == real
            if kind == _REAL:
                reals[column, row] = real
            else:
                boxes[row, column] = real
                if column >= 2 and real < 0 and i >= 0:
                    i = ~i
        else:
            if kind != _ID and not number.whole and i >= 0:
                i = ~i
            exact = number.exponent == 0 and number.digits >> 63 == 0
            while number.exponent < 0 and number.digits % 10 == 0:
                number.digits //= 10
                number.exponent += 1
            exact |= number.exponent == 0 and number.digits < cython.cast(cython.ulonglong, 1) << 53
            exact &= not number.cut
            if exact:
                integers[column, row] = cython.cast(cython.longlong, number.digits)
                if number.negative:
                    integers[column, row] = -integers[column, row]
            if kind == _FLAG and i >= 0 and (number.digits > 1 or (number.negative and number.digits)):
                i = ~i
    if span >= 0:
        spans[span, row, 0] = begin
        spans[span, row, 1] = i
    return Value(end=i, exact=exact)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _blank(data: Bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """White space, if any."""
    while data[i] == ord(" ") or data[i] == ord("\n") or data[i] == ord("\r") or data[i] == ord("\t"):
        i += 1
    return i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _key(data: Bytes, i: cython.Py_ssize_t, strict: cython.int) -> cython.Py_ssize_t:
    """A key, its colon and the white space up to the value."""
    i = _string(data, i, strict)
    if i < 0:
        return i
    i = _blank(data, i)
    return _blank(data, i + 1) if data[i] == ord(":") else ~i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _name_of(data: Bytes, i: cython.Py_ssize_t, names: Names) -> cython.Py_ssize_t:
    r"""Which row of `names` the key at `i` spells, letters perhaps like ``\u0073``; the number of rows if none."""
    name: cython.Py_ssize_t
    position: cython.Py_ssize_t
    letter: cython.Py_ssize_t
    code: cython.int
    for name in range(names.shape[0]):
        position = i + 1
        letter = 0
        while names[name, letter]:
            code = data[position]
            if code == ord("\\") and data[position + 1] == ord("u"):
                code = cython.cast(cython.int, _hexadecimal(data, position + 2))
                position += 5
            if code != names[name, letter]:
                break
            position += 1
            letter += 1
        if not names[name, letter] and data[position] == ord('"'):
            return name
    return names.shape[0]


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _skip(data: Bytes, i: cython.Py_ssize_t, strict: cython.int) -> cython.Py_ssize_t:
    """One value of any kind and the white space after it."""
    depth: cython.int = 0
    objects: cython.ulonglong = 0  # one bit per level: whether it is an object
    opened: cython.bint
    while True:
        opened = data[i] == ord("{") or data[i] == ord("[")
        if opened:
            if depth == _MAX_DEPTH:
                return ~i
            depth += 1
            objects = objects << 1 | (data[i] == ord("{"))
            i += 1
        else:
            i = _scalar(data, i, strict)
            if i < 0:
                return i
        i = _blank(data, i)
        while depth > 0 and data[i] == (ord("}") if objects & 1 else ord("]")):
            i = _blank(data, i + 1)
            depth -= 1
            objects >>= 1
            opened = False
        if depth == 0:
            return i
        if not opened:
            if data[i] != ord(","):
                return ~i
            i = _blank(data, i + 1)
        if objects & 1:
            i = _key(data, i, strict)
            if i < 0:
                return i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _scalar(data: Bytes, i: cython.Py_ssize_t, strict: cython.int) -> cython.Py_ssize_t:
    """A string, a number or a constant."""
    word: cython.int
    if data[i] == ord('"'):
        return _string(data, i, strict)
    if data[i] == ord("-") and data[i + 1] == ord("I") and strict == _CONSTANTS:
        i += 1
    elif data[i] == ord("-") or ord("0") <= data[i] <= ord("9"):
        return _number(data, i).end
    for word in range(5 if strict == _CONSTANTS else 3):
        if data[i] == _WORDS[word, 0]:
            return _word(data, i, word)
    return ~i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _word(data: Bytes, i: cython.Py_ssize_t, word: cython.int) -> cython.Py_ssize_t:
    """The given row of `_WORDS`."""
    letter: cython.Py_ssize_t = 0
    while _WORDS[word, letter] and data[i] == _WORDS[word, letter]:
        i += 1
        letter += 1
    return ~i if _WORDS[word, letter] else i


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _string(data: Bytes, i: cython.Py_ssize_t, strict: cython.int) -> cython.Py_ssize_t:
    code: cython.Py_ssize_t
    if data[i] != ord('"'):
        return ~i
    i += 1
    while data[i] != ord('"'):
        if data[i] < ord(" "):
            return ~i
        if data[i] == ord("\\"):
            i += 1
            if data[i] == ord("u"):
                code = _hexadecimal(data, i + 1)
                if code < 0:
                    return code
                if strict == _PAIRED and 0xD800 <= code < 0xE000:
                    return ~i
                i += 4
            elif not _is_escaped(data[i]):
                return ~i
        i += 1
    return i + 1


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _is_escaped(code: cython.uchar) -> cython.bint:
    """Whether a character may follow a backslash."""
    return (
        code == ord('"') or code == ord("\\") or code == ord("/") or code == ord("b") or code == ord("f")
        or code == ord("n") or code == ord("r") or code == ord("t")
    )  # fmt: skip


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _hexadecimal(data: Bytes, i: cython.Py_ssize_t) -> cython.Py_ssize_t:
    """The value of four hexadecimal digits (not a position), or ``~i``."""
    value: cython.Py_ssize_t = 0
    code: cython.int
    position: cython.Py_ssize_t
    for position in range(i, i + 4):
        code = data[position]
        if ord("0") <= code <= ord("9"):
            value = value * 16 + code - ord("0")
        elif ord("a") <= code | 32 <= ord("f"):
            value = value * 16 + (code | 32) - ord("a") + 10
        else:
            return ~position
    return value


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _plain(data: Bytes, i: cython.Py_ssize_t) -> Plain:
    """A number of up to 19 digits without sign and exponent: its digits as an integer, and the decimal places.

    The end of any other is ``~i``, except that an exponent may follow.
    """
    digits: cython.ulonglong = 0
    begin: cython.Py_ssize_t = i
    point: cython.Py_ssize_t
    word: cython.ulonglong
    digit: cython.uint = cython.cast(cython.uint, data[i]) - ord("0") & 0xFF
    while digit <= 9:
        digits = digits * 10 + digit
        i += 1
        digit = cython.cast(cython.uint, data[i]) - ord("0") & 0xFF
    if i == begin or (data[begin] == ord("0") and i > begin + 1):
        return Plain(end=~i, digits=0, places=0)
    point = i
    if data[i] == ord("."):
        i += 1
        if cython.compiled:
            while _LITTLE_ENDIAN and i + 8 <= data.shape[0]:
                word = _eight(data, i) ^ _ZEROS  # 0 to 9 for a digit
                if (word + _ABOVE_NINE | word) & _HIGH_BITS:
                    break
                digits = digits * 100000000 + _joined(word)
                i += 8
        digit = cython.cast(cython.uint, data[i]) - ord("0") & 0xFF
        while digit <= 9:
            digits = digits * 10 + digit
            i += 1
            digit = cython.cast(cython.uint, data[i]) - ord("0") & 0xFF
        point += 1
        if i == point:
            return Plain(end=~i, digits=0, places=0)
    if i - begin > 19:
        while data[begin] == ord("0") or data[begin] == ord("."):
            begin += 1
        if i - begin > (20 if begin < point < i else 19) or i - point > 22:
            return Plain(end=~i, digits=0, places=0)
    return Plain(end=i, digits=digits, places=i - point)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _joined(digits: cython.ulonglong) -> cython.ulonglong:
    """The number whose eight digits are the bytes of `digits`, the lowest byte first: joined by 2, 4 and 8."""
    digits = digits * 2561 >> 8 & _BYTES
    digits = digits * 6553601 >> 16 & _SHORTS
    return cython.cast(cython.uint, digits) * cython.cast(cython.ulonglong, 10000) + (digits >> 32)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _eight(data: Bytes, i: cython.Py_ssize_t) -> cython.ulonglong:
    """Eight bytes as one number."""
    return cython.cast(cython.pointer[cython.const[cython.ulonglong]], cython.address(data[i]))[0]


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _same(data: Bytes, i: cython.Py_ssize_t, other: cython.Py_ssize_t, length: cython.Py_ssize_t) -> cython.bint:
    """Whether the text at `i` and at `other` is the same; both are before the end of `data`."""
    if cython.compiled and _LITTLE_ENDIAN and i + length + 8 <= data.shape[0]:
        while length >= 8:
            if _eight(data, i) != _eight(data, other):
                return False
            i += 8
            other += 8
            length -= 8
        return length == 0 or (_eight(data, i) ^ _eight(data, other)) << 8 * (8 - length) == 0
    while length > 0 and data[i] == data[other]:
        i += 1
        other += 1
        length -= 1
    return length == 0


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _number(data: Bytes, i: cython.Py_ssize_t) -> Decimal:
    """What `_decimal` reads, mostly without calling it."""
    negative: cython.bint = data[i] == ord("-")
    plain: Plain = _plain(data, i + 1 if negative else i)
    if plain.end < 0 or data[plain.end] | 32 == ord("e"):
        return _decimal(data, i)
    return Decimal(
        end=plain.end,
        digits=plain.digits,
        exponent=-plain.places,
        negative=negative,
        cut=False,
        whole=plain.places == 0,
    )


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _decimal(data: Bytes, i: cython.Py_ssize_t) -> Decimal:
    """A number: its first 19 digits as an integer, their exponent, whether digits were cut off, whether it is `whole`,
    that is written with digits only.
    """
    negative: cython.bint = data[i] == ord("-")
    start: cython.Py_ssize_t
    digits: cython.ulonglong = 0
    exponent: cython.longlong = 0
    power: cython.longlong = 0
    cut: cython.bint = False
    whole: cython.bint = True
    down: cython.bint
    valid: cython.bint
    most: cython.ulonglong = 1000000000000000000  # 19 digits are not less
    if negative:
        i += 1
    start = i
    while ord("0") <= data[i] <= ord("9"):
        if digits < most:
            digits = digits * 10 + cython.cast(cython.ulonglong, data[i] - ord("0"))
        else:
            exponent += 1
            cut = True
        i += 1
    valid = i > start and (data[start] != ord("0") or i == start + 1)
    if valid and data[i] == ord("."):
        whole = False
        i += 1
        start = i
        while ord("0") <= data[i] <= ord("9"):
            if digits < most:
                digits = digits * 10 + cython.cast(cython.ulonglong, data[i] - ord("0"))
                exponent -= 1
            else:
                cut = True
            i += 1
        valid = i > start
    if valid and data[i] | 32 == ord("e"):
        whole = False
        i += 1
        down = data[i] == ord("-")
        if down or data[i] == ord("+"):
            i += 1
        start = i
        while ord("0") <= data[i] <= ord("9"):
            if power < 1 << 20:
                power = power * 10 + cython.cast(cython.int, data[i]) - ord("0")
            i += 1
        exponent += -power if down else power
        valid = i > start
    return Decimal(end=i if valid else ~i, digits=digits, exponent=exponent, negative=negative, cut=cut, whole=whole)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _nearest(digits: cython.ulonglong, exponent: cython.longlong, cut: cython.bint) -> cython.double:
    """The float64 nearest to digits * 10^exponent, or NaN if that is not decided here.

    If both factors are float64, one division rounds correctly (Clinger 1990). Otherwise the leading 64 bits of the
    product of both are a lower bound of the number, less than 2 units from it (more if digits were cut off), and if
    these do not tell on which side of the middle between two float64 it lies, the leading 128 bits mostly do (Lemire
    2021, "Number parsing at a gigabyte per second", section 5).
    """
    one: cython.ulonglong = 1
    if digits <= one << 53 and -22 <= exponent <= 0 and not cut:
        return cython.cast(cython.double, digits) / _TEN[-exponent]
    if exponent < _LOWEST or exponent >= _LOWEST + _POWERS:
        return _NAN
    return _product(digits, exponent - _LOWEST, cut)


@cython.cfunc
@cython.nogil
@cython.exceptval(check=False)
def _product(digits: cython.ulonglong, place: cython.longlong, cut: cython.bint) -> cython.double:
    """The rest of `_nearest`."""
    one: cython.ulonglong = 1
    zeros: cython.ulonglong = 0
    width: cython.ulonglong = 32
    step: cython.ulonglong
    while width:
        step = cython.cast(cython.ulonglong, digits >> (64 - width) == 0) * width  # a branch would be hard to predict
        digits <<= step
        zeros += step
        width >>= 1
    power: cython.ulonglong = cython.cast(cython.ulonglong, _POWER[place, 0])
    product: cython.ulonglong = _high_word(digits, power)
    dropped: cython.ulonglong = 10 + (product >> 63)
    half: cython.ulonglong = one << (dropped - 1)
    rest: cython.ulonglong = product & ((half << 1) - 1)
    low: cython.ulonglong
    if rest <= half <= rest + 2 + (one << zeros if cut else 0):
        if cut:
            return _NAN
        low = digits * power & _ALL_BITS
        power = low + _high_word(digits, cython.cast(cython.ulonglong, _POWER[place, 1])) & _ALL_BITS
        if power < low:
            product += 1
            rest += 1
        if (rest == half and power == 0) or (rest == half - 1 and power >= _ALL_BITS - 2):
            return _NAN
    product >>= dropped
    if rest >= half:
        product += 1
    return (
        cython.cast(cython.double, product)
        * _SCALE[place]
        * cython.cast(cython.double, one << dropped)
        / cython.cast(cython.double, one << zeros)
    )


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _high_word(a: cython.ulonglong, b: cython.ulonglong) -> cython.ulonglong:
    """The upper 64 bits of the 128-bit product of two 64-bit integers."""
    low: cython.ulonglong = 4294967295
    a_low: cython.ulonglong = a & low
    a_high: cython.ulonglong = a >> 32
    b_low: cython.ulonglong = b & low
    b_high: cython.ulonglong = b >> 32
    middle: cython.ulonglong = a_high * b_low + (a_low * b_low >> 32)
    return a_high * b_high + (middle >> 32) + (a_low * b_high + (middle & low) >> 32)
