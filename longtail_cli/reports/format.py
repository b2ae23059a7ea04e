"""What tables are made of: metrics and names as text.

Fractions are printed in percent points with two decimals, as in papers; metrics that are not fractions (`PLAIN`) as
they are, with four decimals.
"""

from __future__ import annotations

from dataclasses import dataclass

from longtail_cli.metrics import Interval, Value

UNDEFINED = "-"
GROUP_TITLES = {"r": "rare", "c": "common", "f": "frequent"}
PLAIN = ("NLL", "Brier", "nll", "brier")


@dataclass(frozen=True, slots=True)
class Table:
    """A title, a header of K columns, and rows of K cells."""

    title: str
    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    text_columns: tuple[int, ...] = (0,)
    """Indices of the columns that hold text; the others hold numbers."""
    weights: tuple[float, ...] = ()
    """Importance of each row, if rows may be omitted to save space; otherwise empty."""

    @property
    def align(self) -> tuple[str, ...]:
        """``left`` for text, ``right`` for numbers, one per column."""
        return tuple("left" if column in self.text_columns else "right" for column in range(len(self.header)))


def percent(value: Value) -> str:
    """A fraction in percent points; ``-`` if undefined."""
    return UNDEFINED if value is None else f"{100 * value:.2f}"


def delta(value: Value, base: Value) -> str:
    """A difference in percent points with its sign; ``-`` if either is undefined."""
    return UNDEFINED if value is None or base is None else f"{100 * (value - base):+z.2f}"


def shown(name: str, value: Value) -> str:
    """A value of the metric `name`; ``-`` if undefined."""
    return percent(value) if name not in PLAIN or value is None else f"{value:.4f}"


def difference(name: str, value: Value, base: Value) -> str:
    """A difference of two values of the metric `name` with its sign; ``-`` if either is undefined."""
    return delta(value, base) if name not in PLAIN or value is None or base is None else f"{value - base:+z.4f}"


def between(name: str, interval: Interval | None) -> str:
    """An interval of the metric `name`; ``-`` without one."""
    return UNDEFINED if interval is None else f"{shown(name, interval.low)} to {shown(name, interval.high)}"


def between_signed(name: str, interval: Interval | None) -> str:
    """An interval of a difference of the metric `name`, with signs; ``-`` without one."""
    if interval is None:
        return UNDEFINED
    return f"{difference(name, interval.low, 0.0)} to {difference(name, interval.high, 0.0)}"
