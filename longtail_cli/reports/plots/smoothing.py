"""A running mean over the frequency of the classes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail_cli.tables import Floats

REACH = 0.5
"""The least distance, in powers of ten of the count, from which on a class does not count."""

NEAREST, BEYOND = 10, 1.5
"""Where classes are few, they count up to `BEYOND` times the distance to the tenth nearest."""

LEAST_CLASSES = 2 * NEAREST
"""Of fewer classes there is no running mean."""

STEPS = 200


def running_mean(counts: Sequence[int], values: Sequence[float]) -> tuple[Floats, Floats] | None:
    """Counts from the least to the greatest, and the mean of the values near each.

    The mean at x weights the value of a class with count n by max(0, 1 - (d / h)^2), where
    d = |log10((1 + x) / (1 + n))|: the estimate of Nadaraya and Watson with the kernel of Epanechnikov. h is `REACH`,
    or where classes are few `BEYOND` times the distance d to the tenth nearest. The hundreds of rare classes of a tail
    do not count near the few most frequent ones, as they would with a kernel that has tails. counts: int [N], >= 0.
    values: [N]. Both results are float64 [STEPS]; None with fewer than `LEAST_CLASSES` classes or only one count.
    """
    position = np.log10(1 + np.asarray(counts, np.float64))
    if len(position) < LEAST_CLASSES or position.min() == position.max():
        return None
    x = np.linspace(position.min(), position.max(), STEPS)
    distance = np.abs(x[:, None] - position)
    reach = np.maximum(REACH, BEYOND * np.partition(distance, NEAREST - 1, axis=1)[:, NEAREST - 1, None])
    weight = np.maximum(0, 1 - (distance / reach) ** 2)
    return 10**x - 1, (weight @ np.asarray(values, np.float64)) / weight.sum(axis=1)
