"""What each kind of error costs: the AP50 gained when it is mended (Bolya et al., "TIDE", ECCV 2020, sec. 2.2-2.3).

`aligned` goes by the protocol of the report: the same cap, the same detections ignored, undefined categories left
out, so that its AP50 is the report's; a negative gain is shown. The other mode, `tidecv`, has a module of its own.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from longtail_cli.evaluate.average_precision import EPSILON, single_curve
from longtail_cli.evaluate.geometry import THREADS, Overlaps
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
    main, special = _main(points), _special(points)
    with ThreadPoolExecutor(THREADS) as pool:
        cases = [_unmended(points), *main.values(), *special.values()]
        before, *after = pool.map(lambda case: _ap(case, rules), cases)
    by_name = dict(zip([*main, *special], after, strict=True))

    def breakdown(member: Bools) -> Breakdown:
        base = _mean(before, member)
        gain = {name: _gain(base, _mean(ap, member)) for name, ap in by_name.items()}
        return Breakdown(
            base, {name: _shown(gain[name], rules) for name in main}, {name: gain[name] for name in special}
        )

    return breakdown(np.ones(len(points.num_objects), bool)), {name: breakdown(of) for name, of in groups.items()}


@dataclass(frozen=True, slots=True)
class _Case:
    """What the curves are drawn from, some error mended or none; columns as in `Points`.

    order: int64 [M]. keep: bool [M], on the curve.
    """

    order: Longs
    keep: Bools
    category: Ints
    hit: Bools
    num_objects: Longs


def _unmended(points: Points) -> _Case:
    return _Case(points.before, points.shown, points.category, points.hit, points.num_objects)


def _main(points: Points) -> dict[str, _Case]:
    """Each of the six main errors mended."""
    errors, cases = points.errors, {}
    for name, kind in MAIN_ERRORS.items():
        of_kind = errors.kind == kind
        mended = np.flatnonzero(of_kind & (errors.mends != NO_OBJECT))
        keep, hit, category = points.shown & ~of_kind, points.hit, points.category
        if len(mended):
            keep[mended] = True
            hit, category = hit.copy(), category.copy()
            hit[mended], category[mended] = True, points.object_category[errors.mends[mended]]
        cases[name] = _Case(points.after, keep, category, hit, points.num_objects)
    missed = np.bincount(points.object_category[errors.missed], minlength=len(points.num_objects))
    left = points.num_objects - missed
    cases["Miss"] = _Case(points.after, points.shown, points.category, points.hit, left)
    return cases


def _special(points: Points) -> dict[str, _Case]:
    """No false positive before a hit; and only the objects that were found."""
    found = np.bincount(points.category[points.hit], minlength=len(points.num_objects))
    hits_first = points.after[np.argsort(~points.hit[points.after], kind="stable")]
    return {
        "FalsePos": _Case(hits_first, points.shown, points.category, points.hit, points.num_objects),
        "FalseNeg": _Case(points.after, points.shown, points.category, points.hit, found),
    }


def _ap(case: _Case, rules: Rules) -> Floats:
    """AP of each category over the kept detections: float64 [C], NaN where the category is left out."""
    row = case.order[case.keep[case.order]]
    category = case.category[row]
    by_category = np.argsort(sort_key(category), kind="stable")
    start = np.searchsorted(category[by_category], np.arange(len(case.num_objects) + 1))
    ap = single_curve(start, case.hit[row[by_category]], case.num_objects, rules.recalls, rules.epsilon)
    defined = case.num_objects > 0
    if rules.empty_counts:
        defined = defined | (np.diff(start) > 0)
    return np.where(defined, ap, np.nan)


def _shown(gain: float | None, rules: Rules) -> float | None:
    return max(gain, 0.0) if gain is not None and rules.clamp else gain


def _mean(ap: Floats, member: Bools) -> float | None:
    values = ap[member & ~np.isnan(ap)]
    return float(values.mean()) if len(values) else None


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
