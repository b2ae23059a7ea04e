"""The events along precision-recall curves and their images, which is all that the bootstrap needs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.matching import Bits, Matches
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, Objects
from longtail_cli.evaluation.selection import Scored, sort_key
from longtail_cli.evaluation.tide import FixedCurve, Points
from longtail_cli.tables import Bools, Ints, Longs


@dataclass(frozen=True, slots=True)
class CurveEvents:
    """K curves at T thresholds, of categories, pools of them, or categories in an area range.

    An event is a detection that is a true positive at some threshold, or a false one at some and ignored at others.
    """

    start: Longs
    """int64 [K + 1]; curve k owns events ``start[k]:start[k + 1]``, best score first, up to its last hit: later ones
    change no metric."""
    image: Ints
    """int32 [E]."""
    hit: Bits
    """uint16 [E], bit t: a true positive at threshold t."""
    miss: Bits
    """uint16 [E], bit t: a false positive at threshold t. Neither bit is set if ignored."""
    false_start: Longs
    """int64 [E + 1], see `false_image`."""
    false_image: Ints
    """int32 [F]; the detections between event e - 1 and event e that are false positives at all thresholds are of
    images ``false_image[false_start[e]:false_start[e + 1]]``."""
    object_start: Longs
    """int64 [K + 1]; curve k owns objects ``object_start[k]:object_start[k + 1]``."""
    object_image: Ints
    """int32 [O], the image of each object that counts."""
    thresholds: int
    """T, 1 to 16."""


@dataclass(frozen=True, slots=True)
class CurveObjects:
    """The objects of K curves; `object_start` and `object_image` of `CurveEvents`."""

    start: Longs
    image: Ints

    @classmethod
    def of(cls, curve: Longs, image: Ints, number: int) -> CurveObjects:
        """Objects in any order; curve: int64 [O]."""
        order = np.argsort(curve, kind="stable")
        return cls(np.searchsorted(curve[order], np.arange(number + 1)), image[order])


def events_of(curve: Longs, image: Ints, hit: Bits, miss: Bits, objects: CurveObjects, thresholds: int) -> CurveEvents:
    """The events of M detections.

    curve: int64 [M], ascending. image, hit, miss: [M], within a curve best score first.
    """
    number = len(objects.start) - 1
    last_hit = np.zeros(number, np.int64)  # one past it
    hits = np.flatnonzero(hit)
    last_hit[curve[hits]] = hits + 1  # the last assignment to an index wins
    keep = (np.arange(len(curve)) < last_hit[curve]) & ((hit | miss) != 0)
    false = keep & (miss == (1 << thresholds) - 1)
    event = np.flatnonzero(keep & ~false)
    before = np.concatenate([[0], np.cumsum(false)])
    return CurveEvents(
        start=np.searchsorted(curve[event], np.arange(number + 1)),
        image=image[event],
        hit=hit[event],
        miss=miss[event],
        false_start=np.append(0, before[event]),
        false_image=image[false],
        object_start=objects.start,
        object_image=objects.image,
        thresholds=thresholds,
    )


def by_category(detections: Scored, objects: Objects, matches: Matches, areas: int) -> CurveEvents:
    """A curve for each of the first `areas` area ranges and each category, those of a range side by side."""
    row, number = matches.selection.row, len(matches.num_objects)
    category, image = detections.category[row].astype(np.int64), detections.image[row]
    hit, miss = _bits(matches)
    rows = [np.flatnonzero(hit[:, area] | miss[:, area]) for area in range(areas)]  # by category already
    area = _numbered(rows)
    event = np.concatenate(rows)
    object_area, known = np.nonzero(matches.counts.T[:areas])
    of_objects = CurveObjects.of(object_area * number + objects.category[known], objects.image[known], number * areas)
    return events_of(
        area * number + category[event], image[event], hit[event, area], miss[event, area], of_objects,
        len(IOU_THRESHOLDS),
    )  # fmt: skip


def by_rank(detections: Scored, objects: Objects, matches: Matches, max_rank: int) -> CurveEvents:
    """A curve for each category over all sizes, with only the hits among the `max_rank` best of an image and category.

    Only its recall is meaningful. Raises ValueError under LVIS, which has no ranks.
    """
    row, rank = matches.selection.row, matches.selection.rank
    if rank is None:
        raise ValueError("ranks exist only under COCO")
    event = np.flatnonzero((rank < max_rank) & (matches.true_positive[:, 0] != 0))
    known = np.flatnonzero(matches.counts[:, 0])
    of_objects = CurveObjects.of(
        objects.category[known].astype(np.int64), objects.image[known], len(matches.num_objects)
    )
    hit = matches.true_positive[event, 0]
    return events_of(
        detections.category[row[event]].astype(np.int64), detections.image[row[event]], hit, np.zeros_like(hit),
        of_objects, len(IOU_THRESHOLDS),
    )  # fmt: skip


def by_pool(detections: Scored, objects: Objects, matches: Matches, pools: list[Bools]) -> CurveEvents:
    """A curve over all sizes for each of `pools` (bool [C]), with its categories together."""
    row = matches.selection.row
    order = np.lexsort((detections.category[row], detections.image[row], -detections.score[row]))
    inside = [order[pool[detections.category[row[order]]]] for pool in pools]
    known = np.flatnonzero(matches.counts[:, 0])
    members = [known[pool[objects.category[known]]] for pool in pools]
    of_objects = CurveObjects.of(_numbered(members), objects.image[np.concatenate(members)], len(pools))
    hit, miss = _bits(matches)
    event = np.concatenate(inside)
    return events_of(
        _numbered(inside), detections.image[row[event]], hit[event, 0], miss[event, 0], of_objects, len(IOU_THRESHOLDS)
    )


def by_fixed_curve(curve: FixedCurve, points: Points, object_image: Ints) -> CurveEvents:
    """A curve for each category at one threshold, as fixed by TIDE. object_image: int32 [G]."""
    row = curve.order[curve.keep[curve.order]]
    category = curve.category[row]
    row = row[np.argsort(sort_key(category), kind="stable")]
    known = np.flatnonzero(curve.objects)
    of_objects = CurveObjects.of(
        points.object_category[known].astype(np.int64), object_image[known], points.num_categories
    )
    hit = curve.hit[row].astype(np.uint16)
    return events_of(curve.category[row].astype(np.int64), points.image[row], hit, 1 - hit, of_objects, 1)


def of_false_positives(points: Points) -> CurveEvents:
    """A curve for each category without detections, whose objects are the images with a false positive of it.

    So it is undefined exactly where no false positive is drawn.
    """
    false = np.flatnonzero(points.shown & ~points.hit)
    held = np.zeros((points.num_categories, int(points.image.max(initial=-1)) + 1), bool)
    held[points.category[false], points.image[false]] = True
    category, holding = np.nonzero(held)
    nothing, no_bits = np.zeros(0, np.int32), np.zeros(0, np.uint16)
    objects = CurveObjects.of(category, holding.astype(np.int32), points.num_categories)
    return events_of(nothing.astype(np.int64), nothing, no_bits, no_bits, objects, 1)


def _bits(matches: Matches) -> tuple[Bits, Bits]:
    every = np.uint16((1 << len(IOU_THRESHOLDS)) - 1)
    return matches.true_positive, ~(matches.true_positive | matches.ignored) & every


def _numbered(parts: list[npt.NDArray[np.int64]]) -> Longs:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
