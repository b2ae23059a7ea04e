"""Precision-recall curves of resamples of the images, from the matches of the whole set.

Matching needs no weights, as no two images share an object. An image that is drawn twice counts its objects and
detections twice, and copies of a detection are adjacent, so the curve of a resample is that of the weighted matches.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.engine import weighted_curves as engine
from longtail_cli.evaluation.bootstrap.events import CurveEvents
from longtail_cli.evaluation.bootstrap.resampling import LANES, ImageWeights
from longtail_cli.tables import Floats


@dataclass(frozen=True, slots=True)
class WeightedCurves:
    """AP and recall of K curves at T thresholds; NaN if none of a curve's objects is drawn."""

    ap: Floats
    """float64 [K, T, LANES] in [0, 1]."""
    recall: Floats
    """float64 [K, T, LANES] in [0, 1]."""


def weighted_curves(events: CurveEvents, weight: ImageWeights) -> WeightedCurves:
    """The curves of `LANES` resamples; image i occurs ``weight[i, l]`` times in the l-th (uint8 [I, LANES])."""
    ap, recall = np.empty((2, len(events.start) - 1, events.thresholds, LANES))
    engine.weighted_curves(
        events.start, events.image, events.hit, events.miss, events.false_start, events.false_image,
        events.object_start, events.object_image, weight, weight.view(np.uint64), ap, recall,
    )  # fmt: skip
    return WeightedCurves(ap, recall)
