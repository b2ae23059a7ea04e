"""Marks runs whose method was tuned or fitted on some of the images or rows that it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from longtail_cli.methods.base import Method
from longtail_cli.reports.model import ORACLE, Run
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.saved_method import SavedMethod, saved_in


def any_saved(methods: Sequence[Method]) -> bool:
    """Whether one of the methods is the choice of a tuning, or a fit."""
    return any(isinstance(method, SavedMethod) for method in methods)


def images_in(images: Mapping[int, str], tuned_on: Mapping[int, str]) -> int:
    """How many of the images were tuned on: those of the same id and file name, or without any file name in both."""
    return sum(tuned_on.get(id_) == name for id_, name in images.items())


def marked(
    outcomes: Sequence[Outcome],
    methods: Sequence[Method],
    overlap: Callable[[SavedMethod], int],
    total: int,
    noun: str,
) -> tuple[Outcome, ...]:
    """The outcomes, one for each method, with the oracle runs among them marked.

    overlap: how many of the `total` images or rows (`noun`) a method was tuned or fitted on.
    """
    found = []
    for outcome, method in zip(outcomes, methods, strict=True):
        run = outcome.run
        for saved in saved_in(method):
            run = _marked(run, saved, overlap(saved), total, noun)
        found.append(replace(outcome, run=run))
    return tuple(found)


def _marked(run: Run, method: SavedMethod, seen: int, total: int, noun: str) -> Run:
    """The run with a note if the search was interrupted, and marked if there is data that was tuned or fitted on."""
    notes = run.notes
    if method.description:
        notes += (f"{method.source} is {method.description}",)
    if method.partial:
        notes += (f"chosen by {method.source}, whose search was interrupted",)
    if not seen:
        return replace(run, notes=notes)
    note = (
        f"oracle: {method.source} was {method.made} on {seen:,} of these {total:,} {noun}; on new {noun} the metrics "
        "are likely to be worse"
    )
    name = run.name if run.oracle else f"{run.name}{ORACLE}"
    return replace(run, name=name, notes=(*notes, note), oracle=True)
