"""The metrics of many resamples of the images, from one set of matches.

Matching needs no weights, as no two images share an object. An image that is drawn twice counts its objects and
detections twice, and copies of a detection are adjacent, so the curve of a resample is that of the weighted matches.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longtail_cli.engine import weighted_curves as engine
from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.average_precision import Curves, pools_of
from longtail_cli.evaluation.bootstrap.events import (
    CurveEvents,
    by_category,
    by_fixed_curve,
    by_pool,
    by_rank,
    of_false_positives,
)
from longtail_cli.evaluation.bootstrap.resampling import LANES, ImageWeights, Reduction
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import AREA_NAMES, Objects, Protocol
from longtail_cli.evaluation.selection import Scored
from longtail_cli.evaluation.tide import Points
from longtail_cli.metrics import Value, mean
from longtail_cli.tables import Bools, Floats, Ints


def headline(
    detections: Scored, objects: Objects, matches: Matches, protocol: Protocol, groups: Mapping[str, Bools],
    *, sizes: bool = True,
) -> Reduction:  # fmt: skip
    """AP, AP50, ... of weighted images, by the names and definitions of `summary.headline`.

    sizes: whether to compute those by object size, which take most of the time.
    """
    areas, number = len(AREA_NAMES) if sizes else 1, len(matches.num_objects)
    events = by_category(detections, objects, matches, areas)
    ranked = {rank: by_rank(detections, objects, matches, rank) for rank in summary.RANKS[protocol.name]}

    def reduction(weight: ImageWeights) -> list[dict[str, Value]]:
        recalls = {rank: _weighted_curves(one, weight).recall.transpose(2, 1, 0) for rank, one in ranked.items()}
        return [
            summary.headline(curves, {rank: found[lane] for rank, found in recalls.items()}, protocol, groups)
            for lane, curves in enumerate(_by_size(events, number, weight))
        ]

    return reduction


def fixed(detections: Scored, objects: Objects, matches: Matches, groups: Mapping[str, Bools]) -> Reduction:
    """Fixed AP of weighted images; the 10,000 detections of a category are chosen on the whole set."""
    events, number = by_category(detections, objects, matches, 1), len(matches.num_objects)

    def reduction(weight: ImageWeights) -> list[dict[str, Value]]:
        return [summary.grouped_ap(curves.ap[:, :, 0], groups) for curves in _by_size(events, number, weight)]

    return reduction


def pooled(detections: Scored, objects: Objects, matches: Matches, groups: Mapping[str, Bools]) -> Reduction:
    """Pooled AP of weighted images, from the same detections as Fixed AP."""
    pools = pools_of(len(matches.num_objects), groups)
    events = by_pool(detections, objects, matches, list(pools.values()))

    def reduction(weight: ImageWeights) -> list[dict[str, Value]]:
        found = _weighted_curves(events, weight).ap
        return [{name: mean(one) for name, one in zip(pools, ap, strict=True)} for ap in found.transpose(2, 0, 1)]

    return reduction


def aligned_tide(points: Points, object_image: Ints, groups: Mapping[str, Bools]) -> Reduction:
    """AP50 and TIDE's gains (`aligned`) of weighted images: ``Cls``, ..., and by group ``r/Cls``, ...

    The error of a detection depends on its image alone, so it is the same however often the image is drawn.
    object_image: int32 [G].
    """
    curves = tide.fixed_curves(points)
    events = {name: by_fixed_curve(curve, points, object_image) for name, curve in curves.items()}
    false = of_false_positives(points)
    members = {"": np.ones(points.num_categories, bool), **{f"{name}/": member for name, member in groups.items()}}

    def reduction(weight: ImageWeights) -> list[dict[str, Value]]:
        found = {name: _weighted_curves(one, weight).ap[:, 0].T.copy() for name, one in events.items()}
        none_false = np.isnan(_weighted_curves(false, weight).ap[:, 0].T)
        left_empty = {name: np.isnan(ap) & ~np.isnan(found[tide.BASE]) for name, ap in found.items()}
        found = {name: np.where(left_empty[name], none_false, ap) for name, ap in found.items()}
        return [_gains({name: ap[lane] for name, ap in found.items()}, members) for lane in range(LANES)]

    return reduction


@dataclass(frozen=True, slots=True)
class _WeightedCurves:
    """AP and recall of K curves at T thresholds; NaN if none of a curve's objects is drawn."""

    ap: Floats
    """float64 [K, T, LANES] in [0, 1]."""
    recall: Floats
    """float64 [K, T, LANES] in [0, 1]."""


def _weighted_curves(events: CurveEvents, weight: ImageWeights) -> _WeightedCurves:
    """The curves of `LANES` resamples; image i occurs ``weight[i, l]`` times in the l-th (uint8 [I, LANES])."""
    ap, recall = np.empty((2, len(events.start) - 1, events.thresholds, LANES))
    engine.weighted_curves(
        events.start, events.image, events.hit, events.miss, events.false_start, events.false_image,
        events.object_start, events.object_image, weight, weight.view(np.uint64), ap, recall,
    )  # fmt: skip
    return _WeightedCurves(ap, recall)


def _gains(ap: Mapping[str, Floats], members: Mapping[str, Bools]) -> dict[str, Value]:
    found = {prefix: tide.gains(ap, tide.ALIGNED, member) for prefix, member in members.items()}
    return {
        f"{prefix}{name}": value
        for prefix, one in found.items()
        for name, value in {tide.BASE: one.AP50, **one.main, **one.special}.items()
    }


def _by_size(events: CurveEvents, categories: int, weight: ImageWeights) -> list[Curves]:
    """The curves of each lane, by threshold, category and area range."""
    found = _weighted_curves(events, weight)
    shape = (found.ap.shape[0] // max(categories, 1), categories, events.thresholds, LANES)
    # in memory by lane, area range, threshold and category, as the means go through them
    by_lane = [values.reshape(shape).transpose(3, 0, 2, 1).copy() for values in (found.ap, found.recall)]
    return [Curves(*lane) for lane in zip(*(values.transpose(0, 2, 3, 1) for values in by_lane), strict=True)]
