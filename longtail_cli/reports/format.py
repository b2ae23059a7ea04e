"""What tables are made of: figures and names as text.

Shares in percent points with two decimals, as papers print them; figures that are no share of anything (`PLAIN`) as
they are, with four decimals.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from longtail_cli.metrics import Interval, Value

UNDEFINED = "-"
GROUP_TITLES = {"r": "rare", "c": "common", "f": "frequent"}
PLAIN = ("NLL", "Brier", "nll", "brier")

_UNFIT = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a header of K columns, and rows of K cells.

    words: columns of text, the others hold numbers. weights: of each row, how much it matters where there is no room
    for all of them; empty where the table is of use only as a whole.
    """

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    words: tuple[int, ...] = (0,)
    weights: tuple[float, ...] = ()

    @property
    def align(self) -> tuple[str, ...]:
        """``left`` for words, ``right`` for numbers, a column each."""
        return tuple("left" if column in self.words else "right" for column in range(len(self.header)))


def percent(figure: Value) -> str:
    """A fraction in percent points, ``-`` where undefined."""
    return UNDEFINED if figure is None else f"{100 * figure:.2f}"


def delta(figure: Value, base: Value) -> str:
    """A difference in percent points with its sign, ``-`` where either is undefined."""
    return UNDEFINED if figure is None or base is None else f"{100 * (figure - base):+z.2f}"


def shown(name: str, figure: Value) -> str:
    """The figure `name`, which is a share or one of `PLAIN`; ``-`` where undefined."""
    return percent(figure) if name not in PLAIN or figure is None else f"{figure:.4f}"


def difference(name: str, figure: Value, base: Value) -> str:
    """A difference of two figures `name` with its sign, ``-`` where either is undefined."""
    return delta(figure, base) if name not in PLAIN or figure is None or base is None else f"{figure - base:+z.4f}"


def between(name: str, interval: Interval | None) -> str:
    """An interval of the figure `name`, ``-`` where there is none."""
    return UNDEFINED if interval is None else f"{shown(name, interval.low)} to {shown(name, interval.high)}"


def between_signed(name: str, interval: Interval | None) -> str:
    """An interval of a difference of two figures `name`, with signs, ``-`` where there is none."""
    if interval is None:
        return UNDEFINED
    return f"{difference(name, interval.low, 0.0)} to {difference(name, interval.high, 0.0)}"


def fit(text: str) -> str:
    """The text with U+FFFD for what XML 1.0 and UTF-8 cannot hold: control characters and lone surrogates.

    Tabs and line breaks stay.
    """
    return _UNFIT.sub("\N{REPLACEMENT CHARACTER}", text)
