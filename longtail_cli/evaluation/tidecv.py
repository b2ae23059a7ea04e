"""TIDE exactly as tidecv 1.0.1 computes it.

It differs from the LVIS and COCO protocols: one cap per image over all categories (300 for LVIS, 100 for COCO); a tie
in IoU goes to the first object; objects without area count; categories that an image does not judge, or not
exhaustively, are ignore regions, but their detections still make errors; a category with detections and no objects
counts as AP 0; precision without epsilon; negative gains of the main errors are clamped to 0.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longtail_cli.choices import ProtocolName
from longtail_cli.engine import tide as engine
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.matching import UNMATCHED
from longtail_cli.evaluation.protocol import DEFAULT_MAX_DETS, JUDGED, Objects, judgements
from longtail_cli.evaluation.selection import by_category, within_limits
from longtail_cli.evaluation.tide import FOREGROUND_IOU, Points, TideRules, break_down, choose_fixes, explain
from longtail_cli.metrics import Tide
from longtail_cli.tables import Bools, Detections, GroundTruth, Longs

TIDECV = TideRules("tidecv", np.arange(101) / 100, 0.0, same_categories=False, clamp=True)


def tidecv(
    detections: Detections, overlaps: Overlaps, objects: Objects, ground_truth: GroundTruth, protocol: ProtocolName,
    groups: Mapping[str, Bools],
) -> Tide:  # fmt: skip
    """The breakdown over all categories and each of `groups` (bool [C], by name).

    overlaps: of every detection, with objects of `objects_of` under the same protocol.
    """
    within = within_limits(detections, DEFAULT_MAX_DETS[protocol])
    row = np.arange(len(detections)) if within is None else np.flatnonzero(within)
    position = ground_truth.image_position[detections.image[row]]
    row = row[np.lexsort((-detections.score[row], position))]
    category, score = detections.category[row], detections.score[row]
    counts = ~objects.crowd
    taken, in_crowd, used = (
        np.full(len(row), UNMATCHED, np.int32),
        np.zeros(len(row), bool),
        np.zeros(len(objects), bool),
    )
    engine.first_fit(
        row, category, overlaps.start, overlaps.object, overlaps.iou, objects.category, objects.crowd, FOREGROUND_IOU,
        used, taken, in_crowd,
    )  # fmt: skip
    hit = taken != UNMATCHED
    ignored = ~hit & (_unjudged(detections, row, objects, ground_truth) if protocol == "lvis" else in_crowd)
    explained = explain(row, category, ~hit, overlaps, objects.category, counts, used)
    errors = choose_fixes(explained, row, score, counts, used)
    number = len(ground_truth.categories)
    before, start = by_category(category, score, None, number)
    after, _ = by_category(category, score, np.argsort(hit, kind="stable"), number)
    tie = np.arange(len(row)) + hit * len(row)
    points = Points(
        detections.image[row], category, hit, ~ignored, errors, score, tie, start, before, after, objects.category,
        counts, used & counts,
    )  # fmt: skip
    return break_down(points, TIDECV, groups)


def _unjudged(detections: Detections, row: Longs, objects: Objects, ground_truth: GroundTruth) -> Bools:
    """Whether the image of each detection has an ignore region for its category: bool [M]."""
    flags = judgements(ground_truth, objects, without_area=True)
    return np.asarray(flags[detections.image[row], detections.category[row]] != JUDGED)
