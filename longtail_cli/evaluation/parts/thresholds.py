"""The best score thresholds of all categories, from those of their shares."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from longtail_cli.evaluation.matching import counts_of
from longtail_cli.evaluation.parts.counting import FalseCounts
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics
from longtail_cli.evaluation.thresholds import CategoryPoints, best_points, described
from longtail_cli.metrics import Thresholds
from longtail_cli.tables import Categories


def merged_thresholds(
    rules: Rules, shares: Sequence[ShareMetrics], counts: FalseCounts, categories: Categories
) -> Thresholds:
    """The thresholds of one run and one IoU type, equal to `thresholds.thresholds` to the last bit.

    shares: of all categories, each once, at least one. counts: as for `merged`.
    """
    points: dict[int, CategoryPoints] = {}
    for one in shares:
        points |= zip(one.category.tolist(), one.points or (), strict=True)
    found = [one.true_positives for one in shares if one.true_positives is not None]
    category, score = (np.concatenate([getattr(one, name) for one in found]) for name in ("category", "score"))
    assert counts.between is not None
    gap = np.concatenate([one.gap for one in found if one.gap is not None])
    order = np.argsort(category, kind="stable")
    above = np.cumsum(counts.between[::-1])[:-1]  # by threshold, from high to low
    objects = int(counts_of(rules.objects)[:, 0].sum())
    together = best_points(score[order], gap[order], lambda _: above, int(counts.between.sum()), objects)
    return described([points[c] for c in range(rules.categories)], together, categories, rules.groups)
