"""The best score thresholds of small scenes, and the same from their definition in plain loops."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from builders import Found, detections
from reliability_twins import Counted

from longtail_cli.evaluation.geometry import overlaps
from longtail_cli.evaluation.matching import match
from longtail_cli.evaluation.protocol import Protocol, objects_of
from longtail_cli.evaluation.selection import capped, in_order
from longtail_cli.evaluation.thresholds import thresholds
from longtail_cli.metrics import Thresholds
from longtail_cli.tables import Bools, GroundTruth


def result(
    found: Sequence[Found],
    truth: GroundTruth,
    groups: Mapping[str, Bools] | None = None,
    partial: Sequence[bool] | None = None,
    max_dets: int = 100,
) -> Thresholds:
    """The thresholds under COCO's rules. partial: detections that are ignored if unmatched."""
    protocol, seen = Protocol("coco", max_dets), detections(found)
    objects, number = objects_of(truth, protocol), len(truth.categories)
    pairs = overlaps(seen, truth, objects, "bbox", np.arange(len(seen)))
    unmatched = np.zeros(len(seen), bool) if partial is None else np.array(partial, bool)
    selection = capped(in_order(seen, None, number), seen, protocol.max_dets)
    matches = match(selection, pairs, objects, seen.category, seen.area, unmatched, number)
    return thresholds(seen, pairs, matches, truth.categories, groups or {})


class Tried(NamedTuple):
    """What a threshold keeps, and its metrics."""

    threshold: float
    precision: float
    recall: float
    f1: float
    lrp: float


def tried(found: Sequence[Counted], objects: int) -> list[Tried]:
    """Every score as a threshold, from high to low; objects: the number of ground truths, at least 1."""
    return [_tried(threshold, found, objects) for threshold in sorted({one.score for one in found}, reverse=True)]


def _tried(threshold: float, found: Sequence[Counted], objects: int) -> Tried:
    kept = [one for one in found if one.score >= threshold]
    true = [one for one in kept if one.hit]
    false, missed = len(kept) - len(true), objects - len(true)
    f1 = 2 * len(true) / (2 * len(true) + false + missed)
    error = sum((1 - one.iou) / (1 - 0.5) for one in true)
    lrp = (error + false + missed) / (len(true) + false + missed)
    return Tried(threshold, len(true) / len(kept), len(true) / objects, f1, lrp)
