"""TIDE exactly as tidecv 1.0.1 computes it.

It differs from the LVIS and COCO protocols: one cap per image over all categories (300 for LVIS, 100 for COCO); a tie
in IoU goes to the first object; objects without area count; categories that an image does not judge, or not
exhaustively, are ignore regions, but their detections still make errors; a category with detections and no objects
counts as AP 0; precision without epsilon; negative gains of the main errors are clamped to 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numba
import numpy as np

from longtail_cli.choices import ProtocolName
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.matching import UNMATCHED
from longtail_cli.evaluation.protocol import DEFAULT_MAX_DETS, JUDGED, Objects, judgements
from longtail_cli.evaluation.selection import best_per_image
from longtail_cli.evaluation.tide import FOREGROUND_IOU, Points, TideRules, assign, break_down
from longtail_cli.metrics import Tide
from longtail_cli.tables import Bools, Detections, Floats, GroundTruth, Ints, Longs

TIDECV = TideRules("tidecv", np.arange(101) / 100, 0.0, empty_counts=True, clamp=True)


def tidecv(
    detections: Detections, overlaps: Overlaps, objects: Objects, ground_truth: GroundTruth, protocol: ProtocolName,
    groups: Mapping[str, Bools],
) -> Tide:  # fmt: skip
    """The breakdown over all categories and each of `groups` (bool [C], by name).

    overlaps: of every detection, with objects of `objects_of` under the same protocol.
    """
    row = np.flatnonzero(best_per_image(detections, DEFAULT_MAX_DETS[protocol]))
    position = ground_truth.image_position[detections.image[row]]
    row = row[np.lexsort((-detections.score[row], position))]
    category, score = detections.category[row], detections.score[row]
    counts = ~objects.crowd
    taken, in_crowd = _first_fit(
        row, category, overlaps.start, overlaps.object, overlaps.iou, objects.category, objects.crowd
    )
    hit = taken != UNMATCHED
    ignored = ~hit & (_unjudged(detections, row, objects, ground_truth) if protocol == "lvis" else in_crowd)
    used = np.zeros(len(objects), bool)
    used[taken[hit]] = True
    errors = assign(row, category, score, ~hit, overlaps, objects.category, counts, used)
    before = np.argsort(-score, kind="stable")
    after = np.lexsort((hit, -score))
    number = len(ground_truth.categories)
    points = Points(category, hit, ~ignored, errors, before, after, objects.category, counts, used & counts, number)
    return break_down(points, TIDECV, groups)


def _unjudged(detections: Detections, row: Longs, objects: Objects, ground_truth: GroundTruth) -> Bools:
    """Whether the image of each detection has an ignore region for its category: bool [M]."""
    flags = judgements(ground_truth, objects, without_area=True)
    return np.asarray(flags[detections.image[row], detections.category[row]] != JUDGED)


@numba.njit(cache=True, nogil=True)
def _first_fit(
    row: Longs, category: Ints, pair_start: Longs, pair_object: Ints, pair_iou: Floats, object_category: Ints,
    crowd: Bools,
) -> tuple[Ints, Bools]:  # fmt: skip
    """The object each detection takes (int32 [M], or `UNMATCHED`), and whether a crowd region of its class holds it."""
    taken = np.full(len(row), UNMATCHED, np.int32)
    in_crowd = np.zeros(len(row), np.bool_)
    used = np.zeros(len(object_category), np.bool_)
    for m in range(len(row)):
        best, best_iou = UNMATCHED, 0.0
        for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
            g = pair_object[pair]
            if object_category[g] != category[m]:
                continue
            if crowd[g]:
                in_crowd[m] |= pair_iou[pair] > FOREGROUND_IOU
            elif not used[g] and pair_iou[pair] > best_iou:
                best, best_iou = g, pair_iou[pair]
        if best_iou >= FOREGROUND_IOU:
            taken[m] = best
            used[best] = True
    return taken, in_crowd
