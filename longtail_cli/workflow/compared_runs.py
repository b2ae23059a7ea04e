"""The p-values of runs against a reference, which may come after some of them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Generic, TypeVar

from longtail_cli.workflow.intervals import Outcome

T = TypeVar("T")

PValues = Mapping[str, float]
"""By metric name."""


class Comparison(Generic[T]):
    """Compares runs with the reference as they come; those before it are kept until then.

    T is what of a run is needed to compare it.
    """

    def __init__(self, reference: int, p_values: Callable[[T, T], PValues]) -> None:
        """reference: the number of the run, from 0. p_values: of the differences between the reference and a run."""
        self._reference = reference
        self._p_values = p_values
        self._base: T | None = None
        self._waiting: dict[int, T] = {}
        self._found: list[PValues] = []

    def add(self, run: T) -> None:
        """Compare the next run, or if it is the reference, those before it."""
        number = len(self._found)
        self._found.append({})
        if number == self._reference:
            self._base = run
            for earlier in list(self._waiting):
                self._found[earlier] = self._p_values(run, self._waiting.pop(earlier))
        elif self._base is None:
            self._waiting[number] = run
        else:
            self._found[number] = self._p_values(self._base, run)

    def added_to(self, outcomes: Sequence[Outcome]) -> tuple[Outcome, ...]:
        """The outcomes of all runs, in order, with their p-values."""
        return tuple(
            replace(outcome, run=replace(outcome.run, p_values=found))
            for outcome, found in zip(outcomes, self._found, strict=True)
        )
