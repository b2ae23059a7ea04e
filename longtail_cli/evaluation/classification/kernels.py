"""Sums over the rows of scores, from which every metric of a classifier is computed."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from longtail_cli.engine import score_rows as engine
from longtail_cli.tables import Floats, Longs, Singles

BINS = 15
"""Bins of equal width for the calibration errors (Guo et al., "On Calibration of Modern Neural Networks", 2017)."""


def _largest_in_first_bin() -> np.float32:
    """The largest float32 that is at most 1 / BINS."""
    edge = np.float32(1 / BINS)
    return edge if float(edge) <= 1 / BINS else np.nextafter(edge, np.float32(0))


_FIRST_BIN = int(_largest_in_first_bin().view(np.int32))


class Sums(NamedTuple):
    """Sufficient statistics, all additive over the rows."""

    mass: Floats
    """float64 [G + 1, C], by true group of the row (the last: no group), the sum of each column's scores."""
    excess: Floats
    """float64 [C, BINS], by column and bin, the sum of the scores less the rows of that class; bin 0 stays empty, as it
    follows from the column's sum and the other bins."""
    samples: Longs
    """int64 [C], rows of each class."""
    hits: Longs
    """int64 [C], correct predictions among them."""
    bins: Floats
    """float64 [BINS, 3], by the greatest score of a row: rows, sum of the greatest scores, correct predictions."""
    totals: Floats
    """float64 [3], rows whose class is among the first five; sum of -ln s_y; sum of squared differences."""

    @classmethod
    def zero(cls, classes: int, groups: int) -> Sums:
        return cls(
            mass=np.zeros((groups + 1, classes)),
            excess=np.zeros((classes, BINS)),
            samples=np.zeros(classes, np.int64),
            hits=np.zeros(classes, np.int64),
            bins=np.zeros((BINS, 3)),
            totals=np.zeros(3),
        )

    def plus(self, other: Sums) -> Sums:
        """The sums over the rows of both."""
        return Sums(
            mass=self.mass + other.mass,
            excess=self.excess + other.excess,
            samples=self.samples + other.samples,
            hits=self.hits + other.hits,
            bins=self.bins + other.bins,
            totals=self.totals + other.totals,
        )


def add_rows(scores: Singles, labels: Longs, group: Longs, sums: Sums) -> None:
    """Add the rows to `sums`, in place. group: int64 [C], the row of `Sums.mass` for each class, -1 for the last."""
    engine.add_rows(scores, scores.view(np.int32), labels, group % len(sums.mass), _FIRST_BIN, *sums)
