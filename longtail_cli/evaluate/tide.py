"""What is wrong with each detection: TIDE's six errors (Bolya et al., "TIDE", ECCV 2020, sec. 2.2).

The tests come in the order of the published code: Loc, Cls, Dupe, Bkg, Both.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate.average_precision import EPSILON, single_curve
from longtail_cli.evaluate.geometry import MIN_IOU, THREADS, Overlaps
from longtail_cli.evaluate.matching import UNMATCHED, Matches
from longtail_cli.evaluate.protocol import RECALL_THRESHOLDS, Objects
from longtail_cli.evaluate.selection import sort_key
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

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


MAIN_ERRORS = {"Cls": CLS, "Loc": LOC, "Both": BOTH, "Dupe": DUPE, "Bkg": BKG}
SPECIAL = ("FalsePos", "FalseNeg")
BASE = "AP50"


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
class TideRules:
    """Where the two modes reduce differently.

    recalls: float64 [101]. epsilon: added to the denominator of precision.
    empty_counts: a category with detections but no objects counts as AP 0 rather than being left out.
    clamp: a negative gain of a main error is shown as 0.
    """

    recalls: Floats
    epsilon: float
    empty_counts: bool
    clamp: bool


ALIGNED = TideRules(RECALL_THRESHOLDS, EPSILON, empty_counts=False, clamp=False)


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


def break_down(points: Points, rules: TideRules, groups: Mapping[str, Bools]) -> tuple[Breakdown, dict[str, Breakdown]]:
    """Mend each kind of error alone and take the difference of the mean AP, overall and in each group."""
    cases = fixed_curves(points)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda case: _ap(case, points, rules), cases.values())
        ap = dict(zip(cases, found, strict=True))
    everything = np.ones(points.num_categories, bool)
    return reduce(ap, rules, everything), {name: reduce(ap, rules, member) for name, member in groups.items()}


def reduce(ap: Mapping[str, Floats], rules: TideRules, member: Bools) -> Breakdown:
    """The gains over the categories that are `member` (bool [C]).

    ap: float64 [C] of each of `fixed_curves`, NaN where a category is left out.
    """
    base = _mean(ap[BASE], member)
    gain = {name: _gain(base, _mean(one, member)) for name, one in ap.items() if name != BASE}
    main = {name: _shown(gain[name], rules) for name in (*MAIN_ERRORS, "Miss")}
    return Breakdown(base, main, {name: gain[name] for name in SPECIAL})


@dataclass(frozen=True, slots=True)
class FixedCurve:
    """What the curves are drawn from, some error mended or none; columns as in `Points`.

    order: int64 [M]. keep: bool [M], on the curve. objects: bool [G], those that count.
    """

    order: Longs
    keep: Bools
    category: Ints
    hit: Bools
    objects: Bools


def fixed_curves(points: Points) -> dict[str, FixedCurve]:
    """Nothing mended (`BASE`), and each error mended alone."""
    unmended = FixedCurve(points.before, points.shown, points.category, points.hit, points.counts)
    return {BASE: unmended, **_main(points), **_special(points)}


def _main(points: Points) -> dict[str, FixedCurve]:
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
        cases[name] = FixedCurve(points.after, keep, category, hit, points.counts)
    cases["Miss"] = FixedCurve(points.after, points.shown, points.category, points.hit, points.counts & ~errors.missed)
    return cases


def _special(points: Points) -> dict[str, FixedCurve]:
    """No false positive before a hit; and only the objects that were found."""
    hits_first = points.after[np.argsort(~points.hit[points.after], kind="stable")]
    return {
        "FalsePos": FixedCurve(hits_first, points.shown, points.category, points.hit, points.counts),
        "FalseNeg": FixedCurve(points.after, points.shown, points.category, points.hit, points.used),
    }


def _ap(case: FixedCurve, points: Points, rules: TideRules) -> Floats:
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


def _shown(gain: float | None, rules: TideRules) -> float | None:
    return max(gain, 0.0) if gain is not None and rules.clamp else gain


def _mean(ap: Floats, member: Bools) -> float | None:
    values = ap[member & ~np.isnan(ap)]
    return float(values.mean()) if len(values) else None


def _gain(before: float | None, after: float | None) -> float | None:
    return None if before is None or after is None else after - before
