"""The headline figures of many resamples of the images, from one set of matches."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from itertools import chain

import numpy as np

from longtail_cli.evaluate import summary, tide
from longtail_cli.evaluate.average_precision import Curves, mean, pools_of
from longtail_cli.evaluate.bootstrap.events import CurveEvents, by_case, by_category, by_pool, by_rank
from longtail_cli.evaluate.bootstrap.resampling import Draws, ImageWeights
from longtail_cli.evaluate.bootstrap.weighted_curves import LANES, weighted_curves
from longtail_cli.evaluate.geometry import THREADS, Overlaps
from longtail_cli.evaluate.matching import Matches
from longtail_cli.evaluate.protocol import AREA_NAMES, Objects, Protocol
from longtail_cli.tables import Bools, Detections, Floats

Resampled = dict[str, Floats]
"""The value of each figure in each resample: float64 [B] by name, NaN where it is undefined."""

Reduction = Callable[[ImageWeights], list[dict[str, float | None]]]
"""Takes the weights of the images in `LANES` resamples, uint8 [I, LANES]; gives the figures of each."""


def resampled(reduction: Reduction, draws: Draws) -> Resampled:
    """What `reduction` makes of each resample."""

    def lanes(first: int) -> list[dict[str, float | None]]:
        weight = np.zeros((draws.images, LANES), np.uint8)
        for lane in range(min(LANES, draws.resamples - first)):
            weight[:, lane] = draws.weight(first + lane)
        return reduction(weight)

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(chain.from_iterable(pool.map(lanes, range(0, draws.resamples, LANES))))
    return {name: np.array([one[name] for one in found[: draws.resamples]], np.float64) for name in found[0]}


def headline(
    detections: Detections, objects: Objects, matches: Matches, protocol: Protocol, groups: Mapping[str, Bools]
) -> Reduction:
    """AP, AP50, ... of weighted images, as `summary.headline` names and defines them."""
    events, number = by_category(detections, objects, matches), len(matches.num_objects)
    ranked = {rank: by_rank(detections, objects, matches, rank) for rank in summary.RANKS[protocol.name]}

    def reduction(weight: ImageWeights) -> list[dict[str, float | None]]:
        recalls = {rank: weighted_curves(one, weight).recall for rank, one in ranked.items()}
        return [
            summary.headline(curves, {rank: found[lane].T for rank, found in recalls.items()}, protocol, groups)
            for lane, curves in enumerate(_by_size(events, number, weight))
        ]

    return reduction


def fixed(detections: Detections, objects: Objects, matches: Matches, groups: Mapping[str, Bools]) -> Reduction:
    """Fixed AP of weighted images; which 10,000 detections a category keeps is settled on the whole set."""
    events, number = by_category(detections, objects, matches), len(matches.num_objects)

    def reduction(weight: ImageWeights) -> list[dict[str, float | None]]:
        return [summary.grouped_ap(curves.ap[:, :, 0], groups) for curves in _by_size(events, number, weight)]

    return reduction


def pooled(detections: Detections, objects: Objects, matches: Matches, groups: Mapping[str, Bools]) -> Reduction:
    """Pooled AP of weighted images, of the same detections as Fixed AP."""
    pools = pools_of(len(matches.num_objects), groups)
    events = by_pool(detections, objects, matches, list(pools.values()))

    def reduction(weight: ImageWeights) -> list[dict[str, float | None]]:
        found = weighted_curves(events, weight).ap
        return [{name: mean(one) for name, one in zip(pools, ap, strict=True)} for ap in found]

    return reduction


def aligned_tide(
    detections: Detections, pairs: Overlaps, objects: Objects, matches: Matches, groups: Mapping[str, Bools]
) -> Reduction:
    """AP50 and TIDE's gains (`aligned`) of weighted images: ``Cls``, ..., and by group ``r/Cls``, ...

    Which error a detection makes is settled in its image, so it is the same however often the image is drawn.
    """
    points = tide.aligned_points(detections, pairs, objects, matches)
    image = detections.image[matches.selection.row]
    events = {name: by_case(case, points, image, objects.image) for name, case in tide.fixed_curves(points).items()}
    members = {"": np.ones(points.num_categories, bool), **{f"{name}/": member for name, member in groups.items()}}

    def reduction(weight: ImageWeights) -> list[dict[str, float | None]]:
        found = {name: weighted_curves(one, weight).ap[:, :, 0] for name, one in events.items()}
        return [_gains({name: ap[lane] for name, ap in found.items()}, members) for lane in range(LANES)]

    return reduction


def _gains(ap: Mapping[str, Floats], members: Mapping[str, Bools]) -> dict[str, float | None]:
    found = {prefix: tide.reduce(ap, tide.ALIGNED, member) for prefix, member in members.items()}
    return {
        f"{prefix}{name}": value
        for prefix, one in found.items()
        for name, value in {tide.BASE: one.ap50, **one.main, **one.special}.items()
    }


def _by_size(events: CurveEvents, categories: int, weight: ImageWeights) -> list[Curves]:
    """The curves of each lane, by threshold, category and size range."""
    found = weighted_curves(events, weight)
    shape = (LANES, len(AREA_NAMES), categories, events.thresholds)
    ap, recall = (values.reshape(shape).transpose(0, 3, 2, 1) for values in (found.ap, found.recall))
    return [Curves(*lane) for lane in zip(ap, recall, strict=True)]
