"""The number of false positives at fixed recall."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from longtail_cli.tables import Bools, Floats, Ints

FALSE_POSITIVES = {"FP@R40": 40, "FP@R60": 60}
"""The metrics, with the recall of each in percent."""


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
    hits = np.flatnonzero(hit)
    thresholds = thresholds_at(score[hits], category[hits], objects, members)
    counts = false_above(score, category, shown & ~hit, thresholds, members)
    return {name: {metric: counts[name].get(metric) for metric in found} for name, found in thresholds.items()}


Thresholds = Mapping[str, Mapping[str, float | None]]
"""By name of a member, the highest score at which each recall is reached, None if it is not."""


def thresholds_at(score: Floats, category: Ints, objects: Ints, members: Mapping[str, Bools]) -> Thresholds:
    """The thresholds of each member. score: float64 [H], category: int32 [H], of true positives. objects: int32 [G]."""
    known = np.bincount(objects, minlength=_number(members))
    return {name: _thresholds(score[member[category]], int(known[member].sum())) for name, member in members.items()}


def false_above(
    score: Floats, category: Ints, wrong: Bools, thresholds: Thresholds, members: Mapping[str, Bools]
) -> dict[str, dict[str, int]]:
    """How many of M detections are false positives above each threshold that is reached, for each member.

    wrong: bool [M], the false positives. The counts of parts of the detections add up to those of all.
    """
    least = min((one for found in thresholds.values() for one in found.values() if one is not None), default=math.inf)
    high = np.flatnonzero(score >= least)  # of millions of detections a few
    high = high[wrong[high]]
    false, of = score[high], category[high]
    return {
        name: {
            metric: int(np.count_nonzero(members[name][of] & (false >= threshold)))
            for metric, threshold in found.items()
            if threshold is not None
        }
        for name, found in thresholds.items()
    }


def _thresholds(hit: Floats, number: int) -> dict[str, float | None]:
    """The highest score at which each recall is reached. hit: float64 [H], scores of true positives."""
    ascending = np.sort(hit)
    needed = {metric: -(-percent * number // 100) for metric, percent in FALSE_POSITIVES.items()}
    return {name: float(ascending[-rank]) if 0 < rank <= len(hit) else None for name, rank in needed.items()}


def _number(members: Mapping[str, Bools]) -> int:
    """C."""
    return len(next(iter(members.values())))
