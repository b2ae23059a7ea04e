"""Numbers and ids in the words of an inspection."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail_cli.reports.inspection.model import Fact, Scalar
from longtail_cli.tables import Longs

SHOWN = 5
"""Names that a fact lists."""

_UNITS = ("bytes", "kB", "MB", "GB", "TB")


def counted(number: int, noun: str, plural: str = "") -> str:
    """``1 image``, ``15,202 images``."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def rounded(value: float) -> str:
    """Four significant digits, or a whole number from 1,000 on."""
    return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"


def size_text(size: int) -> str:
    """A number of bytes: ``1.9 MB``."""
    value, unit = float(size), 0
    while value >= 1000 and unit < len(_UNITS) - 1:
        value, unit = value / 1000, unit + 1
    return f"{value:.3g} {_UNITS[unit]}" if unit else f"{size} bytes"


def listed(names: Sequence[str], shown: int = SHOWN) -> str:
    """The first names, and how many more there are."""
    more = f" and {len(names) - shown:,} more" if len(names) > shown else ""
    return ", ".join(names[:shown]) + more


def share(part: int, whole: int) -> str:
    """``178 of 180 (98.9%)``."""
    return f"{part:,} of {whole:,}" + (f" ({100 * part / whole:.1f}%)" if whole else "")


def ids_fact(name: str, ids: Longs) -> Fact:
    """How many ids there are, from which to which, and whether they have gaps. ids: int64 [n], ascending, unique."""
    if not len(ids):
        return Fact(name, "none", {"number": 0})
    least, greatest = int(ids[0]), int(ids[-1])
    contiguous = greatest - least + 1 == len(ids)
    gaps = ", contiguous" if contiguous else ", with gaps"
    text = f"1 id, {least}" if len(ids) == 1 else f"{len(ids):,} ids, {least:,} to {greatest:,}{gaps}"
    values: dict[str, Scalar] = {"number": len(ids), "least": least, "greatest": greatest, "contiguous": contiguous}
    return Fact(name, text, values)


def range_fact(name: str, values: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Fact:
    """The least, the median and the greatest value. values: float64 [n], finite, n >= 1; changed in order."""
    least, median, greatest = float(values.min()), float(np.median(values)), float(values.max())
    text = f"{rounded(least)} to {rounded(greatest)}, median {rounded(median)}"
    return Fact(name, text, {"least": least, "median": median, "greatest": greatest})
