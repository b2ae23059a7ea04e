"""Searches without data: trials with given figures, and an evaluator that computes figures from a function."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np

from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Floats
from longtail_cli.tuning.folds import Folds, stratified_folds
from longtail_cli.tuning.goal import Goal, parse_goal
from longtail_cli.tuning.search import Search
from longtail_cli.tuning.spaces import parse_space
from longtail_cli.tuning.trials import Figures, Trial, Trials

KNOWN = ("bbox/AP", "bbox/APf", "tide/bbox/FalsePos")
Function = Callable[[Method, int], float]
"""The objective of a method in a part."""


def goal(objective: str = "bbox/AP", *keep: str) -> Goal:
    return parse_goal(objective, keep, KNOWN)


def two_folds() -> Folds:
    return stratified_folds(np.zeros(8, np.int64), 2, 0)


def figures(moved: float = 0.0, **lanes: Floats) -> Figures:
    """The figures with the metrics AP, APf and FalsePos in each lane."""
    names = {"AP": "bbox/AP", "APf": "bbox/APf", "FalsePos": "tide/bbox/FalsePos"}
    return Figures({names[name]: values for name, values in lanes.items()}, {}, moved)


def trials_of(
    found: Sequence[Figures], folds: Folds, sought: Goal, *, visible: Mapping[int, Sequence[int]] | None = None,
    space: Sequence[int] | None = None,
) -> Trials:  # fmt: skip
    """Trials with these figures, the first that of no adjustment.

    visible: the parts that may choose a trial, by its index; all if it is not listed. space: of each trial after the
    first; all 1 if None.
    """
    trials = Trials(sought, folds)
    for index, one in enumerate(found):
        method = parse_method("none" if not index else f"norcal:gamma={index}")
        parts = np.ones(folds.parts, bool)
        if visible is not None and index in visible:
            parts = np.isin(np.arange(folds.parts), visible[index])
        number = 0 if not index else 1 if space is None else space[index - 1]
        trials.trials.append(Trial(number, (float(index),), method, method.spec, parts))
        trials.figures[method.spec] = one
    return trials


def search_of(*spaces: str, folds: Folds | None = None) -> Search:
    return Search([parse_space("none"), *map(parse_space, spaces)], goal(), folds or two_folds())


def lanes_of(method: Method, folds: Folds, function: Function, noise: float = 0.0) -> Floats:
    """The function in each part, and in its resamples with noise that depends on the spec: float64 [L]."""
    rng = np.random.default_rng(list(method.spec.encode()))
    values = np.empty(folds.number)
    for part in range(folds.parts):
        value = function(method, part)
        values[part], values[folds.resamples(part)] = value, value + noise * rng.normal(size=folds.resamples_of_part)
    return values


def run(search: Search, function: Function, noise: float = 0.0) -> list[list[Method]]:
    """The rounds of a search whose evaluator computes the function."""
    rounds = []
    while methods := search.propose():
        rounds.append(methods)
        for method in methods:
            found = lanes_of(method, search.trials.folds, function, noise)
            search.trials.figures[method.spec] = figures(moved=0.0 if method.spec == "none" else 0.5, AP=found)
    return rounds
