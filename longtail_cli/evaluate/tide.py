"""What each kind of error costs: the AP50 gained when it is mended (Bolya et al., "TIDE", ECCV 2020, sec. 2.2-2.3).

`aligned` goes by the protocol of the report: the same cap, the same detections ignored, undefined categories left
out, so that its AP50 is the report's; a negative gain is shown. The other mode, `tidecv`, has a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longtail_cli.evaluate.average_precision import EPSILON, single_curve
from longtail_cli.evaluate.geometry import Overlaps
from longtail_cli.evaluate.matching import UNMATCHED, Matches
from longtail_cli.evaluate.protocol import RECALL_THRESHOLDS, Objects
from longtail_cli.evaluate.selection import sort_key
from longtail_cli.evaluate.tide_errors import BKG, BOTH, CLS, DUPE, LOC, NO_OBJECT, Errors, assign
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

MAIN_ERRORS = {"Cls": CLS, "Loc": LOC, "Both": BOTH, "Dupe": DUPE, "Bkg": BKG}


@dataclass(frozen=True, slots=True)
class Breakdown:
    """AP50 and what mending each error adds to it, fractions; None where no category is defined.

    main: gains for Cls, Loc, Both, Dupe, Bkg, Miss, each mended alone.
    special: gains for FalsePos (no false positives left) and FalseNeg (no object missed).
    """

    ap50: float | None
    main: Mapping[str, float | None]
    special: Mapping[str, float | None]


@dataclass(frozen=True, slots=True)
class Rules:
    """Where the two modes reduce differently.

    recalls: float64 [101]. epsilon: added to the denominator of precision.
    empty_counts: a category with detections but no objects counts as AP 0 rather than being left out.
    clamp: a negative gain of a main error is shown as 0.
    """

    recalls: Floats
    epsilon: float
    empty_counts: bool
    clamp: bool


ALIGNED = Rules(RECALL_THRESHOLDS, EPSILON, empty_counts=False, clamp=False)


@dataclass(frozen=True, slots=True)
class Points:
    """M detections to be put on curves, with their errors.

    category: int32 [M]. hit: bool [M], true positive. shown: bool [M], on the curve at all (not ignored).
    errors: of the same M detections. before, after: int64 [M], the order of the curve, best first over all categories,
        before and after mending (they differ in tidecv, in the order of equal scores).
    object_category: int32 [G]. num_objects: int64 [C].
    """

    category: Ints
    hit: Bools
    shown: Bools
    errors: Errors
    before: Longs
    after: Longs
    object_category: Ints
    num_objects: Longs


def aligned(
    detections: Detections, overlaps: Overlaps, objects: Objects, matches: Matches, groups: Mapping[str, Bools]
) -> tuple[Breakdown, dict[str, Breakdown]]:
    """The breakdown over all categories, and over each of `groups` (bool [C], by name)."""
    row = matches.selection.row
    hit = (matches.true_positive[:, 0] & 1) == 1
    shown = (matches.ignored[:, 0] & 1) == 0
    used = np.zeros(len(objects), bool)
    used[matches.taken[matches.taken != UNMATCHED]] = True
    category, score = detections.category[row], detections.score[row]
    errors = assign(row, category, score, shown & ~hit, overlaps, objects.category, matches.counts, used)
    order = matches.selection.best_first
    points = Points(category, hit, shown, errors, order, order, objects.category, matches.num_objects[:, 0].copy())
    return break_down(points, ALIGNED, groups)


def break_down(points: Points, rules: Rules, groups: Mapping[str, Bools]) -> tuple[Breakdown, dict[str, Breakdown]]:
    """Mend each kind of error alone and take the difference of the mean AP, overall and in each group."""
    base, main, special = _base(points, rules), _main(points, rules), _special(points, rules)

    def breakdown(member: Bools) -> Breakdown:
        before = _mean(base, member)
        gains = {name: _gain(before, _mean(after, member)) for name, after in main.items()}
        if rules.clamp:
            gains = {name: None if gain is None else max(gain, 0.0) for name, gain in gains.items()}
        return Breakdown(before, gains, {name: _gain(before, _mean(after, member)) for name, after in special.items()})

    return breakdown(np.ones(len(points.num_objects), bool)), {name: breakdown(of) for name, of in groups.items()}


def _base(points: Points, rules: Rules) -> Floats:
    return _ap(points, rules, points.before, points.shown, points.category, points.hit, points.num_objects)


def _main(points: Points, rules: Rules) -> dict[str, Floats]:
    """AP per category after mending each of the six main errors: name -> float64 [C]."""
    errors, after = points.errors, {}
    for name, kind in MAIN_ERRORS.items():
        mended = (errors.kind == kind) & (errors.mends != NO_OBJECT)
        keep = (points.shown & (errors.kind != kind)) | mended
        category = points.category.copy()
        category[mended] = points.object_category[errors.mends[mended]]
        after[name] = _ap(points, rules, points.after, keep, category, points.hit | mended, points.num_objects)
    missed = np.bincount(points.object_category[errors.missed], minlength=len(points.num_objects))
    left = points.num_objects - missed
    after["Miss"] = _ap(points, rules, points.after, points.shown, points.category, points.hit, left)
    return after


def _special(points: Points, rules: Rules) -> dict[str, Floats]:
    """AP per category without any false positive, and with only the objects that were found."""
    found = np.bincount(points.category[points.hit], minlength=len(points.num_objects))
    last = np.argsort(~points.hit[points.after], kind="stable")
    hits_first = points.after[last]
    return {
        "FalsePos": _ap(points, rules, hits_first, points.shown, points.category, points.hit, points.num_objects),
        "FalseNeg": _ap(points, rules, points.after, points.shown, points.category, points.hit, found),
    }


def _ap(
    points: Points, rules: Rules, order: Longs, keep: Bools, category: Ints, hit: Bools, num_objects: Longs
) -> Floats:
    """AP of each category over the kept detections: float64 [C], NaN where the category is left out."""
    row = order[keep[order]]
    row = row[np.argsort(sort_key(category[row]), kind="stable")]
    start = np.searchsorted(category[row], np.arange(len(num_objects) + 1))
    ap = single_curve(start, hit[row], num_objects, rules.recalls, rules.epsilon)
    defined = num_objects > 0
    if rules.empty_counts:
        defined = defined | (np.diff(start) > 0)
    return np.where(defined, ap, np.nan)


def _mean(ap: Floats, member: Bools) -> float | None:
    values = ap[member & ~np.isnan(ap)]
    return float(values.mean()) if len(values) else None


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
