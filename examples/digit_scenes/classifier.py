"""Multinomial logistic regression with a background class, its weights on a fixed-point grid."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from proposals import FEATURE_LEVELS
from scenes import Integers

Floats = npt.NDArray[np.float64]

WEIGHT_UNIT = 2.0**-8
PENALTY = 1.0  # minimised: summed loss + PENALTY / 2 * |weights|^2, scikit-learn's default strength
GRADIENT_TOLERANCE = 1e-9
LOSS_TOLERANCE = 1e-6  # above the rounding error of the summed loss
MOST_STEPS = 30


def train(features: Integers, label: Integers, num_classes: int) -> Integers:
    """Weights [F + 1, num_classes] in units of `WEIGHT_UNIT`, the last row the bias.

    The loss is strictly convex, so it has a single minimum, which Newton's method reaches to better than 1e-8. Further
    digits depend on the machine's linear algebra; rounding to the grid removes them. Features and weights are then
    integers, their products are exact, and the files are identical on every machine.
    """
    x = with_constant(features) / FEATURE_LEVELS
    target = np.eye(num_classes)[label]
    weights = np.zeros((x.shape[1], num_classes))
    for _ in range(MOST_STEPS):
        probability = softmax(x @ weights)
        gradient = x.T @ (probability - target) + PENALTY * weights
        if np.abs(gradient).max() < GRADIENT_TOLERANCE:
            return np.rint(weights / WEIGHT_UNIT).astype(np.int64)
        step = np.linalg.solve(hessian(x, probability), gradient.ravel()).reshape(weights.shape)
        limit = penalised_loss(x, target, weights) + LOSS_TOLERANCE
        while penalised_loss(x, target, weights - step) > limit:  # the step was too long, as the first ones can be
            step = step / 2
        weights = weights - step
    raise RuntimeError(f"no convergence in {MOST_STEPS} Newton steps")


def penalised_loss(x: Floats, target: Floats, weights: Floats) -> float:
    """Negative log-likelihood summed over the rows, plus the penalty."""
    logits = x @ weights
    top = logits.max(axis=1, keepdims=True)
    log_likelihood = (target * (logits - top)).sum() - np.log(np.exp(logits - top).sum(axis=1)).sum()
    return float(PENALTY / 2 * (weights**2).sum() - log_likelihood)


def hessian(x: Floats, probability: Floats) -> Floats:
    """Second derivatives [F * K, F * K] of the penalised loss, in the order of the raveled weights [F, K]."""
    num_features, num_classes = x.shape[1], probability.shape[1]
    blocks = np.empty((num_features, num_classes, num_features, num_classes))
    for a in range(num_classes):
        for b in range(a, num_classes):
            curvature = probability[:, a] * ((a == b) - probability[:, b])
            blocks[:, a, :, b] = blocks[:, b, :, a] = x.T @ (x * curvature[:, None])
    size = num_features * num_classes
    return np.reshape(blocks, (size, size)) + PENALTY * np.eye(size)


def exact_logits(features: Integers, weights: Integers) -> Floats:
    """Logits [N, K]: sums of integers times a power of two, so free of rounding."""
    products = (with_constant(features) @ weights).astype(np.float64)
    return products * (WEIGHT_UNIT / FEATURE_LEVELS)


def with_constant(features: Integers) -> Integers:
    """Features [N, F + 1], the last column a full-scale constant that carries the bias."""
    return np.pad(features, ((0, 0), (0, 1)), constant_values=FEATURE_LEVELS)


def softmax(logits: Floats) -> Floats:
    power = np.exp(logits - logits.max(axis=1, keepdims=True))
    probability: Floats = power / power.sum(axis=1, keepdims=True)
    return probability
