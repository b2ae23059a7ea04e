"""The false positives of a run above scores that are known only when all of its true positives are.

So they are counted in a second pass over the rows; the counts of disjoint tables are added.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.false_positives import Thresholds, false_above, thresholds_at
from longtail_cli.evaluation.matching import counts_of
from longtail_cli.evaluation.parts.rows import FALSE
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics
from longtail_cli.tables import Bools, Floats, Ints, Longs

COUNTED_COLUMNS = ("category", "score", "flags")
"""The columns of `MatchedRows` that `CountFalse` needs."""


@dataclass(frozen=True, slots=True)
class FalseCounts:
    """Numbers of false positives of some rows."""

    above: Mapping[str, Mapping[str, int]]
    """Those at or above each threshold of TIDE, by member and name, without thresholds that are not reached."""
    between: Longs | None
    """int64 [T + 1], those at or above exactly t of `CountFalse.scores`; None without these."""


@dataclass(frozen=True, slots=True)
class CountFalse:
    """Counts the false positives of one run and one IoU type."""

    thresholds: Thresholds
    """Those of TIDE by member; empty without TIDE."""
    members: Mapping[str, Bools]
    """bool [C] by name: all categories are ``""``, and each group has its own."""
    scores: Floats | None
    """float64 [T], ascending and different, of the true positives; None unless score thresholds are computed."""

    @classmethod
    def of(cls, rules: Rules, shares: Sequence[ShareMetrics]) -> CountFalse:
        """What there is to count. shares: of all categories, each once, at least one."""
        members = {"": np.ones(rules.categories, bool), **rules.groups}
        found = [one.true_positives for one in shares if one.true_positives is not None]
        if not found:
            return cls({}, members, None)
        score, category = (np.concatenate([getattr(one, name) for one in found]) for name in ("score", "category"))
        objects = rules.objects.category[counts_of(rules.objects)[:, 0]]
        thresholds = thresholds_at(score, category, objects, members) if rules.options.tide == "aligned" else {}
        return cls(thresholds, members, np.unique(score) if rules.options.thresholds else None)

    @property
    def counts_none(self) -> bool:
        """Whether there is nothing to count, so that rows need not be read."""
        return not self.thresholds and self.scores is None

    def __call__(self, category: Ints, score: Floats, flags: npt.NDArray[np.uint8]) -> FalseCounts:
        """The counts of any rows of the run and IoU type, by their `COUNTED_COLUMNS`."""
        wrong = (flags & FALSE) != 0
        between = None
        if self.scores is not None:
            passed = np.searchsorted(self.scores, score[wrong], side="right")
            between = np.bincount(passed, minlength=len(self.scores) + 1)
        return FalseCounts(false_above(score, category, wrong, self.thresholds, self.members), between)

    def total(self, counts: Iterable[FalseCounts]) -> FalseCounts:
        """The counts of all rows, from those of disjoint tables."""
        above: dict[str, Counter[str]] = {name: Counter() for name in self.thresholds}
        between = None if self.scores is None else np.zeros(len(self.scores) + 1, np.int64)
        for one in counts:
            if between is not None and one.between is not None:
                between += one.between
            for name, of_member in one.above.items():
                above[name].update(of_member)
        return FalseCounts(above, between)
