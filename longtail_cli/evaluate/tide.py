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
SPECIAL = ("FalsePos", "FalseNeg")
UNMENDED = "AP50"


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
    object_category: int32 [G]. counts: bool [G], objects that can be found. used: bool [G], those that were.
    num_categories: C.
    """

    category: Ints
    hit: Bools
    shown: Bools
    errors: Errors
    before: Longs
    after: Longs
    object_category: Ints
    counts: Bools
    used: Bools
    num_categories: int


def aligned(
    detections: Detections, overlaps: Overlaps, objects: Objects, matches: Matches, groups: Mapping[str, Bools]
) -> tuple[Breakdown, dict[str, Breakdown]]:
    """The breakdown over all categories, and over each of `groups` (bool [C], by name)."""
    return break_down(aligned_points(detections, overlaps, objects, matches), ALIGNED, groups)


def aligned_points(detections: Detections, overlaps: Overlaps, objects: Objects, matches: Matches) -> Points:
    """The selected detections with their errors, in the order of the `Selection`."""
    row = matches.selection.row
    hit = (matches.true_positive[:, 0] & 1) == 1
    shown = (matches.ignored[:, 0] & 1) == 0
    used = np.zeros(len(objects), bool)
    used[matches.taken[matches.taken != UNMATCHED]] = True
    category, score, counts = detections.category[row], detections.score[row], matches.counts[:, 0].copy()
    errors = assign(row, category, score, shown & ~hit, overlaps, objects.category, counts, used)
    order = matches.selection.best_first
    number = len(matches.num_objects)
    return Points(category, hit, shown, errors, order, order, objects.category, counts, used & counts, number)


def break_down(points: Points, rules: Rules, groups: Mapping[str, Bools]) -> tuple[Breakdown, dict[str, Breakdown]]:
    """Mend each kind of error alone and take the difference of the mean AP, overall and in each group."""
    cases = cases_of(points)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda case: _ap(case, points, rules), cases.values())
        ap = dict(zip(cases, found, strict=True))
    everything = np.ones(points.num_categories, bool)
    return reduce(ap, rules, everything), {name: reduce(ap, rules, member) for name, member in groups.items()}


def reduce(ap: Mapping[str, Floats], rules: Rules, member: Bools) -> Breakdown:
    """The gains over the categories that are `member` (bool [C]).

    ap: float64 [C] of each of `cases_of`, NaN where a category is left out.
    """
    base = _mean(ap[UNMENDED], member)
    gain = {name: _gain(base, _mean(one, member)) for name, one in ap.items() if name != UNMENDED}
    main = {name: _shown(gain[name], rules) for name in (*MAIN_ERRORS, "Miss")}
    return Breakdown(base, main, {name: gain[name] for name in SPECIAL})


@dataclass(frozen=True, slots=True)
class Case:
    """What the curves are drawn from, some error mended or none; columns as in `Points`.

    order: int64 [M]. keep: bool [M], on the curve. objects: bool [G], those that count.
    """

    order: Longs
    keep: Bools
    category: Ints
    hit: Bools
    objects: Bools


def cases_of(points: Points) -> dict[str, Case]:
    """Nothing mended (`UNMENDED`), and each error mended alone."""
    unmended = Case(points.before, points.shown, points.category, points.hit, points.counts)
    return {UNMENDED: unmended, **_main(points), **_special(points)}


def _main(points: Points) -> dict[str, Case]:
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
        cases[name] = Case(points.after, keep, category, hit, points.counts)
    cases["Miss"] = Case(points.after, points.shown, points.category, points.hit, points.counts & ~errors.missed)
    return cases


def _special(points: Points) -> dict[str, Case]:
    """No false positive before a hit; and only the objects that were found."""
    hits_first = points.after[np.argsort(~points.hit[points.after], kind="stable")]
    return {
        "FalsePos": Case(hits_first, points.shown, points.category, points.hit, points.counts),
        "FalseNeg": Case(points.after, points.shown, points.category, points.hit, points.used),
    }


def _ap(case: Case, points: Points, rules: Rules) -> Floats:
    """AP of each category over the kept detections: float64 [C], NaN where the category is left out."""
    num_objects = np.bincount(points.object_category[case.objects], minlength=points.num_categories)
    row = case.order[case.keep[case.order]]
    category = case.category[row]
    by_category = np.argsort(sort_key(category), kind="stable")
    start = np.searchsorted(category[by_category], np.arange(len(num_objects) + 1))
    ap = single_curve(start, case.hit[row[by_category]], num_objects, rules.recalls, rules.epsilon)
    defined = num_objects > 0
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
