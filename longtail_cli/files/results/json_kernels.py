"""Kernels that read JSON text byte by byte, as strictly as RFC 8259.

The text is ``data[:end]``, followed by a NUL. As JSON contains no NUL, every kernel stops there by itself. A kernel
takes the position at which its piece begins and returns the position after it, or ``~i`` if it stopped at position i:
the text is not valid, or goes on beyond `end`.

The numba cache of a kernel does not see changes in other files; after a change here, running the tests clears it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
from numba import njit

from longtail_cli.tables import Floats

Bytes = npt.NDArray[np.uint8]

MAX_DEPTH = 64
"""How many levels of lists and objects a value may have."""

QUOTE, BACKSLASH, COMMA, COLON, MINUS, PLUS, POINT = b'"\\,:-+.'
OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT = b"[]{}"
_SPACE, _TAB, _NEWLINE, _RETURN = b" \t\n\r"
_ZERO, _NINE, _LOWER_A, _LOWER_E, _LOWER_F, _LOWER_U, _UPPER_I = b"09aefuI"
_LOWER = 32  # the bit that makes a letter lower case

_0, _1, _2, _10, _32, _53, _63, _64 = (np.uint64(value) for value in (0, 1, 2, 10, 32, 53, 63, 64))
_19_DIGITS, _LOW_WORD, _INT64_MAX = (np.uint64(value) for value in (10**18, 2**32 - 1, 2**63 - 1))
_LOWEST, _POWERS, _MAX_EXPONENT = -64, 128, 1 << 20  # powers of ten from 1e-64 to 1e63; Python reads the rest

_OPTIONS: dict[str, Any] = {"cache": True, "nogil": True, "_nrt": False}  # numba's type hints lack `_nrt`
_Function = TypeVar("_Function", bound=Callable[..., Any])


def kernel(function: _Function) -> _Function:
    """Compile a function that allocates nothing: counting references to its arrays would double its time."""
    compiled: _Function = njit(**_OPTIONS)(function)
    return compiled


def inlined(function: _Function) -> _Function:
    """Compile a function into its callers; for functions that one or two kernels call."""
    compiled: _Function = njit(**_OPTIONS, inline="always")(function)
    return compiled


def rows_of(*words: str) -> Bytes:
    """uint8 [words, longest + 1]: one word per row, followed by NULs."""
    width = max(map(len, words)) + 1
    return np.array([list(word.encode().ljust(width, b"\0")) for word in words], np.uint8)


def _powers_of_ten() -> tuple[npt.NDArray[np.uint64], Floats]:
    """10^e = (power + rest) * scale / 2^64: the leading 64 bits of each power, 0 <= rest < 1, and the scale."""
    power, scale = [], []
    for exponent in range(_LOWEST, _LOWEST + _POWERS):
        numerator, denominator = 10 ** max(exponent, 0), 10 ** max(-exponent, 0)
        shift = numerator.bit_length() - denominator.bit_length() - 64
        bits = (numerator << max(-shift, 0)) // (denominator << max(shift, 0))
        excess = bits.bit_length() - 64  # 0 or 1
        power.append(bits >> excess)
        scale.append(2.0 ** (shift + excess + 64))
    return np.array(power, np.uint64), np.array(scale, np.float64)


_ESCAPED = np.isin(np.arange(256), list(b'"\\/bfnrt'))
_CONSTANTS = rows_of("true", "false", "null", "NaN", "Infinity")
_POWER, _SCALE = _powers_of_ten()
_TEN = np.array([10.0**exponent for exponent in range(23)])


@kernel
def blank(data: Bytes, i: int) -> int:
    """White space, if any."""
    while data[i] == _SPACE or data[i] == _NEWLINE or data[i] == _RETURN or data[i] == _TAB:
        i += 1
    return i


@kernel
def key(data: Bytes, i: int) -> int:
    """A key, its colon and the white space up to the value."""
    i = _string(data, i)
    if i < 0:
        return i
    i = blank(data, i)
    return blank(data, i + 1) if data[i] == COLON else ~i


@inlined
def name_of(data: Bytes, i: int, names: Bytes) -> int:
    r"""Which row of `names` the key at `i` spells, letters perhaps like ``\u0073``; the number of rows if none."""
    for name in range(len(names)):
        position, letter = i + 1, 0
        while names[name, letter]:
            code = int(data[position])
            if code == BACKSLASH and data[position + 1] == _LOWER_U:
                code = _hexadecimal(data, position + 2)
                position += 5
            if code != names[name, letter]:
                break
            position += 1
            letter += 1
        else:
            if data[position] == QUOTE:
                return name
    return len(names)


@kernel
def integer(data: Bytes, i: int) -> tuple[int, np.int64, bool]:
    """An integer, ``42`` or ``42.0``: its end, its value, and whether that value is exact; if not, Python reads it."""
    i, negative, digits, exponent, cut = _decimal(data, i)
    whole = exponent == 0 and digits <= _INT64_MAX
    while exponent < 0 and digits % _10 == 0:
        digits //= _10
        exponent += 1
    exact = bool(whole or (exponent == 0 and digits <= _1 << _53)) and not cut
    value = np.int64(digits)
    return i, -value if negative else value, exact


@inlined
def real(data: Bytes, i: int) -> tuple[int, float]:
    """A number: its end, and the float64 nearest to it, or NaN if Python has to read it."""
    i, negative, digits, exponent, cut = _decimal(data, i)
    value = _nearest(digits, exponent, cut)
    return i, -value if negative else value


@kernel
def skip(data: Bytes, i: int, strict: bool) -> int:
    """One value of any kind and the white space after it; NaN and Infinity are accepted unless `strict`."""
    depth, objects = 0, _0  # one bit per level: whether it is an object
    while True:
        opened = data[i] == OPEN_OBJECT or data[i] == OPEN_LIST
        if opened:
            if depth == MAX_DEPTH:
                return ~i
            depth += 1
            objects = objects << _1 | np.uint64(data[i] == OPEN_OBJECT)
            i += 1
        else:
            i = _scalar(data, i, strict)
            if i < 0:
                return i
        i = blank(data, i)
        while depth > 0 and data[i] == (CLOSE_OBJECT if objects & _1 else CLOSE_LIST):
            i = blank(data, i + 1)
            depth -= 1
            objects >>= _1
            opened = False
        if depth == 0:
            return i
        if not opened:
            if data[i] != COMMA:
                return ~i
            i = blank(data, i + 1)
        if objects & _1:
            i = key(data, i)
            if i < 0:
                return i


@kernel
def _scalar(data: Bytes, i: int, strict: bool) -> int:
    """A string, a number or a constant."""
    if data[i] == QUOTE:
        return _string(data, i)
    if data[i] == MINUS and data[i + 1] == _UPPER_I and not strict:
        i += 1
    elif data[i] == MINUS or _ZERO <= data[i] <= _NINE:
        return _decimal(data, i)[0]
    for word in range(3 if strict else 5):
        if data[i] == _CONSTANTS[word, 0]:
            letter = 0
            while _CONSTANTS[word, letter] and data[i] == _CONSTANTS[word, letter]:
                i += 1
                letter += 1
            return ~i if _CONSTANTS[word, letter] else i
    return ~i


@kernel
def _string(data: Bytes, i: int) -> int:
    if data[i] != QUOTE:
        return ~i
    i += 1
    while data[i] != QUOTE:
        if data[i] < _SPACE:
            return ~i
        if data[i] == BACKSLASH:
            i += 1
            if data[i] == _LOWER_U:
                code = _hexadecimal(data, i + 1)
                if code < 0:
                    return code
                i += 4
            elif not _ESCAPED[data[i]]:
                return ~i
        i += 1
    return i + 1


@kernel
def _hexadecimal(data: Bytes, i: int) -> int:
    """The value of four hexadecimal digits (not a position), or ``~i``."""
    value = 0
    for position in range(i, i + 4):
        if _ZERO <= data[position] <= _NINE:
            value = value * 16 + data[position] - _ZERO
        elif _LOWER_A <= data[position] | _LOWER <= _LOWER_F:
            value = value * 16 + (data[position] | _LOWER) - _LOWER_A + 10
        else:
            return ~position
    return value


@kernel
def _decimal(data: Bytes, i: int) -> tuple[int, bool, np.uint64, int, bool]:
    """A number: its end, its sign, its first 19 digits as an integer, their exponent, whether digits were cut off."""
    negative = data[i] == MINUS
    i += negative
    digits, exponent, cut, start = _0, 0, False, i
    while _ZERO <= data[i] <= _NINE:
        if digits < _19_DIGITS:
            digits = digits * _10 + np.uint64(data[i] - _ZERO)
        else:
            exponent += 1
            cut = True
        i += 1
    valid = i > start and (data[start] != _ZERO or i == start + 1)
    if valid and data[i] == POINT:
        i += 1
        start = i
        while _ZERO <= data[i] <= _NINE:
            if digits < _19_DIGITS:
                digits = digits * _10 + np.uint64(data[i] - _ZERO)
                exponent -= 1
            else:
                cut = True
            i += 1
        valid = i > start
    if valid and data[i] | _LOWER == _LOWER_E:
        i += 1
        down = data[i] == MINUS
        i += down or data[i] == PLUS
        start, power = i, 0
        while _ZERO <= data[i] <= _NINE:
            if power < _MAX_EXPONENT:
                power = power * 10 + data[i] - _ZERO
            i += 1
        exponent += -power if down else power
        valid = i > start
    return i if valid else ~i, negative, digits, exponent, cut


@kernel
def _nearest(digits: np.uint64, exponent: int, cut: bool) -> float:
    """The float64 nearest to digits * 10^exponent, or NaN if 64 bits of precision do not decide it.

    If both factors are float64, one division rounds correctly (Clinger 1990). Otherwise the product of the leading 64
    bits of both is a lower bound of the number, less than `slack` of its units away from it. If all numbers between
    the bounds round to one float64, that is the nearest (after Lemire 2021, "Number parsing at a gigabyte per
    second", section 5, without the second product).
    """
    if digits <= _1 << _53 and -22 <= exponent <= 0 and not cut:
        return float(digits / _TEN[-exponent])
    if not _LOWEST <= exponent < _LOWEST + _POWERS:
        return np.nan
    zeros, width = _0, _32
    while width:
        if digits >> (_64 - width) == _0:
            digits <<= width
            zeros += width
        width >>= _1
    product = _high_word(digits, _POWER[exponent - _LOWEST])
    slack = _2 + (_1 << zeros if cut else _0)
    dropped = _10 + (product >> _63)
    half = _1 << (dropped - _1)
    rest = product & ((half << _1) - _1)
    mantissa = product >> dropped
    if rest > half:
        mantissa += _1
    elif rest + slack >= half:
        return np.nan
    return float(mantissa * _SCALE[exponent - _LOWEST] * (_1 << dropped) / (_1 << zeros))


@kernel
def _high_word(a: np.uint64, b: np.uint64) -> np.uint64:
    """The upper 64 bits of the 128-bit product of two 64-bit integers."""
    a_low, a_high, b_low, b_high = a & _LOW_WORD, a >> _32, b & _LOW_WORD, b >> _32
    middle = a_high * b_low + (a_low * b_low >> _32)
    return a_high * b_high + (middle >> _32) + (a_low * b_high + (middle & _LOW_WORD) >> _32)
