"""The calibration errors of detections in plain loops: matching, bins and means, each written from its definition."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

from builders import Found, Object

BINS = 25


class Counted(NamedTuple):
    """A detection that counts: a true positive with its IoU, or a false positive."""

    score: float
    hit: bool
    iou: float


def counted(
    found: Sequence[Found], objects: Sequence[Object], crowd: Sequence[bool], partial: Sequence[bool], max_dets: int
) -> dict[int, list[Counted]]:
    """The detections that count under COCO's rules, by category. partial: detections that are ignored if unmatched."""
    result: dict[int, list[Counted]] = {}
    for image, category in sorted({entry[:2] for entry in found}):
        there = [g for g, entry in enumerate(objects) if entry[:2] == (image, category)]
        mine = [n for n, entry in enumerate(found) if entry[:2] == (image, category)]
        free = set(there)
        for n in sorted(mine, key=lambda n: -found[n][2])[:max_dets]:
            iou = {g: overlap(found[n][3], objects[g][2], crowd[g]) for g in there if g in free or crowd[g]}
            fits = [g for g in iou if iou[g] >= 0.5]
            best = max(fits, key=lambda g: (not crowd[g], iou[g], g), default=None)
            free.discard(best)
            if best is not None and not crowd[best]:
                result.setdefault(category, []).append(Counted(found[n][2], True, iou[best]))
            elif best is None and not partial[n]:
                result.setdefault(category, []).append(Counted(found[n][2], False, 0.0))
    return result


def overlap(a: Sequence[float], b: Sequence[float], crowd: bool) -> float:
    """Intersection over union of two boxes xywh; over the area of the first if the second is a crowd region."""
    width = min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0])
    height = min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1])
    if width <= 0 or height <= 0:
        return 0.0
    own, other, shared = a[2] * a[3], b[2] * b[3], width * height
    return shared / (own if crowd else own + other - shared)


def errors(detections: Sequence[Counted]) -> dict[str, float | None]:
    """D-ECE and LaECE of the detections of one category; None without detections."""
    result = {"D-ECE": 0.0, "LaECE": 0.0}
    for inside in split(detections):
        if inside:
            one, share = table_row(inside), len(inside) / len(detections)
            result["D-ECE"] += share * abs(one["confidence"] - one["precision"])
            result["LaECE"] += share * abs(one["confidence"] - one["precision"] * (one["iou"] or 0.0))
    return dict(result) if detections else dict.fromkeys(result)


def split(detections: Sequence[Counted]) -> list[list[Counted]]:
    """The detections of each bin: above its lower edge and not above its upper one; 0 goes into the first."""
    edges = [k / BINS for k in range(BINS + 1)]
    return [
        [one for one in detections if edges[k] < one.score <= edges[k + 1] or (k == 0 and one.score == 0)]
        for k in range(BINS)
    ]


def table_row(inside: Sequence[Counted]) -> dict[str, Any]:
    return {
        "count": len(inside),
        "confidence": average([one.score for one in inside]),
        "precision": average([one.hit for one in inside]),
        "iou": average([one.iou for one in inside if one.hit]),
    }


def average(values: Sequence[float | None]) -> float | None:
    """The mean of the defined values, None if all are undefined."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if defined else None
