"""Logistic regression on one or two features, whose slopes are not negative."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from longtail_cli.methods.scores import sigmoid
from longtail_cli.tables import Bools, Floats

STEPS = 100
"""Newton steps at most; about ten are needed."""
TOLERANCE = 1e-10
"""Of the mean loss in nats: the search ends with the Newton step that promises less."""


@dataclass(frozen=True, slots=True)
class Logistic:
    """sigmoid(slope · features + intercept)."""

    slope: tuple[float, ...]
    """One for each feature."""
    intercept: float
    loss: float
    """The mean cross entropy in nats."""
    steps: int
    """Newton steps of the search, each a pass over the rows."""
    converged: bool


def fit_logistic(features: Sequence[Floats], right: Bools) -> Logistic:
    """The fit of least loss whose slopes are not negative, with Platt's targets in place of 1 and 0.

    features: up to two, float64 [n] each. The targets (m + 1) / (m + 2) of m right ones and 1 / (n + 2) of n wrong
    ones keep it finite where the score separates them (Platt 1999, section 2.2).

    The loss is convex. If the best slopes of all features are not negative, that is the solution; otherwise it lies
    where one of them is 0.
    """
    hits = int(right.sum())
    target = np.where(right, (hits + 1) / (hits + 2), 1 / (len(right) - hits + 2))
    found = _newton(features, target)
    if min(found.slope, default=0.0) >= 0:
        return found
    fewer = [_logistic_without(features, target, one) for one in range(len(features))]
    return min(fewer, key=lambda one: one.loss)


def _logistic_without(features: Sequence[Floats], target: Floats, left_out: int) -> Logistic:
    """The fit in which a slope is 0, and the other one, if there is one, not negative."""
    found = _newton([one for number, one in enumerate(features) if number != left_out], target)
    if min(found.slope, default=0.0) < 0:
        found = _newton([], target)
        return replace(found, slope=(0.0,) * len(features))
    return replace(found, slope=(*found.slope[:left_out], 0.0, *found.slope[left_out:]))


def _newton(features: Sequence[Floats], target: Floats) -> Logistic:
    """The fit of least loss by Newton's method, whose steps are halved while they do not lower the loss.

    Features are centred and scaled first. A constant one gets slope 0. Where features depend on each other linearly,
    the steps are the shortest that solve Newton's equation.
    """
    center = np.array([one.mean() for one in features])
    spread = np.array([one.std() for one in features])
    scale = np.where(spread > 1e-12 * (1 + np.abs(center)), spread, np.inf)
    scaled = [(one - m) / s for one, m, s in zip(features, center, scale, strict=True)]
    design = np.stack([*scaled, np.ones(len(target))])
    mean = target.mean()
    point = np.append(np.zeros(len(features)), np.log(mean / (1 - mean)))
    z = point @ design
    loss, steps, converged = _loss(z, target), 0, False
    while steps < STEPS and not converged:
        steps += 1
        p = sigmoid(z)
        gradient = design @ (p - target) / len(target)
        hessian = (design * (p * (1 - p))) @ design.T / len(target)
        step = np.linalg.lstsq(hessian, gradient, rcond=1e-12)[0]
        converged = bool(gradient @ step < TOLERANCE)
        z, before = (point - step) @ design, loss
        loss = _loss(z, target)
        while not converged and loss > before:
            step /= 2
            z = (point - step) @ design
            loss = _loss(z, target)
        point = point - step
    slope = point[:-1] / scale
    return Logistic(tuple(slope.tolist()), float(point[-1] - slope @ center), loss, steps, converged)


def _loss(z: Floats, target: Floats) -> float:
    """The mean cross entropy of sigmoid(z) in nats."""
    return float((np.logaddexp(0.0, z) - target * z).mean())
