"""The number of false positives at fixed recall."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from longtail_cli.tables import Bools, Floats, Ints

PERCENT = (40, 60)
"""Recalls, in percent."""


def at_recalls(
    score: Floats, category: Ints, hit: Bools, shown: Bools, objects: Ints, members: Mapping[str, Bools]
) -> dict[str, dict[str, int | None]]:
    """For each of `members` ``FP@R40`` and ``FP@R60``: false positives at the highest threshold that reaches a recall.

    The detections of all categories of a member (bool [C]) are on one curve. A detection passes a threshold if its
    score is at least as high, so the order of equal scores does not matter. None if recall 0.4 or 0.6 is not reached,
    or without objects.

    score: float64 [M]. category: int32 [M]. hit, shown: bool [M], true positives, and what is not ignored. objects:
    int32 [G], the category of each object that counts.
    """
    hits, known = np.flatnonzero(hit), np.bincount(objects, minlength=_number(members))
    true, of = score[hits], category[hits]
    thresholds = {name: _thresholds(true[member[of]], int(known[member].sum())) for name, member in members.items()}
    least = min((one for found in thresholds.values() for one in found.values() if one is not None), default=math.inf)
    high = np.flatnonzero(score >= least)  # of millions of detections a few
    wrong = high[shown[high] & ~hit[high]]
    false, of = score[wrong], category[wrong]
    return {
        name: {
            metric: None if threshold is None else int(np.count_nonzero(members[name][of] & (false >= threshold)))
            for metric, threshold in found.items()
        }
        for name, found in thresholds.items()
    }


def _thresholds(hit: Floats, number: int) -> dict[str, float | None]:
    """The highest score at which each recall is reached. hit: float64 [H], scores of true positives."""
    ascending = np.sort(hit)
    needed = {f"FP@R{percent}": -(-percent * number // 100) for percent in PERCENT}
    return {name: float(ascending[-rank]) if 0 < rank <= len(hit) else None for name, rank in needed.items()}


def _number(members: Mapping[str, Bools]) -> int:
    """C."""
    return len(next(iter(members.values())))
