"""The search: a coarse grid over all spaces, then refinement around the best.

For every fold there is a choice that may not depend on the images of the fold. So the search runs once for all images
and once for each fold on the other images, each refining around its own best; figures of candidates are shared.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail_cli.methods.base import Method
from longtail_cli.tuning.folds import Folds
from longtail_cli.tuning.goal import Goal
from longtail_cli.tuning.optimiser import propose
from longtail_cli.tuning.spaces import Point, Space
from longtail_cli.tuning.trials import Trial, Trials

ROUNDS = 3
"""Refinements after the coarse grid; each halves the step."""

MANY = 3
"""Ranges from which on an optimiser proposes the points of a space, one for each part in a round."""

ROUNDS_OF_MANY = 8
"""Refinements of such spaces."""

COMPETITIVE = 2.0
"""A space is refined if its best is within so many standard errors of the best of all."""


class Search:
    """What was tried so far, and what to try next. The first space is that of no adjustment."""

    def __init__(self, spaces: Sequence[Space], goal: Goal, folds: Folds) -> None:
        self.spaces, self.trials = tuple(spaces), Trials(goal, folds)
        self.round = 0
        """The number of rounds that were proposed."""
        self._index: dict[tuple[int, Point], int] = {}

    def propose(self) -> list[Method]:
        """The methods to evaluate next, each once and none that is known; empty when the search is over."""
        while self.round <= ROUNDS_OF_MANY:
            for number in range(len(self.spaces)):
                self._propose_of(number)
            self.round += 1
            waiting = {one.spec: one.method for one in self.trials.trials if one.spec not in self.trials.figures}
            if waiting:
                return list(waiting.values())
        return []

    def _propose_of(self, number: int) -> None:
        """The points of a space for this round."""
        space, parts = self.spaces[number], range(self.trials.folds.parts)
        if self.round == 0:
            for point in space.coarse():
                self._try(number, point, parts)
            return
        many = len(space.ranges) >= MANY
        if not space.ranges or self.round > (ROUNDS_OF_MANY if many else ROUNDS):
            return
        for part in parts:
            best = self.trials.best(part, number)
            if best is None or not self._competitive(best, part):
                continue
            step = space.step / 2 ** (self.round - 1)
            points = [self._optimised(number, part)] if many else space.around(self.trials.trials[best].point, step)
            for point in points:
                self._try(number, point, [part])

    def _try(self, space: int, point: Point, parts: Sequence[int]) -> None:
        trials = self.trials.trials
        index = self._index.get((space, point))
        if index is None:
            index = self._index[space, point] = len(trials)
            method = self.spaces[space].method(point)
            visible = np.zeros(self.trials.folds.parts, bool)
            trials.append(Trial(space, point, method, method.spec, visible))
        trials[index].visible[list(parts)] = True

    def _optimised(self, space: int, part: int) -> Point:
        own = self.trials.eligible(part, space)
        points = [self.trials.trials[index].point for index in own]
        seed = self.trials.folds.seed + 1000 * part + self.round
        return propose(self.spaces[space], points, [self.trials.score(index, part) for index in own], seed)

    def _competitive(self, index: int, part: int) -> bool:
        best = self.trials.best(part, None)
        if best is None:
            return False
        gap = self.trials.score(best, part) - self.trials.score(index, part)
        return gap <= COMPETITIVE * self.trials.error(index, best, part)
