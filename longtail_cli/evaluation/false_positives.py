"""The number of false positives at fixed recall."""

from __future__ import annotations

import numpy as np

from longtail_cli.tables import Floats

PERCENT = (40, 60)
"""Recalls, in percent."""


def at_recalls(hit: Floats, wrong: Floats, number: int) -> dict[str, int | None]:
    """``FP@R40`` and ``FP@R60``: false positives at the highest score threshold at which recall reaches 0.4 and 0.6.

    hit, wrong: float64 [H] and [F], the scores of the true and of the false positives. number: of objects. A detection
    passes a threshold if its score is at least as high, so the order of equal scores does not matter. None if the
    recall is not reached, or without objects.
    """
    best_last = np.sort(hit)
    found: dict[str, int | None] = {}
    for percent in PERCENT:
        needed = -(-percent * number // 100)
        reached = 0 < needed <= len(hit)
        found[f"FP@R{percent}"] = int(np.count_nonzero(wrong >= best_last[-needed])) if reached else None
    return found
