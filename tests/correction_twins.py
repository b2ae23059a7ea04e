"""Plain twins of the corrections that are fitted to logits: their formulas in float64, and a search without gradients.

Each takes logits [N, K], one weight per row and the numbers that are learned, and returns the new logits. Columns are
classes alone, unless `classes` says which they are.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy.optimize import minimize
from scipy.special import expit, logsumexp

from longtail_cli.tables import Floats, Longs

Map = Callable[[Floats, Floats], Floats]
"""Takes logits [N, K] and the learned numbers [P], 0 for the identity; returns the new logits."""


def temperature(logits: Floats, x: Floats) -> Floats:
    return logits / np.exp(-x[0])


def bcts(logits: Floats, x: Floats) -> Floats:
    return logits / np.exp(-x[0]) + x[1:]


def class_temperature(logits: Floats, x: Floats) -> Floats:
    return logits / np.exp(-x)


def lws(logits: Floats, x: Floats) -> Floats:
    return (1 + x) * logits


def vector(logits: Floats, x: Floats) -> Floats:
    alpha, beta = x.reshape(2, -1)
    return (1 + alpha) * logits + beta


def disalign(inputs: Floats) -> Map:
    """As in the authors' linear layer: a mixture of the logits before and after an affine map of each class."""

    def mapped(logits: Floats, x: Floats) -> Floats:
        width = logits.shape[1]
        alpha, beta, confidence = x[:width], x[width : 2 * width], x[2 * width :]
        share = expit(inputs @ confidence[:-1] + confidence[-1])[:, None]
        return share * ((1 + alpha) * logits + beta) + (1 - share) * logits

    return mapped


def cross_entropy(logits: Floats, target: Longs) -> Floats:
    return np.asarray(logsumexp(logits, axis=1) - logits[np.arange(len(target)), target])


def binary_cross_entropy(logits: Floats, target: Longs) -> Floats:
    """Summed over the columns; a target of K has no column."""
    right = np.eye(logits.shape[1] + 1)[target][:, :-1]
    return np.asarray(-(right * np.log(expit(logits)) + (1 - right) * np.log(expit(-logits))).sum(axis=1))


def generalised_weights(target: Longs, exponent: float) -> Floats:
    """(1/r_c)^exponent with mean 1 over the classes, r_c their share of the rows: float64 [N]."""
    share = np.bincount(target) / len(target)
    weight = share**-exponent
    return np.asarray((weight / weight.sum() * len(weight))[target])


def least(
    mapped: Map,
    logits: Floats,
    target: Longs,
    weight: Floats,
    l2: float,
    penalised: Floats,
    losses: Callable[[Floats, Longs], Floats] = cross_entropy,
) -> tuple[Floats, float]:
    """The learned numbers with the least weighted mean loss plus penalty, and that."""

    def value(x: Floats) -> float:
        return float(weight @ losses(mapped(logits, x), target) / weight.sum() + l2 / 2 * (penalised * x**2).sum())

    found = minimize(value, np.zeros(len(penalised)), method="BFGS", options={"gtol": 1e-7})
    return found.x, found.fun
