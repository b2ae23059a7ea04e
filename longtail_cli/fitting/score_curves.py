"""One map from scores to probabilities, learned from detections that are right or wrong."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.fitting.logistic import fit_logistic
from longtail_cli.fitting.methods import BetaCalibration, Histogram, Isotonic, Platt, ScoresFit, Spline
from longtail_cli.methods.scores import logs
from longtail_cli.tables import Bools, Floats, Longs

LEAST = 2.0**-53
"""Scores below it and above 1 minus it are fitted as if they were there."""


@dataclass(frozen=True, slots=True)
class Beta:
    """A curve as in `ScoreBeta`."""

    rise: float
    fall: float
    shift: float
    passes: int = 1
    """Over the rows, to find it."""
    converged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Knots:
    """A curve as in `ScoreKnots`, equal to no other."""

    x: Floats
    """float64 [P] in [0, 1], not falling."""
    y: Floats
    """float64 [P] in [0, 1], not falling."""


Curve = Beta | Knots


def fit_curve(method: ScoresFit, score: Floats, right: Bools) -> Curve:
    """The map of `method` for detections with these scores.

    score: float64 [n] in [0, 1], ascending, n > 0. right: bool [n].
    """
    match method:
        case Platt():
            return _platt(score, right)
        case BetaCalibration():
            return _beta(score, right)
        case Isotonic():
            return _isotonic(score, right)
        case Histogram():
            return _histogram(score, right, int(method.bins))
        case Spline():
            return _spline(score, right, int(method.bins))
    raise TypeError(method)


def quantile_edges(values: Floats, bins: int) -> Longs:
    """Where to cut ascending values into at most `bins` parts, about equally full, with equal values together.

    values: float64 [n]. Returns int64, the first index of each part but the first.
    """
    cut = len(values) * np.arange(1, bins) // bins
    first = np.searchsorted(values, values[cut], side="left")
    return np.unique(first[first > 0])


def _platt(score: Floats, right: Bools) -> Beta:
    log_score, log_rest = _inner_logs(score)
    found = fit_logistic([log_score - log_rest], right)
    return Beta(found.slope[0], found.slope[0], found.intercept, found.steps, found.converged)


def _beta(score: Floats, right: Bools) -> Beta:
    log_score, log_rest = _inner_logs(score)
    found = fit_logistic([log_score, -log_rest], right)
    rise, fall = found.slope
    return Beta(rise, fall, found.intercept, found.steps, found.converged)


def _inner_logs(score: Floats) -> tuple[Floats, Floats]:
    """Ln s and ln(1 - s), of which a score of 0 or 1 is as far from 0.5 as the greatest float below 1.

    The logit of the least float above 0 is -744; a few such scores would decide the whole fit.
    """
    return logs(score.clip(LEAST, 1 - LEAST))


def _isotonic(score: Floats, right: Bools) -> Knots:
    x, first = np.unique(score, return_index=True)
    share = _not_falling(right, first)
    kept = np.ones(len(x), bool)  # the ends of each constant piece
    kept[1:-1] = (share[1:-1] != share[:-2]) | (share[1:-1] != share[2:])
    return Knots(x[kept], share[kept])


def _histogram(score: Floats, right: Bools, bins: int) -> Knots:
    first = _rising_bins(score, right, bins)
    share = _means(right, first)
    return Knots(np.repeat(score[first], 2)[1:], np.repeat(share, 2)[:-1])


def _spline(score: Floats, right: Bools, bins: int) -> Knots:
    first = _rising_bins(score, right, bins)
    last = np.append(first[1:], len(score)) - 1
    x, y = _means(score, first).clip(score[first], score[last]), _means(right, first)  # in order despite rounding
    low, high = [0.0] if x[0] > 0 else [], [1.0] if x[-1] < 1 else []
    return Knots(np.concatenate([low, x, high]), np.concatenate([low, y, high]))


def _rising_bins(score: Floats, right: Bools, bins: int) -> Longs:
    """The first detection of each bin, int64, after those are merged whose share of right ones would fall or stay."""
    first = np.append(0, quantile_edges(score, bins))
    return first[np.diff(_not_falling(right, first), prepend=-1.0) > 0]


def _means(values: Floats | Bools, first: Longs) -> Floats:
    """The mean of each part of the values: float64. first: int64, the first index of each part."""
    total = np.add.reduceat(values, first, dtype=np.float64)
    return np.asarray(total / np.diff(first, append=len(values)))


def _not_falling(right: Bools, first: Longs) -> Floats:
    """The share of right detections in each part, or in the parts that are merged with it, so that none is below the
    one before: float64.

    These are the shares nearest to the parts' own in the squares, weighted by their sizes (pool adjacent violators).
    """
    from scipy.optimize import isotonic_regression

    share = isotonic_regression(_means(right, first), weights=np.diff(first, append=len(right)).astype(float)).x
    return np.asarray(share.clip(0.0, 1.0))
