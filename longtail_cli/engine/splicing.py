"""A text with some of its pieces replaced."""

import cython

Bytes = cython.typedef(cython.const[cython.uchar][::1])
Spans = cython.typedef(cython.const[cython.longlong][:, ::1])
Written = cython.typedef(cython.uchar[::1])


def splice(data: Bytes, spans: Spans, texts: Bytes, out: Written) -> int:
    """Copy `data` to `out` with the pieces at `spans` replaced by `texts`; returns how many bytes were written.

    data: uint8 [B]. spans: int64 [M, 2], begin and end, ascending. texts: uint8, ``[first,second,...]``, the M pieces
    as a JSON list without strings and white space. out: uint8, at least as long as `data` and `texts` together.
    """
    read: cython.Py_ssize_t = 0
    taken: cython.Py_ssize_t = 1
    written: cython.Py_ssize_t = 0
    piece: cython.Py_ssize_t
    position: cython.Py_ssize_t
    end: cython.Py_ssize_t
    with cython.nogil:
        for piece in range(spans.shape[0] + 1):
            end = spans[piece, 0] if piece < spans.shape[0] else data.shape[0]
            for position in range(read, end):
                out[written + position - read] = data[position]
            written += end - read
            if piece < spans.shape[0]:
                read = spans[piece, 1]
                while texts[taken] != ord(",") and texts[taken] != ord("]"):
                    out[written] = texts[taken]
                    written += 1
                    taken += 1
                taken += 1
    return written
