"""What is wrong with each detection: TIDE's six errors (Bolya et al., "TIDE", ECCV 2020, sec. 2.2).

The tests come in the order of the published code: Loc, Cls, Dupe, Bkg, Both.
"""

from __future__ import annotations

from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate.geometry import MIN_IOU, Overlaps
from longtail_cli.tables import Bools, Floats, Ints, Longs

FOREGROUND_IOU = 0.5
"""t_f; t_b is `geometry.MIN_IOU`."""

NO_ERROR, LOC, CLS, DUPE, BKG, BOTH = range(6)
NO_OBJECT = -1


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of M detections.

    kind: int8 [M], one of `NO_ERROR`, `LOC`, `CLS`, `DUPE`, `BKG`, `BOTH`.
    mends: int32 [M], the object that the detection would take if its Loc or Cls error were mended: the unused object
        it points to, if it is the best-scored that does; `NO_OBJECT` elsewhere.
    missed: bool [G], objects that count, that no detection takes and no Loc or Cls error points to.
    """

    kind: npt.NDArray[np.int8]
    mends: Ints
    missed: Bools


def assign(
    row: Longs, category: Ints, score: Floats, wrong: Bools, overlaps: Overlaps, object_category: Ints,
    counts: Bools, used: Bools,
) -> Errors:  # fmt: skip
    """Give each detection its error.

    row: int64 [M], rows of `overlaps`. category: int32 [M]. score: float64 [M]. wrong: bool [M], the detections to
    explain. object_category: int32 [G]. counts: bool [G], objects that can be found; others are not seen here.
    used: bool [G], objects that a detection takes.

    The best-scored detection of an object is the first in file order among equals, as in the published code.
    """
    kind, target = _assign(
        row, category, wrong, overlaps.start, overlaps.object, overlaps.iou, object_category, counts, used
    )
    pointing = np.flatnonzero(target != NO_OBJECT)
    pointing = pointing[~used[target[pointing]]]
    pointing = pointing[np.lexsort((row[pointing], -score[pointing], target[pointing]))]
    best = pointing[np.r_[True, np.diff(target[pointing]) != 0]] if len(pointing) else pointing
    mends = np.full(len(row), NO_OBJECT, np.int32)
    mends[best] = target[best]
    missed = counts & ~used
    missed[target[pointing]] = False
    return Errors(kind, mends, missed)


@numba.njit(cache=True, nogil=True)
def _assign(
    row: Longs, category: Ints, wrong: Bools, pair_start: Longs, pair_object: Ints, pair_iou: Floats,
    object_category: Ints, counts: Bools, used: Bools,
) -> tuple[npt.NDArray[np.int8], Ints]:  # fmt: skip
    """The kind of each error, and the object that a Loc or Cls error points to; the first of equal IoUs."""
    kind = np.zeros(len(row), np.int8)
    target = np.full(len(row), NO_OBJECT, np.int32)
    for m in range(len(row)):
        if not wrong[m]:
            continue
        same, other, taken = 0.0, 0.0, 0.0
        same_object, other_object = NO_OBJECT, NO_OBJECT
        for pair in range(pair_start[row[m]], pair_start[row[m] + 1]):
            g, iou = pair_object[pair], pair_iou[pair]
            if not counts[g]:
                continue
            if object_category[g] != category[m]:
                if iou > other:
                    other, other_object = iou, g
                continue
            if iou > same:
                same, same_object = iou, g
            if used[g]:
                taken = max(taken, iou)
        if MIN_IOU <= same <= FOREGROUND_IOU:
            kind[m], target[m] = LOC, same_object
        elif other >= FOREGROUND_IOU:
            kind[m], target[m] = CLS, other_object
        elif taken >= FOREGROUND_IOU:
            kind[m] = DUPE
        elif max(same, other) <= MIN_IOU:
            kind[m] = BKG
        else:
            kind[m] = BOTH
    return kind, target
