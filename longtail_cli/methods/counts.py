"""The counts that methods use, and what replaces the counts of classes that never occur."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

import numpy as np

from longtail_cli.choices import COUNTS, ZERO_COUNT_POLICIES, CountName, ZeroCountName
from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.methods.base import Choice, Note
from longtail_cli.tables import Bools, Floats, FrequencyTable, Longs

Count = Annotated[CountName, Choice("n_c counts images with the class, or its objects", COUNTS)]
ZeroCount = Annotated[
    ZeroCountName,
    Choice(
        "what n_c = 0 becomes: the smallest n above 0 (max), n = 1 of K + 1 (smooth), or an error",
        ZERO_COUNT_POLICIES,
    ),
]


@dataclass(frozen=True, slots=True)
class Shares:
    """Counts of C classes in a total, all positive: p_c = count_c / total_c."""

    count: Floats
    """float64 [C], > 0."""
    total: Floats
    """float64 [C], >= count; the same for all classes, except those that ``smooth`` replaces."""
    notes: tuple[Note, ...]
    """Which classes never occur, and what they count as."""


def counts_of(table: FrequencyTable, count: CountName) -> Longs:
    """n, int64 [C]."""
    return table.image_count if count == "image" else table.instance_count


def shares(counts: Longs, total: float, zero_count: ZeroCountName, ids: Longs) -> Shares:
    """Counts with zeros replaced.

    counts: int64 [C], n >= 0. total: K >= every n. ids: int64 [C], the category ids, for messages.
    zero_count: what a class with n = 0 counts as:
    ``max``: the smallest n above 0, so that it gets the largest adjustment of the classes that occur;
    ``smooth``: n = 1 of K + 1, as if it had been seen once more;
    ``error``: raises InputError.
    Raises InputError if all counts are 0 or one is above K. C = 0 gives empty columns.
    """
    zero = counts == 0
    if len(counts) and zero.all():
        raise _error([Problem("counts", "at least one above 0", "none")], "count the annotations of the training set")
    _refuse(counts > total, ids, counts, f"a count of at most the total, {total:g}", "check the number of images")
    count, totals = counts.astype(np.float64), np.full(len(counts), total, np.float64)
    if not zero.any():
        return Shares(count, totals, ())
    if zero_count == "error":
        _refuse(zero, ids, counts, "a count above 0", "choose the zero-count policy max or smooth")
    if zero_count == "smooth":
        count[zero], totals[zero] = 1.0, total + 1.0
        return Shares(count, totals, (Note(zero, "never occur; counted as n = 1 of K + 1 (zero_count=smooth)"),))
    count[zero] = rarest = counts[~zero].min()
    text = f"never occur; counted as the rarest class that does, n = {rarest} (zero_count=max)"
    return Shares(count, totals, (Note(zero, text),))


def class_shares(table: FrequencyTable, count: CountName, zero_count: ZeroCountName) -> tuple[Floats, tuple[Note, ...]]:
    """p_c = n_c / Σ n with zeros replaced as in `shares`: float64 [C], > 0, sums to 1; and notes on these classes."""
    counts = counts_of(table, count)
    given = shares(counts, float(counts.sum()), zero_count, table.category_id)
    share = given.count / given.total
    return share / share.sum(), given.notes


def _refuse(wrong: Bools, ids: Longs, counts: Longs, expected: str, fix: str) -> None:
    rows = np.flatnonzero(wrong).tolist()
    if rows:
        problems = [Problem(f"category_id {ids[row]}", expected, str(counts[row])) for row in rows[:MAX_PROBLEMS]]
        raise _error(problems, fix, total=len(rows))


def _error(problems: list[Problem], fix: str, total: int | None = None) -> InputError:
    return InputError("frequency table", problems, fix, total=total)
