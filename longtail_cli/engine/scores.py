"""Adjusted scores that keep the order of the scores that they come from."""

import cython

Longs = cython.typedef(cython.const[cython.longlong][::1])
Floats = cython.typedef(cython.const[cython.double][::1])
Filled = cython.typedef(cython.longlong[::1])


def keep_apart(
    first: cython.Py_ssize_t,
    last: cython.Py_ssize_t,
    start: Longs,
    row: Longs,
    score: Floats,
    scale: Floats,
    least: cython.longlong,
    sign: cython.longlong,
    bits: Filled,
) -> None:
    """Move the mapped scores of the classes from `first` up to `last` by the fewest floats that keep them apart.

    start: int64 [C + 1] and row: int64 [N], the rows of each class, best first. score: float64 [N], before the map.
    scale: float64 [C]: classes with a negative one are mapped to the opposite order, and those with 0 stay as they are.
    least: the ordinal of the lowest score. sign: -2^63, the bits of -0.0 as an integer.
    bits: int64 [N], the mapped scores (without -0.0) seen as integers.

    Works on the ordinals of the floats, in which the next float is 1 more. A value moves down as far as those above it
    require, then up again if there would not be enough floats from `least` for those below it.
    """
    c: cython.Py_ssize_t
    k: cython.Py_ssize_t
    m: cython.Py_ssize_t
    low: cython.Py_ssize_t
    high: cython.Py_ssize_t
    value: cython.longlong
    bound: cython.longlong
    own: cython.double
    with cython.nogil:
        for c in range(first, last):
            low, high = start[c], start[c + 1]
            if scale[c] == 0 or low == high:
                continue
            m = row[low] if scale[c] > 0 else row[high - 1]
            bound = _ordinal(bits[m], sign)
            own = score[m]
            for k in range(low + 1, high):  # down, from the second greatest mapped score
                m = row[k] if scale[c] > 0 else row[low + high - 1 - k]
                value = _ordinal(bits[m], sign)
                if score[m] != own:
                    bound = min(bound - 1, value)
                    own = score[m]
                if value != bound:
                    bits[m] = _ordinal(bound, sign)
            bound = least
            for k in range(low, high):  # up again, from the lowest
                m = row[low + high - 1 - k] if scale[c] > 0 else row[k]
                if score[m] != own:
                    bound += 1
                    own = score[m]
                if _ordinal(bits[m], sign) >= bound:
                    break
                bits[m] = _ordinal(bound, sign)


@cython.cfunc
@cython.inline
@cython.nogil
@cython.exceptval(check=False)
def _ordinal(bits: cython.longlong, sign: cython.longlong) -> cython.longlong:
    """Floats as integers in the same order, consecutive for consecutive floats, and back; 0.0 is 0."""
    return bits if bits >= 0 else sign - bits
