"""What a tuning optimises, and what it must not lose."""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from difflib import get_close_matches

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.reports.metric_names import canonical, lower_is_better
from longtail_cli.tables import Bools, Floats

_KEEP = re.compile(r"(?P<metric>[^=]+)=(?P<change>[+-]?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?)")


@dataclass(frozen=True, slots=True)
class Keep:
    """A constraint against no adjustment: how much worse a metric may become."""

    text: str
    metric: str
    change: float
    """The change that is allowed: negative for metrics of which more is better, positive for errors, or 0."""

    def shortfall(self, value: Floats, base: Floats) -> Floats:
        """By how much each value violates the constraint: <= 0 if it is met, NaN if undefined."""
        limit = base + self.change
        return value - limit if lower_is_better(self.metric) else limit - value


@dataclass(frozen=True, slots=True)
class Goal:
    """The metric to optimise, and the constraints."""

    objective: str
    keeps: tuple[Keep, ...] = ()

    @property
    def sign(self) -> float:
        """1 if more is better, else -1."""
        return -1.0 if lower_is_better(self.objective) else 1.0

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of all metrics that the choice needs, each once."""
        return tuple(dict.fromkeys([self.objective, *(one.metric for one in self.keeps)]))

    def met(self, values: dict[str, Floats], base: dict[str, Floats]) -> Bools:
        """Whether all constraints are met: bool of the shape of the values."""
        met = np.ones_like(values[self.objective], bool)
        for one in self.keeps:
            met &= one.shortfall(values[one.metric], base[one.metric]) <= 0
        return met


def parse_goal(objective: str, keeps: Sequence[str], known: Collection[str]) -> Goal:
    """The goal of these texts. known: the names of the metrics that can be computed for folds.

    Raises UsageError for other metrics, and for changes that are no numbers or have the sign of an improvement.
    """
    return Goal(_known(objective, known, "`objective=`"), tuple(_keep(text, known) for text in keeps))


def _keep(text: str, known: Collection[str]) -> Keep:
    found = _KEEP.fullmatch(text.strip())
    if found is None:
        problem = Problem("value", "metric=change, for example bbox/APf=-0.005", repr(text))
        raise UsageError("`keep=`", [problem], "write by how much the metric may change against no adjustment")
    metric = _known(found["metric"], known, f"`keep='{text}'`")
    change = float(found["change"])
    if change * (1 if lower_is_better(metric) else -1) < 0:
        allowed = (
            "at least 0: by how much the error may rise"
            if lower_is_better(metric)
            else "at most 0: how far it may fall"
        )
        problem = Problem(metric, f"a change of {allowed}", found["change"])
        raise UsageError(f"`keep='{text}'`", [problem], "change the sign")
    return Keep(text.strip(), metric, change)


def _known(name: str, known: Collection[str], source: str) -> str:
    metric = canonical(name)
    if metric not in known:
        near = get_close_matches(metric, known, 1, cutoff=0.5)
        hint = f"did you mean {near[0]}?" if near else "choose one of these"
        raise UsageError(source, [Problem("metric", f"one of {', '.join(known)}", repr(name))], hint)
    return metric
