"""The negative log-likelihood of rows of logits as a function of a temperature, and the temperature that minimises it.

With the inverse temperature b = 1/T a row of logits z with true class y has the loss

    f(b) = ln sum_c e^(b z_c) - b z_y,    f'(b) = E[z] - z_y,    f''(b) = Var[z],    f'''(b) = E[(z - E[z])^3],

moments under softmax(b z); f is convex (Guo et al., "On Calibration of Modern Neural Networks", ICML 2017,
section 4.2). Importing this module imports torch.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from longtail_cli.tables import Floats, Longs

SMALLEST, LARGEST = 1e-3, 1e3
"""Bounds of the inverse temperature."""

STEPS = 60
TOLERANCE = 1e-4
"""Relative change of the inverse temperature at which the search for it ends. The error is about its square."""

RATIO = 1.06
"""Of neighbouring nodes: inverse temperatures b = RATIO^node at which lanes are evaluated. So near to each other that
the cubic at a node is exact to 1e-6 nats up to the middle of two, and so far apart that most lanes share one."""

JUMP = 20
"""Nodes that a lane may move in one step, at most, as a step of Newton's method can be far too long."""

Loss = Callable[[float], tuple[float, float]]
"""Takes b and returns f'(b) and f''(b), summed over the rows with their weights."""


def losses(logits: torch.Tensor, label: torch.Tensor, inverse: float, memory: torch.Tensor) -> Floats:
    """The loss f of each row at b = `inverse`, its three derivatives, and whether the class is predicted.

    Returns float64 [n, 5]. logits: float32 [n, K], overwritten. label: int64 [n], the column of the true class. memory:
    float32 [n, K], which is overwritten too: allocating it would take as long as the work.
    """
    logits -= logits.amax(dim=1, keepdim=True)
    own = logits.gather(1, label[:, None])[:, 0]
    share = torch.softmax(torch.mul(logits, inverse, out=memory), dim=1, out=memory)
    loss = -share.amax(dim=1).log() - inverse * own  # not the logarithm of the own share, which may be 0
    first, second, third = (share.mul_(logits).sum(dim=1) for _ in range(3))
    variance = (second - first.square()).clamp_(min=0)
    skew = third - 3 * first * second + 2 * first**3
    found = torch.stack([loss, first - own, variance, skew, (own == 0).to(loss.dtype)], dim=1)
    return found.double().numpy()


def best_inverse(loss: Loss, start: float = 1.0) -> float:
    """The b at which f is least: Newton's method inside a bracket, in which it falls back to bisection."""
    low, high, inverse = SMALLEST, LARGEST, start
    for _ in range(STEPS):
        slope, curvature = loss(inverse)
        if slope > 0:
            high = inverse
        else:
            low = inverse
        step = inverse - slope / curvature if curvature > 0 else np.inf
        following = step if low < step < high else float(np.sqrt(low * high))
        if abs(following - inverse) <= TOLERANCE * inverse:
            return following
        inverse = following
    return inverse


def at_best(sums: Floats) -> Floats:
    """The least f near b from f and its derivatives at b, by their cubic: float64 [L].

    sums: float64 [L, 4], summed with the weights of each lane.
    """
    loss, slope, curvature, third = sums.T
    step = np.zeros_like(loss)
    for _ in range(4):
        gradient = slope + curvature * step + third * step**2 / 2
        step = step - np.divide(gradient, curvature, out=np.zeros_like(step), where=curvature > 0)
    return np.asarray(loss + slope * step + curvature * step**2 / 2 + third * step**3 / 6)


def node_near(inverse: Floats) -> Longs:
    """The node nearest to each inverse temperature, int64."""
    return np.asarray(np.rint(np.log(np.clip(inverse, SMALLEST, LARGEST)) / np.log(RATIO)), np.int64)


def least_losses(sums_at: Callable[[int], Floats], start: int) -> Floats:
    """The least f of each of L lanes: float64 [L].

    sums_at: takes a node and returns f and its derivatives there, summed with the weights of each lane, float64 [L, 4].
    start: the node that is evaluated first.

    The value of a lane is that of the cubic at the node nearest to its own least f, which differs by less than 1e-6
    nats. So it depends on its own rows, and not on where other lanes have their least f.
    """
    sums = {start: sums_at(start)}
    node = np.full(len(sums[start]), start)
    for _ in range(STEPS):
        own = np.stack([sums[one][lane] for lane, one in enumerate(node.tolist())])
        step = np.divide(own[:, 1], own[:, 2], out=np.zeros(len(own)), where=own[:, 2] > 0)
        nearest = np.clip(node_near(RATIO ** node.astype(float) - step), node - JUMP, node + JUMP)
        if (nearest == node).all():
            break
        sums |= {one: sums_at(one) for one in sorted(set(nearest.tolist()) - sums.keys())}
        node = nearest
    return at_best(own)


def class_means(label: Longs, weight: Floats, classes: int) -> Floats:
    """Weights with which sums over rows are means within each class: w / sum of w over the class, float64 [n]."""
    total = np.bincount(label, weight, minlength=classes)[label]
    return np.divide(weight, total, out=np.zeros(len(weight)), where=total > 0)
