"""On how many images a mean over categories effectively rests, and how much wider an interval must be for it.

The mean of the AP of ten categories varies mostly with the one that is seen in a single image, and the resamples know
little of how that one varies. Treat the figure of a category in n images as a mean of n values of a common variance:
the variance of the mean over the categories is then a sum of terms in 1/n, each known with n degrees of freedom, and
Welch and Satterthwaite give the degrees of freedom of the sum (Satterthwaite, "An Approximate Distribution of Estimates
of Variance Components", 1946).
"""

from __future__ import annotations

import math

from longtail_cli.tables import Floats, Longs

NORMAL = 1.959964
"""The 97.5% quantile of the normal distribution."""


def effective_images(images: Longs) -> float:
    """(sum 1/n)^2 / sum 1/n^3 over the categories in n >= 1 images; 0 without any. images: int64 [C].

    It lies between the least n and the sum of all, which it is if all n are equal.
    """
    number: Floats = images[images > 0].astype(float)
    return float((1 / number).sum() ** 2 / (1 / number**3).sum()) if len(number) else 0.0


def widening(images: float) -> float:
    """By how much the interval of a mean of `images` >= 3 values by Student's t is wider than the bootstrap's.

    The variance of resamples is that with the divisor n, and their quantiles are near the normal ones: so it is
    t / z * sqrt(n / (n - 1)) with n - 1 degrees of freedom. t is within 1% (Abramowitz and Stegun, 26.7.5).
    """
    z, freedom = NORMAL, images - 1
    terms = (
        z,
        (z**3 + z) / 4,
        (5 * z**5 + 16 * z**3 + 3 * z) / 96,
        (3 * z**7 + 19 * z**5 + 17 * z**3 - 15 * z) / 384,
        (79 * z**9 + 776 * z**7 + 1482 * z**5 - 1920 * z**3 - 945 * z) / 92160,
    )
    student = sum(term / freedom**power for power, term in enumerate(terms))
    return student / z * math.sqrt(images / freedom)
