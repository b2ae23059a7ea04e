"""Precision-recall curves of resamples of the images, from the matches of the whole set.

Matching needs no weights, as no two images share an object. An image that is drawn twice counts its objects and
detections twice, and copies of a detection are adjacent, so the curve of a resample is that of the weighted matches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np

from longtail_cli.evaluation.average_precision import EPSILON
from longtail_cli.evaluation.bootstrap.events import CurveEvents
from longtail_cli.evaluation.bootstrap.resampling import LANES, ImageWeights
from longtail_cli.evaluation.matching import Bits
from longtail_cli.evaluation.protocol import RECALL_THRESHOLDS
from longtail_cli.tables import Floats, Ints, Longs

NUM_RECALLS = len(RECALL_THRESHOLDS)


@dataclass(frozen=True, slots=True)
class WeightedCurves:
    """AP and recall of K curves at T thresholds; NaN if none of a curve's objects is drawn."""

    ap: Floats
    """float64 [LANES, K, T] in [0, 1]."""
    recall: Floats
    """float64 [LANES, K, T] in [0, 1]."""


def weighted_curves(events: CurveEvents, weight: ImageWeights) -> WeightedCurves:
    """The curves of `LANES` resamples; image i occurs ``weight[i, l]`` times in the l-th (uint8 [I, LANES])."""
    ap, recall = _weighted(
        events.start, events.image, events.hit, events.miss, events.false_start, events.false_image,
        events.object_start, events.object_image, weight, events.thresholds,
    )  # fmt: skip
    return WeightedCurves(ap, recall)


@numba.njit(cache=True, nogil=True, error_model="numpy")  # the default checks every division
def _weighted(
    start: Longs, image: Ints, hit: Bits, miss: Bits, false_start: Longs, false_image: Ints, object_start: Longs,
    object_image: Ints, weight: ImageWeights, thresholds: int,
) -> tuple[Floats, Floats]:  # fmt: skip
    """AP and recall, float64 [LANES, K, T].

    Each curve is traversed forwards to count its hits and misses, then backwards while subtracting them again: so at
    each hit the greatest precision from there on is known.
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
        _sum_precision(first, last, image, hit, miss, weight, objects, hits, misses, always, run, total)
        for lane in range(LANES):
            for t in range(thresholds):
                ap[lane, k, t] = np.nan if np.isnan(recall[lane, k, t]) else total[t, lane] / NUM_RECALLS
    return ap, recall


@numba.njit(cache=True, nogil=True)
def _count(
    first: int, last: int, image: Ints, hit: Bits, miss: Bits, false_start: Longs, false_image: Ints,
    weight: ImageWeights, hits: Ints, misses: Ints, always: Ints, run: Ints,
) -> None:  # fmt: skip
    """Count a curve's hits and misses at each threshold, and its misses at all thresholds, in total and by event.

    hits, misses: int32 [T, LANES]. always: int32 [LANES], misses at all thresholds. run: int32 [events, LANES], those
    between an event and the one before. All are overwritten.
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
def _sum_precision(
    first: int, last: int, image: Ints, hit: Bits, miss: Bits, weight: ImageWeights, objects: Floats, hits: Ints,
    misses: Ints, always: Ints, run: Ints, total: Floats,
) -> None:  # fmt: skip
    """The interpolated precision summed over the recalls: `total`, float64 [T, LANES].

    Each hit contributes the greatest precision from it on, times the number of recalls that it is the first to reach. A
    hit whose image is not drawn reaches none, and its precision is at most that of the hit before it. Counts hits and
    misses down to 0.
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
            total[t, lane] += best[t, lane] * reached[t, lane]  # recall 0, which needs no hit


@numba.njit(cache=True, nogil=True)
def _recalls_up_to(recall: float) -> np.float64:
    """How many of `RECALL_THRESHOLDS` are at most `recall`; the n-th of them, from 0, is exactly n * 0.01."""
    n = np.floor(recall * 100.0)
    below = 1.0 if (n + 1.0) * 0.01 <= recall else 0.0
    above = 1.0 if n * 0.01 > recall else 0.0
    return np.float64(n + 1.0 + below - above)
