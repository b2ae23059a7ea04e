"""The detections of a method that Fixed AP and pooled AP need, kept in bounded memory while batches are decoded."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from longtail_cli.decode.decoding import Decoded, joined
from longtail_cli.evaluation.selection import FIXED_AP_PER_CATEGORY, best_of
from longtail_cli.tables import Ints, Longs, Singles

FIRST_ROOM = 1 << 20
"""Detections that are held before any are dropped."""


Grouping = Callable[[Decoded], Ints]
"""The group of each of M detections, of which the best are kept: int32 [M], from 0."""


def by_class(category_id: Longs) -> Grouping:
    """Groups detections by class. category_id: int64 [C], of the class columns, whose order the groups have."""
    order = np.argsort(category_id)
    known = category_id[order]
    return lambda detections: order[np.searchsorted(known, detections.category_id)].astype(np.int32)


class BestDetections:
    """Of all detections that are added, those within the limit of their image, and the best of each group.

    At most half as many again, or `FIRST_ROOM`, are held at a time.
    """

    def __init__(self, group: Grouping, groups: int, per_group: int = FIXED_AP_PER_CATEGORY) -> None:
        """groups: G, the number of groups."""
        self._group, self._groups, self._per_group = group, groups, per_group
        self.bars = np.zeros(groups, np.float32)
        """float32 [G]: no detection of a group that is added later is kept unless its score is above, or it is within
        the limit of its image."""
        self._parts: list[Decoded] = []
        self._held, self._room = 0, FIRST_ROOM

    def add(self, part: Decoded) -> None:
        """Add detections, image by image, best first; of equal scores in a group the earlier ones are better."""
        self._parts.append(part)
        self._held += len(part)
        if self._held > self._room:
            self._held = len(self.found())
            self._room = max(FIRST_ROOM, self._held + self._held // 2)

    def found(self) -> Decoded:
        """The detections, in the order in which they were added."""
        every = joined(self._parts)
        group = self._group(every)
        best = best_of(group, every.score.astype(np.float64), self._per_group)
        kept = every if best is None else every.rows(best | every.within_limit)
        self._parts = [kept]
        chosen = slice(None) if best is None else best
        self.bars = self._least(group[chosen], every.score[chosen])
        return kept

    def _least(self, group: Ints, score: Singles) -> Singles:
        """The worst score of each group that is full, 0 of the others: float32 [G]. Of the best of each group, [M]."""
        least = np.full(self._groups, np.inf, np.float32)
        np.minimum.at(least, group, score)
        return np.where(np.bincount(group, minlength=self._groups) < self._per_group, np.float32(0), least)
