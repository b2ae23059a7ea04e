"""What a bootstrap needs of the matches, and no more: the events along precision-recall curves, and their images."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate.matching import Bits, Matches
from longtail_cli.evaluate.protocol import AREA_NAMES, IOU_THRESHOLDS, Objects
from longtail_cli.evaluate.selection import sort_key
from longtail_cli.evaluate.tide import FixedCurve, Points
from longtail_cli.tables import Bools, Detections, Ints, Longs


@dataclass(frozen=True, slots=True)
class CurveEvents:
    """K curves at T thresholds, of categories, pools of them, or categories in a size range.

    start: int64 [K + 1]; curve k owns events ``start[k]:start[k + 1]``, best score first, up to its last hit: what
        comes after moves no figure. An event is a detection that is a true positive at some threshold, or a false one
        at some and ignored at others.
    image: int32 [E]. hit, miss: uint16 [E], bit t: a true or a false positive at threshold t; neither where ignored.
    false_start: int64 [E + 1]. false_image: int32 [F]; the detections that stand before event e and after the one
        before it, false positives at all thresholds, are of images ``false_image[false_start[e]:false_start[e + 1]]``.
    object_start: int64 [K + 1]. object_image: int32 [O], the image of each object of the curve that counts.
    thresholds: T, 1 to 16.
    """

    start: Longs
    image: Ints
    hit: Bits
    miss: Bits
    false_start: Longs
    false_image: Ints
    object_start: Longs
    object_image: Ints
    thresholds: int


@dataclass(frozen=True, slots=True)
class CurveObjects:
    """start: int64 [K + 1]. image: int32 [O], see `CurveEvents`."""

    start: Longs
    image: Ints

    @classmethod
    def of(cls, curve: Longs, image: Ints, number: int) -> CurveObjects:
        """Objects in any order; curve: int64 [O]."""
        order = np.argsort(curve, kind="stable")
        return cls(np.searchsorted(curve[order], np.arange(number + 1)), image[order])


def events_of(curve: Longs, image: Ints, hit: Bits, miss: Bits, objects: CurveObjects, thresholds: int) -> CurveEvents:
    """Events in the order of their curves.

    curve: int64 [M], ascending. image, hit, miss: [M], within a curve best score first.
    """
    number = len(objects.start) - 1
    last_hit = np.zeros(number, np.int64)  # one past it
    hits = np.flatnonzero(hit)
    last_hit[curve[hits]] = hits + 1  # of several the last stays
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


def by_category(detections: Detections, objects: Objects, matches: Matches) -> CurveEvents:
    """A curve for each size range and category, categories of one range side by side: K = 4 C."""
    row, number = matches.selection.row, len(matches.num_objects)
    category, image = detections.category[row].astype(np.int64), detections.image[row]
    hit, miss = _bits(matches)
    rows = [np.flatnonzero(hit[:, area] | miss[:, area]) for area in range(len(AREA_NAMES))]  # by category already
    area = _numbered(rows)
    event = np.concatenate(rows)
    object_area, known = np.nonzero(matches.counts.T)
    of_objects = CurveObjects.of(
        object_area * number + objects.category[known], objects.image[known], number * len(AREA_NAMES)
    )
    return events_of(
        area * number + category[event], image[event], hit[event, area], miss[event, area], of_objects,
        len(IOU_THRESHOLDS),
    )  # fmt: skip


def by_rank(detections: Detections, objects: Objects, matches: Matches, max_rank: int) -> CurveEvents:
    """A curve for each category over all sizes, with the hits among the `max_rank` best of an image and category alone.

    Only its recall means anything. Raises ValueError under LVIS, which knows no ranks.
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


def by_pool(detections: Detections, objects: Objects, matches: Matches, pools: list[Bools]) -> CurveEvents:
    """A curve over all sizes for each of `pools` (bool [C]), its categories together."""
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


def by_case(case: FixedCurve, points: Points, image: Ints, object_image: Ints) -> CurveEvents:
    """A curve for each category at one threshold, as TIDE mends it.

    image: int32 [M], of the detections of `points`. object_image: int32 [G].
    """
    row = case.order[case.keep[case.order]]
    category = case.category[row]
    row = row[np.argsort(sort_key(category), kind="stable")]
    known = np.flatnonzero(case.objects)
    of_objects = CurveObjects.of(
        points.object_category[known].astype(np.int64), object_image[known], points.num_categories
    )
    hit = case.hit[row].astype(np.uint16)
    return events_of(case.category[row].astype(np.int64), image[row], hit, 1 - hit, of_objects, 1)


def _bits(matches: Matches) -> tuple[Bits, Bits]:
    every = np.uint16((1 << len(IOU_THRESHOLDS)) - 1)
    return matches.true_positive, ~(matches.true_positive | matches.ignored) & every


def _numbered(parts: list[npt.NDArray[np.int64]]) -> Longs:
    return np.repeat(np.arange(len(parts)), [len(part) for part in parts])
