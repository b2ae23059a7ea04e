"""The score thresholds at which a detector works best: those of the greatest F1, and of the least LRP.

A threshold keeps every detection with at least its score, so equal scores are kept or dropped together. Of the
detections that it keeps TP are true and FP false positives at IoU tau = 0.5, and G - TP of the G ground truths are
missed. Ignored detections count as neither::

    F1 = 2 TP / (2 TP + FP + (G - TP)) = 2 TP / (TP + FP + G)
    LRP = (sum of (1 - IoU) / (1 - tau) over the true positives + FP + (G - TP)) / (FP + G)

LRP is the error of Oksuz et al., "Localization Recall Precision (LRP): A New Performance Metric for Object Detection"
(ECCV 2018) and "One Metric to Measure Them All: Localisation Recall Precision (LRP) for Evaluating Visual Detection
Tasks" (TPAMI 2021), in the form of their code (kemaloksuz/LRP-Error); its least value over all thresholds is the
optimal LRP. Both metrics lie in [0, 1].

False positives below the last true positive that is kept make both worse or equal, so only the scores of true positives
are tried. Of equally good thresholds the highest is taken.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from longtail_cli.evaluation.geometry import Overlaps, rows_of
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS
from longtail_cli.evaluation.selection import Scored
from longtail_cli.metrics import CategoryThresholds, OperatingPoint, Thresholds, Value
from longtail_cli.parallel import take
from longtail_cli.tables import Bools, Categories, Floats, Longs

TAU = float(IOU_THRESHOLDS[0])
"""The minimum IoU of a true positive."""


FalseAbove = Callable[[Floats], Longs]
"""Takes thresholds, float64 [T], from high to low; returns how many false positives reach each of them, int64 [T]."""

CategoryPoints = tuple[int, int, OperatingPoint, OperatingPoint]
"""Of a category: ground truths, detections that count, and the points of F1 and LRP."""


def thresholds(
    detections: Scored, pairs: Overlaps, matches: Matches, categories: Categories, groups: Mapping[str, Bools]
) -> Thresholds:
    """The best thresholds of each category, and of all categories together.

    pairs: the overlaps that were matched. groups: bool [C] by name. All categories together include the false
    positives of categories without ground truth, as pooled AP does.
    """
    counted = _counted(detections, pairs, matches)
    together = _best(counted.hit, np.sort(counted.miss), counted.gap, int(counted.objects.sum()))
    return described([_of_category(counted, c) for c in range(len(categories))], together, categories, groups)


def of_categories(detections: Scored, pairs: Overlaps, matches: Matches) -> list[CategoryPoints]:
    """The best thresholds of each category of `matches`, see `thresholds`."""
    counted = _counted(detections, pairs, matches)
    return [_of_category(counted, c) for c in range(len(counted.objects))]


def described(
    points: Sequence[CategoryPoints], together: tuple[OperatingPoint, OperatingPoint], categories: Categories,
    groups: Mapping[str, Bools],
) -> Thresholds:  # fmt: skip
    """The best thresholds. points: of each category. together: of F1 and of LRP, over all. groups: bool [C] by name."""
    group = {c: name for name, member in groups.items() for c in np.flatnonzero(member).tolist()}
    rows = tuple(
        CategoryThresholds(key, name, group.get(c), *points[c])
        for c, (key, name) in enumerate(zip(categories.id.tolist(), categories.name, strict=True))
    )
    defined = [row for row in rows if row.ground_truths]
    return Thresholds(TAU, *together, _mean([row.f1 for row in defined]), _mean([row.lrp for row in defined]), rows)


def best_f1(score: Floats, true: Bools, false: Bools, objects: int) -> OperatingPoint:
    """The score threshold with the greatest F1 over M detections in any order; of equal F1 the highest threshold.

    score: float64 [M]. true, false: bool [M], true and false positives at IoU 0.5; a detection that is neither is
    ignored. objects: ground truths that count. Without true positives there is no threshold: F1 is 0, or None if
    `objects` is 0.
    """
    hit, miss = score[true], np.sort(score[false])
    return _best(hit, miss, np.zeros(len(hit)), objects)[0]


@dataclass(frozen=True, slots=True)
class _Counted:
    """The detections that count, by category, and within one from high to low score."""

    hit: Floats
    """float64 [H], scores of true positives."""
    gap: Floats
    """float64 [H], their 1 - IoU."""
    miss: Floats
    """float64 [F], scores of false positives."""
    hit_start: Longs
    """int64 [C + 1]; category c owns ``hit[hit_start[c]:hit_start[c + 1]]``, as for `miss_start`."""
    miss_start: Longs
    objects: Longs
    """int64 [C], ground truths."""


def _counted(detections: Scored, pairs: Overlaps, matches: Matches) -> _Counted:
    start, score = matches.selection.start, take(detections.score, matches.selection.row)
    true = (matches.true_positive[:, 0] & 1).astype(bool)
    false = ~true & ((matches.ignored[:, 0] & 1) == 0)
    hits, misses = np.flatnonzero(true), np.flatnonzero(false)
    return _Counted(
        hit=score[hits],
        gap=1 - _matched_iou(pairs, matches, hits),
        miss=score[misses],
        hit_start=np.searchsorted(hits, start),
        miss_start=np.searchsorted(misses, start),
        objects=matches.num_objects[:, 0],
    )


def _matched_iou(pairs: Overlaps, matches: Matches, hits: Longs) -> Floats:
    """The IoU of true positives with the objects they are matched to: float64 [H]. hits: their positions, int64 [H]."""
    own = rows_of(pairs, matches.selection.row[hits])
    iou: Floats = own.iou[own.object == np.repeat(matches.taken[hits], np.diff(own.start))]
    return iou


def _of_category(counted: _Counted, c: int) -> CategoryPoints:
    own, wrong = slice(*counted.hit_start[c : c + 2]), slice(*counted.miss_start[c : c + 2])
    hit, miss, objects = counted.hit[own], counted.miss[wrong], int(counted.objects[c])
    return objects, len(hit) + len(miss), *_best(hit, miss[::-1], counted.gap[own], objects)


@dataclass(frozen=True, slots=True)
class _Kept:
    """What each of T thresholds keeps: the different scores of true positives, from high to low."""

    threshold: Floats
    """float64 [T]."""
    true: Longs
    """int64 [T], true positives."""
    false: Longs
    """int64 [T], false positives."""
    gap: Floats
    """float64 [T], sum of 1 - IoU over the true positives."""


def _kept(hit: Floats, gap: Floats, false_above: FalseAbove) -> _Kept:
    """What the scores of H >= 1 true positives keep, as thresholds. hit, gap: float64 [H], see `best_points`."""
    order = np.argsort(-hit, kind="stable")
    falling = hit[order]
    last = np.flatnonzero(np.append(falling[1:] != falling[:-1], True))
    threshold = falling[last]
    return _Kept(threshold, last + 1, false_above(threshold), np.cumsum(gap[order])[last])


def _best(hit: Floats, miss: Floats, gap: Floats, objects: int) -> tuple[OperatingPoint, OperatingPoint]:
    """As `best_points`. miss: float64 [F], scores of false positives, from low to high."""
    return best_points(hit, gap, lambda threshold: len(miss) - np.searchsorted(miss, threshold), len(miss), objects)


def best_points(
    hit: Floats, gap: Floats, false_above: FalseAbove, false: int, objects: int
) -> tuple[OperatingPoint, OperatingPoint]:
    """The points of F1 and of LRP.

    hit, gap: float64 [H], scores of true positives and their 1 - IoU. false: the number of false positives. objects: G.
    """
    if not len(hit):
        return _nothing_found(false, objects, 0.0), _nothing_found(false, objects, 1.0)
    kept = _kept(hit, gap, false_above)
    return _best_f1(kept, objects), _best_lrp(kept, objects)


def _best_f1(kept: _Kept, objects: int) -> OperatingPoint:
    f1 = 2 * kept.true / (kept.true + kept.false + objects)
    best = int(f1.argmax())
    return OperatingPoint(*_rates(kept, best, objects), float(f1[best]))


def _best_lrp(kept: _Kept, objects: int) -> OperatingPoint:
    missed = objects - kept.true
    lrp = (kept.gap / (1 - TAU) + kept.false + missed) / (kept.false + objects)
    best = int(lrp.argmin())
    return OperatingPoint(*_rates(kept, best, objects), float(lrp[best]), float(kept.gap[best] / kept.true[best]))


def _rates(kept: _Kept, best: int, objects: int) -> tuple[float, float, float]:
    """The threshold, its precision and its recall."""
    true, false = int(kept.true[best]), int(kept.false[best])
    return float(kept.threshold[best]), true / (true + false), true / objects


def _nothing_found(detections: int, objects: int, value: float) -> OperatingPoint:
    """The point without true positives. value: the metric at every threshold, if it is defined."""
    if not objects:
        return OperatingPoint(None, None, None, None, reason="no ground truth")
    return OperatingPoint(None, None, 0.0, value, reason="no true positives" if detections else "no detections")


def _mean(points: Sequence[OperatingPoint]) -> OperatingPoint:
    def mean(name: str) -> Value:
        known = [value for one in points if (value := getattr(one, name)) is not None]
        return float(np.mean(known)) if known else None

    return OperatingPoint(
        None,
        mean("precision"),
        mean("recall"),
        mean("value"),
        mean("localisation"),
        "one per category" if points else "no ground truth",
    )
