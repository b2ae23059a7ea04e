"""Precision-recall curves of resamples of the images, from the matches of the whole set.

Matching knows no weights, as no two images share an object. To draw an image twice counts its objects and detections
twice; copies of a detection stand side by side, so a curve of the resample is that of the matches with weights.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from longtail_cli.evaluate.average_precision import EPSILON
from longtail_cli.evaluate.bootstrap.events import CurveEvents
from longtail_cli.evaluate.bootstrap.resampling import ImageWeights
from longtail_cli.evaluate.matching import Bits
from longtail_cli.evaluate.protocol import RECALL_THRESHOLDS
from longtail_cli.tables import Floats, Ints, Longs

LANES = 16
"""Resamples that are worked on at once: each step is the same for all, so that the compiler joins them."""

NUM_RECALLS = len(RECALL_THRESHOLDS)


@dataclass(frozen=True, slots=True)
class WeightedCurves:
    """ap, recall: float64 [LANES, K, T] in [0, 1]; NaN for a curve none of whose objects is drawn."""

    ap: Floats
    recall: Floats


def weighted_curves(events: CurveEvents, weight: ImageWeights) -> WeightedCurves:
    """The curves of `LANES` resamples; in the l-th, image i stands ``weight[i, l]`` times (uint8 [I, LANES])."""
    ap, recall = _weighted(
        events.start, events.image, events.hit, events.miss, events.false_start, events.false_image,
        events.object_start, events.object_image, weight, events.thresholds,
    )  # fmt: skip
    return WeightedCurves(ap, recall)


@numba.njit(cache=True, nogil=True, error_model="numpy")  # the other model asks before each division
def _weighted(
    start: Longs, image: Ints, hit: Bits, miss: Bits, false_start: Longs, false_image: Ints, object_start: Longs,
    object_image: Ints, weight: ImageWeights, thresholds: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """AP and recall, float64 [LANES, K, T].

    A curve is gone through forwards, to count its hits and misses, then backwards, taking them off again: so at each
    hit the greatest precision from there on is at hand.
    """
    number = len(start) - 1
    ap = np.full((LANES, number, thresholds), np.nan)
    recall = np.full((LANES, number, thresholds), np.nan)
    run = np.empty((np.diff(start).max() if number else 0, LANES), np.int32)
    hits = np.empty((thresholds, LANES), np.int32)
    misses = np.empty((thresholds, LANES), np.int32)
    always = np.empty(LANES, np.int32)
    objects = np.empty(LANES)
    total = np.empty((thresholds, LANES))
    for k in range(number):
        first, last = start[k], start[k + 1]
        objects[:] = 0.0
        for g in range(object_start[k], object_start[k + 1]):
            for lane in range(LANES):
                objects[lane] += weight[object_image[g], lane]
        _count(first, last, image, hit, miss, false_start, false_image, weight, hits, misses, always, run)
        for lane in range(LANES):
            if objects[lane] > 0:
                for t in range(thresholds):
                    recall[lane, k, t] = hits[t, lane] / objects[lane]
            else:
                objects[lane] = 1.0  # no hits either
        _take_off(first, last, image, hit, miss, weight, objects, hits, misses, always, run, total)
        for lane in range(LANES):
            for t in range(thresholds):
                ap[lane, k, t] = np.nan if np.isnan(recall[lane, k, t]) else total[t, lane] / NUM_RECALLS
    return ap, recall


@numba.njit(cache=True, nogil=True)
def _count(
    first: int, last: int, image: Ints, hit: Bits, miss: Bits, false_start: Longs, false_image: Ints,
    weight: ImageWeights, hits: Ints, misses: Ints, always: Ints, run: Ints,
) -> None:  # fmt: skip
    """Count a curve's hits and misses at each threshold, and the misses at all of them, also those before each event.

    hits, misses: int32 [T, LANES]. always: int32 [LANES]. run: int32 [events, LANES]. All are overwritten.
    """
    hits[:], misses[:], always[:] = 0, 0, 0
    for e in range(first, last):
        i, n = image[e], e - first
        run[n] = 0
        for f in range(false_start[e], false_start[e + 1]):
            for lane in range(LANES):
                run[n, lane] += np.int32(weight[false_image[f], lane])
        for lane in range(LANES):
            always[lane] += run[n, lane]
        for t in range(len(hits)):
            if (hit[e] >> t) & 1:
                for lane in range(LANES):
                    hits[t, lane] += np.int32(weight[i, lane])
            elif (miss[e] >> t) & 1:
                for lane in range(LANES):
                    misses[t, lane] += np.int32(weight[i, lane])


@numba.njit(cache=True, nogil=True, error_model="numpy")
def _take_off(
    first: int, last: int, image: Ints, hit: Bits, miss: Bits, weight: ImageWeights, objects: Floats, hits: Ints,
    misses: Ints, always: Ints, run: Ints, total: Floats,
) -> None:  # fmt: skip
    """The interpolated precision summed over the recalls: `total`, float64 [T, LANES].

    Each hit gives the greatest precision from it on to the recalls that it is the first to reach. One whose image is
    not drawn reaches none, and its precision is at most that of the hit before it. Takes hits and misses down to 0.
    """
    best = np.zeros((len(hits), LANES))
    reached = np.empty((len(hits), LANES))
    for t in range(len(hits)):
        for lane in range(LANES):
            total[t, lane] = 0.0
            reached[t, lane] = _recalls_up_to(hits[t, lane] / objects[lane])
    for e in range(last - 1, first - 1, -1):
        i, n = image[e], e - first
        for t in range(len(hits)):
            if (hit[e] >> t) & 1:
                for lane in range(LANES):
                    precision = hits[t, lane] / (misses[t, lane] + always[lane] + hits[t, lane] + EPSILON)
                    best[t, lane] = max(best[t, lane], precision)
                    hits[t, lane] -= np.int32(weight[i, lane])
                    before = _recalls_up_to(hits[t, lane] / objects[lane])
                    total[t, lane] += best[t, lane] * (reached[t, lane] - before)
                    reached[t, lane] = before
            elif (miss[e] >> t) & 1:
                for lane in range(LANES):
                    misses[t, lane] -= np.int32(weight[i, lane])
        for lane in range(LANES):
            always[lane] -= run[n, lane]
    for t in range(len(hits)):
        for lane in range(LANES):
            total[t, lane] += best[t, lane] * reached[t, lane]  # recall 0, which no hit is needed for


@numba.njit(cache=True, nogil=True)
def _recalls_up_to(recall: float) -> np.float64:
    """How many of `RECALL_THRESHOLDS` are at most `recall`; the n-th of them, from 0, is n * 0.01 to the bit."""
    n = np.floor(recall * 100.0)
    below = 1.0 if (n + 1.0) * 0.01 <= recall else 0.0
    above = 1.0 if n * 0.01 > recall else 0.0
    return np.float64(n + 1.0 + below - above)
