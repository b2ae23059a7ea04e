"""Fixed AP and pooled AP (Dave et al., "Evaluating Large-Vocabulary Object Detectors: The Devil is in the Details").

Fixed AP (sec. 3) takes the cap off the image and puts one of 10,000 on each category. Pooled AP (sec. 5) matches per
category as always, then puts the detections of all categories on one curve, so that scores must be comparable across
categories. As in the authors' code both go by the same detections.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from longtail_cli.evaluate.average_precision import EPSILON, single_curve
from longtail_cli.evaluate.matching import Matches
from longtail_cli.evaluate.protocol import IOU_THRESHOLDS, RECALL_THRESHOLDS
from longtail_cli.tables import Bools, Detections


def pooled_ap(detections: Detections, matches: Matches, groups: Mapping[str, Bools]) -> dict[str, float | None]:
    """AP, and AP of each group, with the categories pooled; fractions, None for a pool without objects.

    groups: bool [C] by group name. Ties in score go by image, then category, then file position.
    """
    pools = pools_of(len(matches.num_objects), groups)
    return {name: _pool(detections, matches, member) for name, member in pools.items()}


def pools_of(categories: int, groups: Mapping[str, Bools]) -> dict[str, Bools]:
    """Which categories are pooled for each figure: bool [C] by its name."""
    return {"AP": np.ones(categories, bool)} | {f"AP{name}": member for name, member in groups.items()}


def _pool(detections: Detections, matches: Matches, member: Bools) -> float | None:
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
