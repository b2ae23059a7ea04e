"""Average precision and recall: reductions over the matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np

from longtail_cli.evaluation.matching import Bits, Matches
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, RECALL_THRESHOLDS
from longtail_cli.metrics import Value
from longtail_cli.tables import Bools, Detections, Floats, Longs

EPSILON = float(np.spacing(1))
"""Added to the denominator of precision by the official code; part of the protocol."""


@dataclass(frozen=True, slots=True)
class Curves:
    """Average precision and final recall by IoU threshold, category and area range; NaN without objects that count."""

    ap: Floats
    """float64 [10, C, 4] in [0, 1], mean of the interpolated precision at 101 recalls."""
    recall: Floats
    """float64 [10, C, 4] in [0, 1], share of the objects found."""


def curves(matches: Matches) -> Curves:
    """Reduce the matches to AP and recall for each threshold, category and area range.

    Interpolated precision at recall r is the greatest precision at any recall >= r (lvis 0.5.3 and pycocotools
    2.0.11, ``accumulate``). A category without objects that count is undefined; one without detections has AP 0.
    """
    ap, recall = _curves(
        matches.selection.start, matches.true_positive, matches.ignored, matches.num_objects,
        RECALL_THRESHOLDS, len(IOU_THRESHOLDS),
    )  # fmt: skip
    return Curves(ap, recall)


def recall_at(matches: Matches, max_rank: int) -> Floats:
    """Recall over all sizes with only the `max_rank` best detections of each image and category: float64 [10, C].

    NaN without objects that count. Raises ValueError under LVIS. For COCO's AR@1 and AR@10.
    """
    selection = matches.selection
    if selection.rank is None:
        raise ValueError("ranks exist only under COCO")
    within = selection.rank < max_rank
    hits = (matches.true_positive[:, :1] >> np.arange(len(IOU_THRESHOLDS), dtype=np.uint16)) & 1
    total = np.concatenate([np.zeros((1, hits.shape[1]), np.int64), np.cumsum(hits * within[:, None], axis=0)])
    found = np.diff(total[selection.start], axis=0)
    return np.asarray((found / _or_nan(matches.num_objects[:, :1])).T)


def single_curve(start: Longs, true_positive: Bools, num_objects: Longs, recalls: Floats, epsilon: float) -> Floats:
    """AP of each category at one threshold: float64 [C], 0 without objects.

    start: int64 [C + 1], by category. true_positive: bool [M], within a category best score first; False is a false
    positive. num_objects: int64 [C]. recalls: float64 [101]. epsilon: added to the denominator of precision.
    """
    return np.asarray(_single(start, true_positive, num_objects, recalls, epsilon))


def _or_nan(count: Longs) -> Floats:
    return np.where(count > 0, count, np.nan)


@numba.njit(cache=True, nogil=True)
def _interpolated(precision: Floats, found: int, number: int, recalls: Floats) -> float:
    """Mean interpolated precision; `precision[k]` is the precision at the (k + 1)-th of `found` hits.

    number: of objects. Between hits precision only falls, so its maximum to the right is reached at a hit.
    """
    for k in range(found - 1, 0, -1):
        precision[k - 1] = max(precision[k - 1], precision[k])
    total = 0.0
    k = 0
    for recall in recalls:
        while k < found and (k + 1) / number < recall:
            k += 1
        if k == found:
            break
        total += precision[k]
    return total / len(recalls)


@numba.njit(cache=True, nogil=True)
def _curves(
    start: Longs, true_positive: Bits, ignored: Bits, num_objects: Longs, recalls: Floats, num_thresholds: int
) -> tuple[Floats, Floats]:
    num_categories, num_areas = num_objects.shape
    every = (1 << num_thresholds) - 1
    ap = np.full((num_thresholds, num_categories, num_areas), np.nan)
    recall = np.full((num_thresholds, num_categories, num_areas), np.nan)
    precision = np.empty((num_thresholds, max(num_objects.max(), 1) if num_objects.size else 1))
    for c in range(num_categories):
        for a in range(num_areas):
            number = num_objects[c, a]
            if number == 0:
                continue
            hits = np.zeros(num_thresholds, np.int64)
            misses = np.zeros(num_thresholds, np.int64)
            always_false = 0
            for m in range(start[c], start[c + 1]):
                hit, ignore = true_positive[m, a], ignored[m, a]
                if ignore == every:
                    continue
                if hit == 0 and ignore == 0:
                    always_false += 1
                    continue
                for t in range(num_thresholds):
                    if (hit >> t) & 1:
                        hits[t] += 1
                        precision[t, hits[t] - 1] = hits[t] / (misses[t] + always_false + hits[t] + EPSILON)
                    elif not (ignore >> t) & 1:
                        misses[t] += 1
            for t in range(num_thresholds):
                ap[t, c, a] = _interpolated(precision[t], hits[t], number, recalls)
                recall[t, c, a] = hits[t] / number
    return ap, recall


@numba.njit(cache=True, nogil=True)
def _single(start: Longs, true_positive: Bools, num_objects: Longs, recalls: Floats, epsilon: float) -> Floats:
    ap = np.zeros(len(num_objects))
    precision = np.empty(max(len(true_positive), 1))
    for c in range(len(num_objects)):
        if num_objects[c] <= 0:
            continue
        hits = 0
        for m in range(start[c], start[c + 1]):
            if true_positive[m]:
                precision[hits] = (hits + 1) / ((m - start[c] + 1) + epsilon)
                hits += 1
        ap[c] = _interpolated(precision, hits, num_objects[c], recalls)
    return ap


def pooled_ap(detections: Detections, matches: Matches, groups: Mapping[str, Bools]) -> dict[str, Value]:
    """AP and the AP of each group, with the categories pooled; None for a pool without objects.

    groups: bool [C] by group name. Ties in score are broken by image, then category, then file position.
    """
    pools = pools_of(len(matches.num_objects), groups)
    return {name: _pool(detections, matches, member) for name, member in pools.items()}


def pools_of(categories: int, groups: Mapping[str, Bools]) -> dict[str, Bools]:
    """Which categories are pooled for each metric: bool [C] by its name."""
    return {"AP": np.ones(categories, bool)} | {f"AP{name}": member for name, member in groups.items()}


def _pool(detections: Detections, matches: Matches, member: Bools) -> Value:
    number = int(matches.num_objects[member, 0].sum())
    if number == 0:
        return None
    row = matches.selection.row
    inside = np.flatnonzero(member[detections.category[row]])
    chosen = row[inside]
    order = inside[np.lexsort((detections.category[chosen], detections.image[chosen], -detections.score[chosen]))]
    hits, ignored = matches.true_positive[order, 0], matches.ignored[order, 0]
    total = 0.0
    for t in range(len(IOU_THRESHOLDS)):
        hit = ((hits >> t) & 1).astype(bool)[((ignored >> t) & 1) == 0]
        ap = single_curve(np.array([0, len(hit)]), hit, np.array([number]), RECALL_THRESHOLDS, EPSILON)
        total += float(ap[0])
    return total / len(IOU_THRESHOLDS)
