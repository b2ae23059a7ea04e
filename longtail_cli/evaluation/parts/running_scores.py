"""What the scores of a category give from its rows in order, piece after piece, besides its curves."""

from __future__ import annotations

import numpy as np

from longtail_cli.evaluation import selection
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.parts.rows import MOVED, MatchedRows, bits_of
from longtail_cli.evaluation.parts.share import TruePositives
from longtail_cli.evaluation.reliability import BINS, add_sums, are_confidences
from longtail_cli.evaluation.selection import Scored, Selection
from longtail_cli.evaluation.thresholds import CategoryPoints, best_points
from longtail_cli.tables import Floats, Longs


class RunningHits:
    """The true positives at IoU 0.5, and how many false positives have at least their scores."""

    def __init__(self) -> None:
        self._score: list[Floats] = []
        self._gap: list[Floats] = []
        self._threshold, self._above = np.zeros(0), np.zeros(0, np.int64)  # different scores, from high to low
        self._false = 0

    def add(self, narrow: MatchedRows) -> None:
        """The next rows within the limits."""
        hit, ignored = (bits_of(values)[:, 0] & 1 != 0 for values in (narrow.true_positive, narrow.ignored))
        self._score.append(narrow.score[hit])
        if narrow.iou is not None:
            self._gap.append(1 - narrow.iou[hit])
        self._count(narrow.score[hit], narrow.score[~hit & ~ignored])

    def _count(self, hit: Floats, false: Floats) -> None:
        """hit, false: the next scores of true and false positives, from high to low."""
        reached = self._threshold[-1:]
        self._above[-1:] += np.count_nonzero(false[:, None] >= reached)  # equal scores that go on in this piece
        new = np.unique(hit[~np.isin(hit, reached)])[::-1]
        self._threshold = np.append(self._threshold, new)
        self._above = np.append(self._above, self._false + len(false) - np.searchsorted(false[::-1], new))
        self._false += len(false)

    def true_positives(self, category: int) -> TruePositives:
        """Of all rows, of which there was at least one piece. category: the index of the category."""
        score = np.concatenate(self._score)
        gap = np.concatenate(self._gap) if self._gap else None
        return TruePositives(np.full(len(score), category, np.int32), score, gap)

    def points(self, objects: int) -> CategoryPoints:
        """The best thresholds. objects: those that count."""
        score = np.concatenate(self._score)
        best = best_points(score, np.concatenate(self._gap), lambda _: self._above, self._false, objects)
        return objects, len(score) + self._false, *best


class RunningCalibration:
    """The sums of `reliability.sums_of`."""

    def __init__(self, num_objects: Longs) -> None:
        """num_objects: int64 [4], those that count."""
        self._num_objects = num_objects[None]
        self._sums = np.zeros((1, BINS, 4))
        self._defined = True

    def add(self, rows: MatchedRows, narrow: MatchedRows) -> None:
        """The next rows, and those of them within the limits."""
        self._defined = self._defined and are_confidences(rows.score)
        if self._defined and len(narrow):
            assert narrow.iou is not None
            row, zeros = np.arange(len(narrow) + 1), np.zeros(len(narrow), np.int32)
            hits, ignored = bits_of(narrow.true_positive), bits_of(narrow.ignored)
            chosen = Selection(row[:-1], row[[0, -1]], None)
            matches = Matches(chosen, hits, ignored, zeros, self._num_objects, np.zeros((0, 4), bool))
            add_sums(self._sums, Scored(zeros, zeros, narrow.score), Overlaps(row, zeros, narrow.iou), matches)

    def sums(self) -> Floats:
        """float64 [1, BINS, 4], zeros if a score is no confidence."""
        return self._sums if self._defined else np.zeros_like(self._sums)


class RunningBest:
    """The rows that Fixed AP and pooled AP can evaluate: the best 10,000, in a tie the first of the file."""

    def __init__(self) -> None:
        self._best: list[MatchedRows] = []  # one table, best first

    def add(self, rows: MatchedRows) -> None:
        """The next rows; those that only a fix moves to the category are left out."""
        limit = selection.FIXED_AP_PER_CATEGORY
        row = np.flatnonzero((rows.flags & MOVED) == 0)
        score = np.concatenate([*(best.score for best in self._best), rows.score[row]])
        least = score[:limit][-1:]  # rows below it are not among the best
        found = MatchedRows.joined([*self._best, rows.at(row[rows.score[row] >= least])])
        assert found.file_row is not None
        self._best = [found.at(np.lexsort((found.file_row, -found.score))[:limit])]

    def rows(self) -> MatchedRows:
        """The best of all, of which there was at least one piece."""
        return self._best[0]
