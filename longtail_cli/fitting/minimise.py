"""Minimising a smooth function of a few or of millions of numbers: limited-memory BFGS, with an optional
preconditioner.

Sources: Nocedal and Wright, "Numerical Optimization", 2nd edition, algorithms 7.4 and 7.5; Hager and Zhang, "A New
Conjugate Gradient Method with Guaranteed Descent and an Efficient Line Search", SIAM J. Optim. 2005, section 4. SciPy's
L-BFGS-B takes no preconditioner.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from longtail_cli.tables import Floats, Singles

Objective = Callable[[Floats], tuple[float, Floats]]
"""Takes float64 [P] and returns the loss and its gradient, float64 [P], in new memory, which is then overwritten."""

Preconditioner = Callable[[Floats], Floats]
"""Takes a gradient, float64 [P], and returns about the inverse of the Hessian times it. Linear, symmetric, positive
definite."""

MEMORY = 5
"""Pairs of steps and gradients that approximate the curvature."""

_DECREASE, _CURVATURE = 1e-4, 0.9
"""Of the weak Wolfe conditions: how much of the predicted decrease a step must bring, and how much of the slope may be
left."""

_HALVINGS = 40
_ROUNDING = 1e-10
"""Relative change of the loss that may be due to rounding, where the slopes decide alone."""


@dataclass(frozen=True, slots=True)
class Minimum:
    """Where a search ended."""

    point: Floats
    """float64 [P]."""
    loss: float
    evaluations: int
    """Calls of the objective."""
    converged: bool
    curve: tuple[float, ...]
    """The loss after each iteration, the start first."""


def minimise(
    objective: Objective,
    start: Floats,
    *,
    tolerance: float = 1e-4,
    most: int = 200,
    precondition: Preconditioner | None = None,
) -> Minimum:
    """The point at which every partial derivative is at most `tolerance`, or the best one after `most` evaluations.

    start: float64 [P], not changed; the loss is finite there. P = 0 is allowed.
    """
    calls = 0

    def counted(point: Floats) -> tuple[float, Floats]:
        nonlocal calls
        calls += 1
        return objective(point)

    point = start
    loss, gradient = counted(point)
    curve, history = [loss], _History(precondition)
    while not (converged := _largest(gradient) <= tolerance) and calls < most:
        direction = history.direction(gradient)
        found = _search(counted, point, loss, gradient, direction, lambda: calls >= most)
        if found is None:
            break
        direction *= found.length
        history.add(direction, np.subtract(found.gradient, gradient, out=gradient))
        point, loss, gradient = found.point, found.loss, found.gradient
        curve.append(loss)
    return Minimum(point, loss, calls, converged, tuple(curve))


def _largest(gradient: Floats) -> float:
    return float(np.abs(gradient).max(initial=0.0))


@dataclass(frozen=True, slots=True)
class _Trial:
    """A point along a direction."""

    length: float
    point: Floats
    loss: float
    gradient: Floats


def _search(
    objective: Objective, point: Floats, loss: float, gradient: Floats, direction: Floats, spent: Callable[[], bool]
) -> _Trial | None:
    """A length that meets the weak Wolfe conditions, or within rounding the approximate ones of Hager and Zhang:
    doubling, then bisection.

    None if there is no length at which the loss is less; the best one so far once the evaluations are `spent`.
    """
    slope = float(gradient @ direction)
    low, high, length = 0.0, np.inf, 1.0
    best: _Trial | None = None
    for _ in range(_HALVINGS):
        there = direction * length
        there += point
        trial = _Trial(length, there, *objective(there))
        slope_there = float(trial.gradient @ direction)
        decreases = trial.loss <= loss + _DECREASE * length * slope
        flat = trial.loss <= loss + _ROUNDING * abs(loss) and slope_there <= (2 * _DECREASE - 1) * slope
        if decreases or flat:
            best = trial
            if slope_there >= _CURVATURE * slope:
                return best
            low = length
        else:
            high = length
        if spent():
            return best
        length = 2 * low if high == np.inf else (low + high) / 2
    return best


class _History:
    """The last steps s and changes of the gradient y, in float32: the curvature that a search has met.

    Their rounding changes directions, and not what a search converges to.
    """

    def __init__(self, precondition: Preconditioner | None) -> None:
        self._pairs: deque[tuple[Singles, Singles, float]] = deque(maxlen=MEMORY)
        self._precondition = precondition
        self._scale: float | None = None

    def add(self, step: Floats, change: Floats) -> None:
        """Remember a step, unless the curvature along it is not positive."""
        product = float(step @ change)
        if product <= 0:
            return
        towards = change if self._precondition is None else self._precondition(change)
        self._scale = product / float(change @ towards)
        self._pairs.append((step.astype(np.float32), change.astype(np.float32), product))

    def direction(self, gradient: Floats) -> Floats:
        """Where the quadratic model that the pairs define has its minimum, from here (algorithm 7.4)."""
        direction, parts = -gradient, []
        for step, change, product in reversed(self._pairs):
            part = float(step @ direction) / product
            direction -= part * change
            parts.append(part)
        if self._precondition is not None:
            direction = self._precondition(direction)
        elif self._scale is None:
            direction /= max(float(np.linalg.norm(direction)), 1.0)
        if self._scale is not None:
            direction *= self._scale
        for (step, change, product), part in zip(self._pairs, reversed(parts), strict=True):
            direction += (part - float(change @ direction) / product) * step
        return direction
