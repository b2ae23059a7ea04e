"""The metrics of many resamples of the images, from one set of matches.

Matching needs no weights, as no two images share an object. An image that is drawn twice counts its objects and
detections twice, and copies of a detection are adjacent, so the curve of a resample is that of the weighted matches.

The metrics of categories take two steps: the weighted curves of each category, which need its rows alone, and the
metrics, which need the curves of all categories.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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

LaneCurves = Mapping[str, Floats]
"""float64 [R, C, T, LANES] by name: AP or recall in R area ranges, of C categories, at T thresholds; NaN if none of the
objects of a curve is drawn."""

Weighted = Callable[[ImageWeights], LaneCurves]
"""Takes the weights of the images in `LANES` resamples, uint8 [I, LANES]; returns the curves of each."""

AP, RECALL, NONE_FALSE = "AP", "AR", "NoFalse"  # names of curves


def headline(
    detections: Scored, objects: Objects, matches: Matches, protocol: Protocol, groups: Mapping[str, Bools],
    *, sizes: bool = True,
) -> Reduction:  # fmt: skip
    """AP, AP50, ... of weighted images, by the names and definitions of `summary.headline`.

    sizes: whether to compute those by object size, which take most of the time.
    """
    weighted = headline_curves(detections, objects, matches, protocol, sizes=sizes)
    return lambda weight: headline_values(weighted(weight), protocol, groups)


def headline_curves(
    detections: Scored, objects: Objects, matches: Matches, protocol: Protocol, *, sizes: bool
) -> Weighted:
    """The first step of `headline`: AP and recall, and the recall with the best few of each image and category."""
    areas, number = len(AREA_NAMES) if sizes else 1, len(matches.num_objects)
    events = by_category(detections, objects, matches, areas)
    ranked = {rank: by_rank(detections, objects, matches, rank) for rank in summary.RANKS[protocol.name]}

    def weighted(weight: ImageWeights) -> LaneCurves:
        found = _weighted_curves(events, weight)
        recalls = {recall_name(rank): _weighted_curves(one, weight).recall for rank, one in ranked.items()}
        return {name: _by_area(one, number) for name, one in {AP: found.ap, RECALL: found.recall, **recalls}.items()}

    return weighted


def headline_values(found: LaneCurves, protocol: Protocol, groups: Mapping[str, Bools]) -> list[dict[str, Value]]:
    """The second step of `headline`."""
    recalls = {rank: found[recall_name(rank)][0].transpose(2, 1, 0) for rank in summary.RANKS[protocol.name]}
    lanes = map(Curves, _by_lane(found[AP]), _by_lane(found[RECALL]))
    return [
        summary.headline(curves, {rank: recall[lane] for rank, recall in recalls.items()}, protocol, groups)
        for lane, curves in enumerate(lanes)
    ]


def fixed(detections: Scored, objects: Objects, matches: Matches, groups: Mapping[str, Bools]) -> Reduction:
    """Fixed AP of weighted images; the 10,000 detections of a category are chosen on the whole set."""
    weighted = fixed_curves(detections, objects, matches)
    return lambda weight: fixed_values(weighted(weight), groups)


def fixed_curves(detections: Scored, objects: Objects, matches: Matches) -> Weighted:
    """The first step of `fixed`."""
    events, number = by_category(detections, objects, matches, 1), len(matches.num_objects)
    return lambda weight: {AP: _by_area(_weighted_curves(events, weight).ap, number)}


def fixed_values(found: LaneCurves, groups: Mapping[str, Bools]) -> list[dict[str, Value]]:
    """The second step of `fixed`."""
    return [summary.grouped_ap(ap[:, :, 0], groups) for ap in _by_lane(found[AP])]


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
    weighted = tide_curves(points, object_image)
    return lambda weight: tide_values(weighted(weight), groups)


def tide_curves(points: Points, object_image: Ints) -> Weighted:
    """The first step of `aligned_tide`: AP50 with each kind of error fixed; `NONE_FALSE` is only NaN or not."""
    curves = tide.fixed_curves(points)
    events = {name: by_fixed_curve(curve, points, object_image) for name, curve in curves.items()}
    events[NONE_FALSE] = of_false_positives(points)
    number = points.num_categories
    return lambda weight: {name: _by_area(_weighted_curves(one, weight).ap, number) for name, one in events.items()}


def tide_values(found: LaneCurves, groups: Mapping[str, Bools]) -> list[dict[str, Value]]:
    """The second step of `aligned_tide`."""
    every = np.ones(found[tide.BASE].shape[1], bool)
    members = {"": every, **{f"{name}/": member for name, member in groups.items()}}
    lanes = {name: one[0, :, 0].T.copy() for name, one in found.items()}
    none_false = np.isnan(lanes.pop(NONE_FALSE))
    emptied = {name: np.isnan(ap) & ~np.isnan(lanes[tide.BASE]) for name, ap in lanes.items()}
    lanes = {name: np.where(emptied[name], none_false, ap) for name, ap in lanes.items()}
    return [_gains({name: ap[lane] for name, ap in lanes.items()}, members) for lane in range(LANES)]


@dataclass(frozen=True, slots=True)
class WeightedCurves:
    """AP and recall of K curves at T thresholds; NaN if none of a curve's objects is drawn."""

    ap: Floats
    """float64 [K, T, LANES] in [0, 1]."""
    recall: Floats
    """float64 [K, T, LANES] in [0, 1]."""


def _weighted_curves(events: CurveEvents, weight: ImageWeights) -> WeightedCurves:
    """The curves of `LANES` resamples; image i occurs ``weight[i, l]`` times in the l-th (uint8 [I, LANES])."""
    ap, recall = np.empty((2, len(events.start) - 1, events.thresholds, LANES))
    engine.weighted_curves(
        events.start, events.image, events.hit, events.miss, events.false_start, events.false_image,
        events.object_start, events.object_image, weight, weight.view(np.uint64), ap, recall,
    )  # fmt: skip
    return WeightedCurves(ap, recall)


def _gains(ap: Mapping[str, Floats], members: Mapping[str, Bools]) -> dict[str, Value]:
    found = {prefix: tide.gains(ap, tide.ALIGNED, member) for prefix, member in members.items()}
    return {
        f"{prefix}{name}": value
        for prefix, one in found.items()
        for name, value in {tide.BASE: one.AP50, **one.main, **one.special}.items()
    }


def _by_area(curves: Floats, categories: int) -> Floats:
    """float64 [R, C, T, LANES] of [R * C, T, LANES]."""
    number, thresholds, lanes = curves.shape
    return curves.reshape(number // max(categories, 1), categories, thresholds, lanes)


def _by_lane(curves: Floats) -> Floats:
    """float64 [LANES, T, C, R] of [R, C, T, LANES], in memory by lane, R, T and C, as the means go through them."""
    return curves.transpose(3, 0, 2, 1).copy().transpose(0, 2, 3, 1)


def recall_name(rank: int) -> str:
    """The name of the recall with the `rank` best detections of each image and category."""
    return f"{RECALL}@{rank}"
