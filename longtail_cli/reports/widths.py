"""Text measured in the columns of a terminal: wide letters take two, combining marks none."""

from __future__ import annotations

import unicodedata
from itertools import accumulate

WIDTH = 100
"""Columns of the text output, which terminals and CI logs of the usual size show without wrapping."""


def width_of(text: str) -> int:
    """The columns that a line takes."""
    return len(text) if text.isascii() else sum(map(_columns, text))


def start_of(text: str, width: int) -> str:
    """The longest start of a line that takes at most `width` columns."""
    return text[: sum(taken <= width for taken in accumulate(map(_columns, text)))]


def end_of(text: str, width: int) -> str:
    """The longest end of a line that takes at most `width` columns."""
    fitting = sum(taken <= width for taken in accumulate(map(_columns, reversed(text))))
    return text[len(text) - fitting :]


def padded(text: str, width: int, align: str) -> str:
    """The line with spaces up to `width` columns, before it if `align` is ``right``, else after it."""
    spaces = " " * (width - width_of(text))
    return spaces + text if align == "right" else text + spaces


def wrapped(text: str, indent: str = "") -> str:
    """A line broken between words into lines of at most `WIDTH` columns; only longer words are divided.

    indent: of all lines but the first.
    """
    lines = [""]
    for word in text.split():
        rest = word
        joined = f"{lines[-1]} {rest}" if lines[-1].strip() else f"{lines[-1]}{rest}"
        if width_of(joined) <= WIDTH:
            lines[-1] = joined
            continue
        if lines[-1].strip():
            lines.append(indent)
        while width_of(lines[-1] + rest) > WIDTH:
            part = start_of(rest, WIDTH - width_of(lines[-1]))
            lines[-1] += part
            lines.append(indent)
            rest = rest[len(part) :]
        lines[-1] += rest
    return "\n".join(lines)


def _columns(letter: str) -> int:
    if unicodedata.category(letter) in ("Mn", "Me", "Cf"):
        return 0
    return 2 if unicodedata.east_asian_width(letter) in "WF" else 1
