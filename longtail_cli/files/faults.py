"""Faults of an input file: gathered kind by kind, then reported together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.tables import Bools


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault in a file.

    problems: the first places where it stands, at least one and at most `MAX_PROBLEMS`.
    total: how many places there are in all.
    fix: how to mend this kind.
    """

    problems: tuple[Problem, ...]
    total: int
    fix: str


def fault(where: str, expected: str, found: str, fix: str) -> Fault:
    """A fault that stands in one place."""
    return Fault((Problem(where, expected, found),), 1, fix)


def faults_at(bad: Bools, describe: Callable[[int], Problem], fix: str) -> list[Fault]:
    """The fault of the rows where `bad` (bool [N]) holds, as `describe` puts a row; nothing where no row is bad."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    return [Fault(tuple(describe(row) for row in rows[:MAX_PROBLEMS].tolist()), len(rows), fix)]


def faults_among(problems: Sequence[Problem], fix: str) -> list[Fault]:
    """All of `problems` as one fault; nothing where there are none."""
    return [Fault(tuple(problems[:MAX_PROBLEMS]), len(problems), fix)] if problems else []


def raise_faults(source: str, faults: Sequence[Fault]) -> None:
    """Raise `input_error` of `faults`; return where there are none."""
    if faults:
        raise input_error(source, faults)


def input_error(source: str, faults: Sequence[Fault]) -> InputError:
    """One error about `source` with all of `faults`, at least one.

    The kinds take turns, so that each is shown before one fills the `MAX_PROBLEMS` places.
    """
    turns: Iterable[Problem | None] = chain.from_iterable(zip_longest(*(kind.problems for kind in faults)))
    problems = [problem for problem in turns if problem is not None]
    fixes = "; ".join(dict.fromkeys(kind.fix for kind in faults))
    return InputError(source, problems, fixes, total=sum(kind.total for kind in faults))
