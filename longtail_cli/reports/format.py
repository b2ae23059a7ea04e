"""What tables are made of: metrics and names as text.

Fractions are printed in percent points with two decimals, as in papers; counts (`is_count`) as whole numbers; other
metrics that are not fractions (`PLAIN`) as they are, with four decimals.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

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
    changes: tuple[tuple[str, ...], ...] = ()
    """The difference of each cell to that of the reference, with its sign; empty text for none. As many rows of K as
    `rows`, or no row if nothing is compared."""
    name_columns: tuple[int, ...] = ()
    """Indices of the columns whose headers are names of runs, which text shortens."""

    @property
    def align(self) -> tuple[str, ...]:
        """``left`` for text, ``right`` for numbers, one per column."""
        return tuple("left" if column in self.text_columns else "right" for column in range(len(self.header)))

    def inline(self) -> Table:
        """The table with each difference in the cell, as ``24.90 (+6.70)``, and no `changes`."""
        if not self.changes:
            return self
        rows = tuple(
            tuple(f"{cell} ({change})" if change else cell for cell, change in zip(cells, changes, strict=True))
            for cells, changes in zip(self.rows, self.changes, strict=True)
        )
        return replace(self, rows=rows, changes=())


def percent(value: Value) -> str:
    """A fraction in percent points; ``-`` if undefined."""
    return UNDEFINED if value is None else f"{100 * value:.2f}"


def delta(value: Value, base: Value) -> str:
    """A difference in percent points with its sign; ``-`` if either is undefined."""
    return UNDEFINED if value is None or base is None else f"{100 * (value - base):+z.2f}"


def is_count(name: str) -> bool:
    """Whether a metric is a number of detections, by its name or the last part of it."""
    return name.rpartition("/")[2].startswith("FP@R")


def shown(name: str, value: Value) -> str:
    """A value of the metric `name`; ``-`` if undefined."""
    return percent(value) if _is_fraction(name) or value is None else plain(name, value)


def difference(name: str, value: Value, base: Value) -> str:
    """A difference of two values of the metric `name` with its sign; ``-`` if either is undefined."""
    if _is_fraction(name) or value is None or base is None:
        return delta(value, base)
    return plain(name, value - base, "+z")


def plain(name: str, value: float, sign: str = "") -> str:
    """A value of the metric `name` as it is: fractions with four decimals. sign: ``+z`` for one with its sign."""
    return format(value, f"{sign}.{0 if is_count(name) else 4}f")


def _is_fraction(name: str) -> bool:
    return name not in PLAIN and not is_count(name)


def between(name: str, interval: Interval | None) -> str:
    """An interval of the metric `name`; ``-`` without one."""
    return UNDEFINED if interval is None else f"{shown(name, interval.low)} to {shown(name, interval.high)}"


def between_signed(name: str, interval: Interval | None) -> str:
    """An interval of a difference of the metric `name`, with signs; ``-`` without one."""
    if interval is None:
        return UNDEFINED
    return f"{difference(name, interval.low, 0.0)} to {difference(name, interval.high, 0.0)}"


def in_words(names: Sequence[str]) -> str:
    """The names with commas and "and"."""
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))
