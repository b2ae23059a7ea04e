"""Average precision and recall: reductions over the matches."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longtail_cli.engine import curves as engine
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS, RECALL_THRESHOLDS
from longtail_cli.evaluation.selection import Scored
from longtail_cli.metrics import Value
from longtail_cli.parallel import in_threads
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
    ap, recall = np.full((2, len(IOU_THRESHOLDS), *matches.num_objects.shape), np.nan)

    def reduce(first: int, last: int) -> None:
        engine.curves(
            first, last, matches.selection.start, matches.true_positive, matches.ignored, matches.num_objects,
            RECALL_THRESHOLDS, EPSILON, ap, recall,
        )  # fmt: skip

    in_threads(reduce, matches.selection.cuts)
    return Curves(ap, recall)


def recall_at(matches: Matches, max_rank: int) -> Floats:
    """Recall over all sizes with only the `max_rank` best detections of each image and category: float64 [10, C].

    NaN without objects that count. Raises ValueError under LVIS. For COCO's AR@1 and AR@10.
    """
    selection = matches.selection
    if selection.rank is None:
        raise ValueError("ranks exist only under COCO")
    hits = matches.true_positive[:, 0]
    row = np.flatnonzero((selection.rank < max_rank) & (hits != 0))
    category = np.searchsorted(selection.start, row, side="right") - 1
    number = len(matches.num_objects)
    found = [np.bincount(category[(hits[row] >> t) & 1 != 0], minlength=number) for t in range(len(IOU_THRESHOLDS))]
    return np.asarray(found / _or_nan(matches.num_objects[:, 0]))


def single_curve(start: Longs, true_positive: Bools, num_objects: Longs, recalls: Floats, epsilon: float) -> Floats:
    """AP of each category at one threshold: float64 [C], 0 without objects.

    start: int64 [C + 1], by category. true_positive: bool [M], within a category best score first; False is a false
    positive. num_objects: int64 [C]. recalls: float64 [101]. epsilon: added to the denominator of precision.
    """
    ap = np.zeros(len(num_objects))
    engine.single_curves(start, true_positive, num_objects, recalls, epsilon, ap)
    return ap


def _or_nan(count: Longs) -> Floats:
    return np.where(count > 0, count, np.nan)


def pooled_ap(detections: Scored | Detections, matches: Matches, groups: Mapping[str, Bools]) -> dict[str, Value]:
    """AP and the AP of each group, with the categories pooled; None for a pool without objects.

    groups: bool [C] by group name. Ties in score are broken by image, then category, then file position.
    """
    pools = pools_of(len(matches.num_objects), groups)
    return {name: _pool(detections, matches, member) for name, member in pools.items()}


def pools_of(categories: int, groups: Mapping[str, Bools]) -> dict[str, Bools]:
    """Which categories are pooled for each metric: bool [C] by its name."""
    return {"AP": np.ones(categories, bool)} | {f"AP{name}": member for name, member in groups.items()}


def _pool(detections: Scored | Detections, matches: Matches, member: Bools) -> Value:
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
