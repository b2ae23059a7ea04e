"""The curves of TIDE of a category from its rows in order, piece after piece, by the rules of the report."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from longtail_cli.evaluation import tide
from longtail_cli.evaluation.parts.rows import CAPPED, MOVED, MatchedRows, bits_of
from longtail_cli.evaluation.parts.running_curves import RunningCurve
from longtail_cli.tables import Bools, Floats, Ints, Longs

KEPT = (tide.BASE, *tide.MAIN_ERRORS)
"""The curves on which false positives are kept, those of `outcomes`."""


class RunningTide:
    """The curves of `tide.fixed_ap`."""

    def __init__(self, objects: Longs, counts: Bools) -> None:
        """See `RunningObjects`."""
        self._counts, self._found = counts, RunningObjects(objects, counts)
        self._fixed = {name: RunningCurve(int(counts.sum())) for name in tide.MAIN_ERRORS}
        self._number = 0
        self._positions: list[Longs] = []

    def add(self, rows: MatchedRows) -> None:
        """The next rows of the category, also those that a fix moves here and those beyond the limits."""
        rows = rows.where((rows.flags & (CAPPED | MOVED)) != 0)
        self._found.add(rows)
        for name, (hit, false) in zip(KEPT, outcomes(rows), strict=True):
            counted = np.cumsum(hit | false, dtype=np.int64)
            position, number = counted[hit], int(counted[-1:].sum())
            if name == tide.BASE:
                self._positions.append(self._number + position)
                self._number += number
            else:
                self._fixed[name].add(position, number)

    def ap(self) -> dict[str, Floats]:
        """float64 [1] by the names of `tide.fixed_ap`."""
        counts, found = self._counts, self._found
        objects = [int(of.sum()) for of in (counts, counts & ~found.missed, found.used)]
        position = np.concatenate(self._positions)
        curves = {
            tide.BASE: self._unfixed(objects[0], position),
            **self._fixed,
            "Miss": self._unfixed(objects[1], position),
            "FalsePos": self._unfixed(objects[0], np.arange(1, len(position) + 1)),
            "FalseNeg": self._unfixed(objects[2], position),
        }
        ap, kept = ([getattr(curves[name], value) for name in tide.CURVES] for value in ("ap", "detections"))
        return tide.of_categories(np.array(ap)[:, None], np.array(kept)[:, None], np.array([objects]), tide.ALIGNED)

    def _unfixed(self, objects: int, position: Longs) -> RunningCurve:
        """All detections on the curve, with none of their errors fixed. position: int64 [h], of the hits."""
        curve = RunningCurve(objects)
        curve.add(position, self._number)
        return curve


class RunningObjects:
    """What becomes of the objects of the category."""

    def __init__(self, objects: Longs, counts: Bools) -> None:
        """objects: int64 [g], ascending, as `MatchedRows.object` has them. counts: bool [g], those that count."""
        self._objects = objects
        self.used = np.zeros(len(objects), bool)
        """bool [g], see `tide.Points.used`."""
        self.missed = counts.copy()
        """bool [g], see `tide.Errors.missed`."""

    def add(self, rows: MatchedRows) -> None:
        """Look at some of the rows."""
        assert rows.object is not None
        hit, _ = hit_and_shown(rows)
        self.used[self._own(rows.object[hit])] = True
        self.missed[self._own(rows.object[rows.object != tide.NO_OBJECT])] = False

    def _own(self, objects: Ints) -> Longs:
        return np.searchsorted(self._objects, objects)


def outcomes(rows: MatchedRows) -> Iterator[tuple[Bools, Bools]]:
    """The true and the false positives on each curve of `KEPT`, bool [N]; see `tide.fixed_curves`."""
    assert rows.kind is not None
    assert rows.object is not None
    hit, shown = hit_and_shown(rows)
    takes = ~hit & (rows.object != tide.NO_OBJECT)
    yield hit, shown & ~hit
    for kind in tide.MAIN_ERRORS.values():
        of_kind = rows.kind == kind
        yield hit | (of_kind & takes), shown & ~(hit | of_kind)


def hit_and_shown(rows: MatchedRows) -> tuple[Bools, Bools]:
    """Whether each row is a true positive, and whether it is on the curve with nothing fixed: bool [N]."""
    capped = (rows.flags & CAPPED) != 0
    hit, ignored = ((bits_of(one)[:, 0] & 1) != 0 for one in (rows.true_positive, rows.ignored))
    return hit & capped, capped & ~ignored
