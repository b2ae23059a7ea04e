"""TIDE: which error each detection makes, and what fixing it gains (Bolya et al., "TIDE", ECCV 2020, sec. 2.2).

The errors are tested in the order of the published code: Loc, Cls, Dupe, Bkg, Both.
"""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numba
import numpy as np
import numpy.typing as npt

from longtail_cli.choices import TideMode
from longtail_cli.evaluation.average_precision import EPSILON, single_curve
from longtail_cli.evaluation.geometry import MIN_IOU, Overlaps
from longtail_cli.evaluation.matching import UNMATCHED, Matches
from longtail_cli.evaluation.options import THREADS
from longtail_cli.evaluation.protocol import RECALL_THRESHOLDS, Objects
from longtail_cli.evaluation.selection import sort_key
from longtail_cli.metrics import Tide, TideGains, Value, mean
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

FOREGROUND_IOU = 0.5
"""t_f; t_b is `geometry.MIN_IOU`."""

NO_ERROR, LOC, CLS, DUPE, BKG, BOTH = range(6)
NO_OBJECT = -1


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of M detections."""

    kind: npt.NDArray[np.int8]
    """int8 [M], one of `NO_ERROR`, `LOC`, `CLS`, `DUPE`, `BKG`, `BOTH`."""
    fixed_object: Ints
    """int32 [M], the object that the detection takes once its Loc or Cls error is fixed: the unused object it points
    to, if no better-scored detection does; else `NO_OBJECT`."""
    missed: Bools
    """bool [G], objects that count, that no detection takes and no Loc or Cls error points to."""


def assign(
    row: Longs, category: Ints, score: Floats, wrong: Bools, overlaps: Overlaps, object_category: Ints,
    counts: Bools, used: Bools,
) -> Errors:  # fmt: skip
    """Give each detection its error.

    row: int64 [M], rows of `overlaps`. category: int32 [M]. score: float64 [M]. wrong: bool [M], the detections to
    explain. object_category: int32 [G]. counts: bool [G], objects that can be found; the others are left out.
    used: bool [G], objects that a detection takes.

    If several detections of an object have the best score, the first in file order is fixed, as in the published code.
    """
    kind, target = _assign(
        row, category, wrong, overlaps.start, overlaps.object, overlaps.iou, object_category, counts, used
    )
    pointing = np.flatnonzero(target != NO_OBJECT)
    pointing = pointing[~used[target[pointing]]]
    pointing = pointing[np.lexsort((row[pointing], -score[pointing], target[pointing]))]
    best = pointing[np.r_[True, np.diff(target[pointing]) != 0]] if len(pointing) else pointing
    fixed_object = np.full(len(row), NO_OBJECT, np.int32)
    fixed_object[best] = target[best]
    missed = counts & ~used
    missed[target[pointing]] = False
    return Errors(kind, fixed_object, missed)


@numba.njit(cache=True, nogil=True)
def _assign(
    row: Longs, category: Ints, wrong: Bools, pair_start: Longs, pair_object: Ints, pair_iou: Floats,
    object_category: Ints, counts: Bools, used: Bools,
) -> tuple[npt.NDArray[np.int8], Ints]:  # fmt: skip
    """The kind of each error, and the object that a Loc or Cls error points to: the first with the greatest IoU."""
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
"""Name of the curve with nothing fixed."""


@dataclass(frozen=True, slots=True)
class TideRules:
    """The rules that differ between the two modes."""

    mode: TideMode
    recalls: Floats
    """float64 [101]."""
    epsilon: float
    """Added to the denominator of precision."""
    empty_counts: bool
    """A category with detections but no objects counts as AP 0 rather than being left out."""
    clamp: bool
    """A negative gain of a main error is shown as 0."""


ALIGNED = TideRules("aligned", RECALL_THRESHOLDS, EPSILON, empty_counts=False, clamp=False)


@dataclass(frozen=True, slots=True)
class Points:
    """M detections of a precision-recall curve, with their errors, and the G objects of C categories."""

    category: Ints
    """int32 [M]."""
    hit: Bools
    """bool [M], true positives."""
    shown: Bools
    """bool [M], on the curve (not ignored)."""
    errors: Errors
    before: Longs
    """int64 [M], the order of the curve with nothing fixed, best first over all categories."""
    after: Longs
    """int64 [M], the order after a fix; in tidecv equal scores are ordered differently."""
    object_category: Ints
    """int32 [G]."""
    counts: Bools
    """bool [G], objects that can be found."""
    used: Bools
    """bool [G], objects that were found."""
    num_categories: int
    """C."""


def aligned(
    detections: Detections, overlaps: Overlaps, objects: Objects, matches: Matches, groups: Mapping[str, Bools]
) -> Tide:
    """The breakdown by the rules of the report, over all categories and each of `groups` (bool [C], by name)."""
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


def break_down(points: Points, rules: TideRules, groups: Mapping[str, Bools]) -> Tide:
    """Fix each kind of error alone and take the difference of the mean AP, overall and in each group."""
    curves = fixed_curves(points)
    with ThreadPoolExecutor(THREADS) as pool:
        found = pool.map(lambda curve: _ap(curve, points, rules), curves.values())
        ap = dict(zip(curves, found, strict=True))
    overall = gains(ap, rules, np.ones(points.num_categories, bool))
    by_group = {name: gains(ap, rules, member) for name, member in groups.items()}
    return Tide(rules.mode, overall.AP50, overall.main, overall.special, by_group)


def gains(ap: Mapping[str, Floats], rules: TideRules, member: Bools) -> TideGains:
    """The gains over the categories that are `member` (bool [C]).

    ap: float64 [C] of each of `fixed_curves`, NaN for categories that are left out.
    """
    base = mean(ap[BASE][member])
    gain = {name: _gain(base, mean(one[member])) for name, one in ap.items() if name != BASE}
    main = {name: _shown(gain[name], rules) for name in (*MAIN_ERRORS, "Miss")}
    return TideGains(base, main, {name: gain[name] for name in SPECIAL})


@dataclass(frozen=True, slots=True)
class FixedCurve:
    """The precision-recall curves with at most one kind of error fixed; fields as in `Points`."""

    order: Longs
    """int64 [M], best first."""
    keep: Bools
    """bool [M], on the curve."""
    category: Ints
    hit: Bools
    objects: Bools
    """bool [G], objects that count."""


def fixed_curves(points: Points) -> dict[str, FixedCurve]:
    """The curves with nothing fixed (`BASE`), and with each kind of error fixed alone."""
    base = FixedCurve(points.before, points.shown, points.category, points.hit, points.counts)
    return {BASE: base, **_main(points), **_special(points)}


def _main(points: Points) -> dict[str, FixedCurve]:
    """Each of the six main errors fixed."""
    errors, curves = points.errors, {}
    for name, kind in MAIN_ERRORS.items():
        of_kind = errors.kind == kind
        fixed = np.flatnonzero(of_kind & (errors.fixed_object != NO_OBJECT))
        keep, hit, category = points.shown & ~of_kind, points.hit, points.category
        if len(fixed):
            keep[fixed] = True
            hit, category = hit.copy(), category.copy()
            hit[fixed], category[fixed] = True, points.object_category[errors.fixed_object[fixed]]
        curves[name] = FixedCurve(points.after, keep, category, hit, points.counts)
    curves["Miss"] = FixedCurve(points.after, points.shown, points.category, points.hit, points.counts & ~errors.missed)
    return curves


def _special(points: Points) -> dict[str, FixedCurve]:
    """No false positive before a hit (FalsePos); only the objects that were found (FalseNeg)."""
    hits_first = points.after[np.argsort(~points.hit[points.after], kind="stable")]
    return {
        "FalsePos": FixedCurve(hits_first, points.shown, points.category, points.hit, points.counts),
        "FalseNeg": FixedCurve(points.after, points.shown, points.category, points.hit, points.used),
    }


def _ap(curve: FixedCurve, points: Points, rules: TideRules) -> Floats:
    """AP of each category over the kept detections: float64 [C], NaN for categories that are left out."""
    num_objects = np.bincount(points.object_category[curve.objects], minlength=points.num_categories)
    row = curve.order[curve.keep[curve.order]]
    category = curve.category[row]
    by_category = np.argsort(sort_key(category), kind="stable")
    start = np.searchsorted(category[by_category], np.arange(len(num_objects) + 1))
    ap = single_curve(start, curve.hit[row[by_category]], num_objects, rules.recalls, rules.epsilon)
    defined = num_objects > 0
    if rules.empty_counts:
        defined = defined | (np.diff(start) > 0)
    return np.where(defined, ap, np.nan)


def _shown(gain: Value, rules: TideRules) -> Value:
    return max(gain, 0.0) if gain is not None and rules.clamp else gain


def _gain(before: Value, after: Value) -> Value:
    return None if before is None or after is None else after - before
