"""Marks runs whose method was tuned on some of the images or rows that it is measured on."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

from longtail_cli.methods.base import Method
from longtail_cli.reports.model import ORACLE, Run
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.tuned_method import TunedMethod


def any_tuned(methods: Sequence[Method]) -> bool:
    """Whether one of the methods is the choice of a tuning."""
    return any(isinstance(method, TunedMethod) for method in methods)


def images_in(images: Mapping[int, str], tuned_on: Mapping[int, str]) -> int:
    """How many of the images were tuned on: those of the same id and file name, or without any file name in both."""
    return sum(tuned_on.get(id_) == name for id_, name in images.items())


def marked(
    outcomes: Sequence[Outcome],
    methods: Sequence[Method],
    overlap: Callable[[TunedMethod], int],
    total: int,
    noun: str,
) -> tuple[Outcome, ...]:
    """The outcomes, one for each method, with the oracle runs among them marked.

    overlap: how many of the `total` images or rows (`noun`) a method was tuned on.
    """
    found = []
    for outcome, method in zip(outcomes, methods, strict=True):
        run = outcome.run
        if isinstance(method, TunedMethod):
            run = _marked(run, method, overlap(method), total, noun)
        found.append(replace(outcome, run=run))
    return tuple(found)


def _marked(run: Run, method: TunedMethod, tuned_on: int, total: int, noun: str) -> Run:
    """The run with a note if the search was interrupted, and marked if there is data that was tuned on."""
    notes = run.notes
    if method.partial:
        notes += (f"chosen by {method.source}, whose search was interrupted",)
    if not tuned_on:
        return replace(run, notes=notes)
    note = (
        f"oracle: {method.source} was tuned on {tuned_on:,} of these {total:,} {noun}; on new {noun} the metrics are "
        "likely to be worse"
    )
    return replace(run, name=f"{run.name}{ORACLE}", notes=(*notes, note), oracle=True)
