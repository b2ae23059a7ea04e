"""Faults of an input file: collected by kind, then reported together."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest

import numpy as np

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.tables import Bools


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault in a file."""

    problems: tuple[Problem, ...]
    """The first occurrences, at least one and at most `MAX_PROBLEMS`."""
    total: int
    """Number of occurrences."""
    fix: str
    """How to fix this kind of fault."""


def fault(where: str, expected: str, found: str, fix: str) -> Fault:
    """A fault that occurs once."""
    return Fault((Problem(where, expected, found),), 1, fix)


def faults_at(bad: Bools, describe: Callable[[int], Problem], fix: str) -> list[Fault]:
    """The fault of the rows for which `bad` (bool [N]) is true, described by `describe`; empty if there are none."""
    rows = np.flatnonzero(bad)
    if not len(rows):
        return []
    return [Fault(tuple(describe(row) for row in rows[:MAX_PROBLEMS].tolist()), len(rows), fix)]


def faults_among(problems: Sequence[Problem], fix: str) -> list[Fault]:
    """All of `problems` as one fault; empty if `problems` is."""
    return [Fault(tuple(problems[:MAX_PROBLEMS]), len(problems), fix)] if problems else []


def raise_faults(source: str, faults: Sequence[Fault]) -> None:
    """Raise `input_error` if there are `faults`."""
    if faults:
        raise input_error(source, faults)


def input_error(source: str, faults: Sequence[Fault]) -> InputError:
    """One error about `source` with all of `faults`, at least one.

    The kinds take turns, so that each is among the `MAX_PROBLEMS` that are shown.
    """
    turns: Iterable[Problem | None] = chain.from_iterable(zip_longest(*(kind.problems for kind in faults)))
    problems = [problem for problem in turns if problem is not None]
    fixes = "; ".join(dict.fromkeys(kind.fix for kind in faults))
    return InputError(source, problems, fixes, total=sum(kind.total for kind in faults))
