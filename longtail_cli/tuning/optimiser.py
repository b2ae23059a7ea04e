"""Proposals for spaces with three ranges and more, by Bayesian optimisation with a Gaussian process (Optuna)."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from typing import Any

from longtail_cli.errors import missing_package
from longtail_cli.tuning.spaces import Point, Range, Space

DIGITS = 4
"""Of proposed numbers."""


def propose(space: Space, points: Sequence[Point], values: Sequence[float], seed: int) -> Point:
    """The point to try next, given the objective at other points, of which more is better.

    Raises MissingExtraError if Optuna is not installed.
    """
    try:
        optuna: Any = import_module("optuna")
    except ImportError as error:
        raise missing_package("optuna", "spaces with three ranges and more", "tune") from error
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    distributions = {axis.name: _distribution(optuna, space, number) for number, axis in enumerate(space.axes)}
    names = list(distributions)
    sampler = optuna.samplers.GPSampler(seed=seed, n_startup_trials=0)
    study = optuna.create_study(direction="maximize", sampler=sampler)
    study.add_trials(
        optuna.trial.create_trial(params=dict(zip(names, point, strict=True)), distributions=distributions, value=value)
        for point, value in zip(points, values, strict=True)
    )
    found = study.ask(distributions).params
    return tuple(
        axis.rounded(found[axis.name], DIGITS) if isinstance(axis, Range) else found[axis.name] for axis in space.axes
    )


def _distribution(optuna: Any, space: Space, number: int) -> Any:
    axis = space.axes[number]
    if isinstance(axis, Range):
        return optuna.distributions.FloatDistribution(axis.low, axis.high, log=axis.geometric)
    return optuna.distributions.CategoricalDistribution(axis.values)
