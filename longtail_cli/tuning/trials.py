"""The candidates that were tried, their figures in all lanes, and the rule by which one is chosen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.methods.base import Method
from longtail_cli.metrics import Value, Values
from longtail_cli.tables import Bools, Floats
from longtail_cli.tuning.folds import Folds, spread
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.spaces import Point


@dataclass(frozen=True, slots=True)
class Figures:
    """What is known of one adjustment."""

    lanes: dict[str, Floats]
    """For each metric of the goal its value in each lane of `Folds`: float64 [L], NaN if undefined."""
    metrics: Values
    """Metrics on all images, to be shown."""
    moved: float
    """See `longtail_cli.reports.tuning.model.Candidate`."""


@dataclass(frozen=True, slots=True)
class Trial:
    """A point of a space that is to be tried, or was."""

    space: int
    """Number of the space; 0 is that of no adjustment."""
    point: Point
    method: Method
    spec: str
    """Of the method, which takes long to format."""
    visible: Bools
    """bool [P], the parts (see `Folds`) whose search proposed it and that may choose it."""


class Trials:
    """All trials, with the figures of those that were evaluated; the first is no adjustment."""

    def __init__(self, goal: Goal, folds: Folds) -> None:
        self.goal, self.folds = goal, folds
        self.trials: list[Trial] = []
        self.figures: dict[str, Figures] = {}
        """By spec, which several trials may share."""
        self._stacked: dict[str, tuple[tuple[int, int], Floats]] = {}

    def evaluated(self) -> list[int]:
        """The trials whose figures are known, in order."""
        return [index for index, one in enumerate(self.trials) if one.spec in self.figures]

    def of(self, index: int) -> Figures:
        """The figures of a trial."""
        return self.figures[self.trials[index].spec]

    def value(self, index: int, metric: str, lane: int = 0) -> Value:
        """A metric of the goal; None if undefined."""
        value = float(self.of(index).lanes[metric][lane])
        return None if np.isnan(value) else value

    def score(self, index: int, lane: int) -> float:
        """The objective, so that more is better; NaN if undefined."""
        return self.goal.sign * float(self.of(index).lanes[self.goal.objective][lane])

    def error(self, index: int, other: int, part: int) -> float:
        """The standard error of the difference of two objectives, from the resamples of the part."""
        lanes, name = self.folds.resamples(part), self.goal.objective
        return spread(self.of(index).lanes[name][lanes] - self.of(other).lanes[name][lanes])

    def met(self, lane: int) -> Bools:
        """Whether each trial meets the constraints: bool [T], False if not yet known."""
        values = {name: self._lane(name, lane) for name in self.goal.metrics}
        return self.goal.met(values, {name: found[:1] for name, found in values.items()})

    def eligible(self, part: int, space: int | None) -> list[int]:
        """The trials that a part may choose from: its own, with a defined objective, that meet the constraints.

        space: of this one only; None for all.
        """
        objective, met = self._lane(self.goal.objective, part), self.met(part)
        return [
            index
            for index, one in enumerate(self.trials)
            if one.visible[part] and met[index] and not np.isnan(objective[index]) and space in (None, one.space)
        ]

    def best(self, part: int, space: int | None) -> int | None:
        """The eligible trial with the best objective, the earliest in a tie; None if there is none."""
        return max(self.eligible(part, space), key=lambda index: (self.score(index, part), -index), default=None)

    def choose(self, part: int = 0, space: int | None = None) -> int:
        """The choice of a part: of the trials within one standard error of the best, the one that moves scores least,
        in a tie the better one.

        No adjustment belongs to every space. Raises UsageError if its objective is undefined in the part.
        """
        if np.isnan(self.score(0, part)):
            where = f" outside fold {part} of {self.folds.folds}" if part else ""
            problem = Problem("objective", f"{self.goal.objective} defined on the images{where}", "undefined")
            fix = "choose another objective, fewer folds, or data that defines it; groups need `frequencies=`"
            raise UsageError("tune", [problem], fix)
        known = sorted({0, *self.eligible(part, space)})
        best = max(known, key=lambda index: (self.score(index, part), -index))
        least = self.score(best, part)
        near = [index for index in known if self.score(index, part) >= least - self.error(index, best, part)]
        return min(near, key=lambda index: (self.of(index).moved, -self.score(index, part), index))

    def check_constraints(self) -> None:
        """Raise UsageError if only no adjustment meets the constraints; it says how near the nearest came."""
        others = [index for index in self.evaluated() if self.trials[index].spec != self.trials[0].spec]
        met = self.met(0)
        if not others or met[others].any():
            return
        shortfall = {index: self._shortfall(index) for index in others}
        nearest = min(others, key=lambda index: (np.isnan(shortfall[index]), shortfall[index]))
        changes = ", ".join(f"{one.metric} {self._change(nearest, one.metric)}" for one in self.goal.keeps)
        expected = f"at least one that keeps {' and '.join(one.text for one in self.goal.keeps)}"
        found = f"none of {len(others)}; the nearest is {self.trials[nearest].spec} with {changes}"
        fix = f"allow {shortfall[nearest]:.4f} more, or search other methods"
        if np.isnan(shortfall[nearest]):
            fix = "leave out constraints on metrics that these images do not define"
        raise UsageError("`keep=`", [Problem("candidates", expected, found)], fix)

    def _shortfall(self, index: int) -> float:
        """By how much the trial misses the constraint that it misses most, on all images; NaN if undefined."""
        rows = {one.metric: self._lane(one.metric, 0) for one in self.goal.keeps}
        return float(np.max([one.shortfall(rows[one.metric][index], rows[one.metric][0]) for one in self.goal.keeps]))

    def _change(self, index: int, metric: str) -> str:
        value, base = self.value(index, metric), self.value(0, metric)
        return "undefined" if value is None or base is None else f"{value - base:+.4f}"

    def _lane(self, metric: str, lane: int) -> Floats:
        """The metric of every trial in a lane: float64 [T], NaN if undefined or not yet known."""
        state = len(self.trials), len(self.figures)
        if metric not in self._stacked or self._stacked[metric][0] != state:
            nothing = np.full(self.folds.number, np.nan)
            known = (self.figures.get(one.spec) for one in self.trials)
            self._stacked[metric] = state, np.stack([nothing if one is None else one.lanes[metric] for one in known])
        return self._stacked[metric][1][:, lane]
