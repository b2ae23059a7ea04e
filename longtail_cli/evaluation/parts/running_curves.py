"""Precision-recall curves of a category from its detections in order, piece after piece: AP without keeping them.

The floating-point operations are those of `longtail_cli.engine.curves`, so AP is the same to the last bit.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.average_precision import EPSILON, Curves
from longtail_cli.evaluation.matching import Bits
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, RECALL_THRESHOLDS
from longtail_cli.tables import Floats, Longs

_EVERY = (1 << len(IOU_THRESHOLDS)) - 1


class RunningCurve:
    """A curve at one threshold: of its hits only the greatest precision between each two recalls is kept."""

    def __init__(self, objects: int) -> None:
        """objects: how many can be found; without any, AP is 0."""
        self._objects = objects
        self._best = np.zeros(len(RECALL_THRESHOLDS))  # at the hits that reach this recall, but not the next
        self.hits = 0
        """How many there were so far."""
        self.detections = 0
        """How many there were so far, hits among them."""

    def add(self, position: Longs, number: int) -> None:
        """The next detections on the curve. position: int64 [h], those of the hits among them, from 1, ascending."""
        if self._objects:
            hits = self.hits + np.arange(1, len(position) + 1)
            reached = np.searchsorted(RECALL_THRESHOLDS, hits / self._objects, side="right") - 1
            np.maximum.at(self._best, reached, hits / (self.detections + position + EPSILON))
        self.hits += len(position)
        self.detections += number

    @property
    def ap(self) -> float:
        """The mean interpolated precision, in [0, 1]."""
        interpolated = np.maximum.accumulate(self._best[::-1])[::-1]
        total = np.cumsum(interpolated)[-1]  # one after another; `np.sum` adds in pairs
        return float(total / len(RECALL_THRESHOLDS))


class RunningCurves:
    """The curves at all thresholds in all area ranges."""

    def __init__(self, num_objects: Longs) -> None:
        """num_objects: int64 [4], those that count."""
        self._num_objects = num_objects
        self._curves = [[RunningCurve(number) for _ in IOU_THRESHOLDS] for number in num_objects.tolist()]

    def add(self, true_positive: Bits, ignored: Bits) -> None:
        """The next detections within the limits: uint16 [n, 4], see `Matches`."""
        for area in np.flatnonzero(self._num_objects).tolist():
            hit, ignore = true_positive[:, area].copy(), ignored[:, area].copy()
            false = (hit | ignore) == 0  # at all thresholds
            event = np.flatnonzero(~false & (ignore != _EVERY))
            before = np.cumsum(false)
            hit, ignore, before, number = hit[event], ignore[event], before[event], int(before[-1:].sum())
            for t, curve in enumerate(self._curves[area]):
                found = (hit >> t) & 1 != 0
                counted = np.cumsum(found | ((ignore >> t) & 1 == 0))
                curve.add((before + counted)[found], number + int(counted[-1:].sum()))

    def curves(self) -> Curves:
        """[10, 1, 4], NaN without objects."""
        ap, recall = np.full((2, len(IOU_THRESHOLDS), 1, len(self._num_objects)), np.nan)
        for area in np.flatnonzero(self._num_objects).tolist():
            ap[:, 0, area] = [curve.ap for curve in self._curves[area]]
            recall[:, 0, area] = [curve.hits for curve in self._curves[area]] / self._num_objects[area]
        return Curves(ap, recall)


class RunningRecall:
    """The recall over all sizes with only the best few detections of each image, see `recall_at`."""

    def __init__(self, max_rank: int, objects: int) -> None:
        self._max_rank, self._objects = max_rank, objects
        self._found = np.zeros(len(IOU_THRESHOLDS), np.int64)

    def add(self, rank: npt.NDArray[np.uint8], true_positive: Bits) -> None:
        """The next detections within the limits. rank: uint8 [n]. true_positive: uint16 [n, 4], see `Matches`."""
        hits = true_positive[:, 0]
        hits = hits[(rank < self._max_rank) & (hits != 0)]
        self._found += [np.count_nonzero((hits >> t) & 1) for t in range(len(self._found))]

    def recall(self) -> Floats:
        """float64 [10, 1], NaN without objects."""
        return self._found[:, None] / (self._objects or np.nan)
