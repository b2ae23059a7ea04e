"""TIDE: which error each detection makes, and what fixing it gains (Bolya et al., "TIDE", ECCV 2020, sec. 2.2).

The errors are tested in the order of the published code: Loc, Cls, Dupe, Bkg, Both.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import TideMode
from longtail_cli.engine import curves
from longtail_cli.engine import tide as engine
from longtail_cli.evaluation.average_precision import EPSILON
from longtail_cli.evaluation.false_positives import at_recalls
from longtail_cli.evaluation.geometry import MIN_IOU, Overlaps
from longtail_cli.evaluation.matching import UNMATCHED, Matches, counts_of
from longtail_cli.evaluation.protocol import RECALL_THRESHOLDS, Objects
from longtail_cli.evaluation.selection import descending, image_order
from longtail_cli.metrics import Tide, TideGains, Value, mean
from longtail_cli.parallel import Scalar, cuts_of, in_parts, in_threads, take
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

FOREGROUND_IOU = 0.5
"""t_f; t_b is `geometry.MIN_IOU`."""

NO_ERROR, LOC, CLS, DUPE, BKG, BOTH = engine.NO_ERROR, engine.LOC, engine.CLS, engine.DUPE, engine.BKG, engine.BOTH
NO_OBJECT = engine.NO_OBJECT


@dataclass(frozen=True, slots=True)
class Errors:
    """The errors of M detections. Those that AP ignores have errors too, so that they can explain a missed object."""

    kind: npt.NDArray[np.int8]
    """int8 [M], one of `NO_ERROR`, `LOC`, `CLS`, `DUPE`, `BKG`, `BOTH`."""
    fixed_object: Ints
    """int32 [M], the object that the detection takes once its Loc or Cls error is fixed: the unused object it points
    to, if no better-scored detection does; else `NO_OBJECT`."""
    missed: Bools
    """bool [G], objects that count, that no detection takes and no Loc or Cls error points to."""


@dataclass(frozen=True, slots=True)
class Explained:
    """The errors of M detections as far as they do not depend on scores, given which detections take an object."""

    kind: npt.NDArray[np.int8]
    """As in `Errors`."""
    target: Ints
    """int32 [M], the object that a Loc or Cls error points to, else `NO_OBJECT`."""


def explain(
    row: Longs, category: Ints, wrong: Bools, overlaps: Overlaps, object_category: Ints, counts: Bools, used: Bools
) -> Explained:
    """Find the error of each detection.

    row: int64 [M], rows of `overlaps`. category: int32 [M]. wrong: bool [M], the detections to explain.
    object_category: int32 [G]. counts: bool [G], objects that can be found; the others are left out.
    used: bool [G], objects that a detection takes.
    """
    kind, target = np.zeros(len(row), np.int8), np.full(len(row), NO_OBJECT, np.int32)
    paired = overlaps.start[1:] > overlaps.start[:-1]

    def explain_part(first: int, last: int) -> None:
        engine.assign(
            first, last, row, category, wrong, paired, overlaps.start, overlaps.object, overlaps.iou, object_category,
            counts, used, FOREGROUND_IOU, MIN_IOU, kind, target,
        )  # fmt: skip

    in_parts(explain_part, len(row))
    return Explained(kind, target)


def choose_fixes(explained: Explained, row: Longs, score: Floats, counts: Bools, used: Bools) -> Errors:
    """The errors, with the detections that take an object once they are fixed. score: float64 [M].

    If several detections of an object have the best score, the first in file order is fixed, as in the published code.
    """
    chosen = np.full(len(used), -1, np.int32)
    engine.first_choice(row, score, explained.target, used, chosen)
    fixed_object = np.full(len(row), NO_OBJECT, np.int32)
    pointed = np.flatnonzero(chosen >= 0)
    fixed_object[chosen[pointed]] = pointed
    return Errors(explained.kind, fixed_object, counts & ~used & (chosen < 0))


MAIN_ERRORS = {"Cls": CLS, "Loc": LOC, "Both": BOTH, "Dupe": DUPE, "Bkg": BKG}
SPECIAL = ("FalsePos", "FalseNeg")
BASE = "AP50"
"""Name of the curve with nothing fixed."""
CURVES = (BASE, *MAIN_ERRORS, "Miss", *SPECIAL)
"""Names of all curves."""


@dataclass(frozen=True, slots=True)
class TideRules:
    """The rules that differ between the two modes."""

    mode: TideMode
    recalls: Floats
    """float64 [101]."""
    epsilon: float
    """Added to the denominator of precision."""
    same_categories: bool
    """The means are over the categories with objects before any fix. If a fix removes all objects of one, its AP is 1
    if no false positive is left either, else 0. Otherwise (tidecv) each mean is over the categories with objects or
    detections left, with AP 0 without objects."""
    clamp: bool
    """A negative gain of a main error is shown as 0."""


ALIGNED = TideRules("aligned", RECALL_THRESHOLDS, EPSILON, same_categories=True, clamp=False)


@dataclass(frozen=True, slots=True)
class Points:
    """M detections with their errors, and the G objects of C categories.

    The first ``start[C]`` detections make the precision-recall curves of their categories. The others are on a curve
    only where a fix of their Cls error moves them there.
    """

    image: Ints
    """int32 [M]."""
    category: Ints
    """int32 [M]."""
    hit: Bools
    """bool [M], true positives."""
    shown: Bools
    """bool [M], on the curve (not ignored)."""
    errors: Errors
    score: Floats
    """float64 [M]."""
    tie: Longs
    """int64 [M], all different; equal scores are in ascending order of it after a fix, and with nothing fixed but in
    tidecv."""
    start: Longs
    """int64 [C + 1]; category c owns ``before[start[c]:start[c + 1]]``, and so in `after`."""
    before: Longs
    """int64 [start[C]], the order of the curve with nothing fixed, by category, best first; empty if it is that of the
    detections."""
    after: Longs
    """int64 [start[C]], the order after a fix; empty if it is that of the detections."""
    object_category: Ints
    """int32 [G]."""
    counts: Bools
    """bool [G], objects that can be found."""
    used: Bools
    """bool [G], objects that were found."""

    @property
    def num_categories(self) -> int:
        """C."""
        return len(self.start) - 1


@dataclass(frozen=True, slots=True)
class Outcomes:
    """What becomes of the selected detections by the rules of the report; it follows from their order."""

    category: Ints
    """int32 [M]."""
    hit: Bools
    """bool [M]."""
    shown: Bools
    """bool [M]."""
    counts: Bools
    """bool [G], objects that can be found."""
    used: Bools
    """bool [G], objects that a detection takes."""
    explained: Explained


def outcomes(overlaps: Overlaps, objects: Objects, matches: Matches) -> Outcomes:
    """The outcomes of `matches`, which do not change with scores if the order within each category stays."""
    row, start = matches.selection.row, matches.selection.start
    hit, shown, wrong = np.empty((3, len(row)), bool)
    used = np.zeros(len(objects), bool)

    def read(low: int, high: int) -> None:
        np.equal(matches.true_positive[low:high, 0] & 1, 1, out=hit[low:high])
        np.equal(matches.ignored[low:high, 0] & 1, 0, out=shown[low:high])
        np.logical_not(hit[low:high], out=wrong[low:high])
        taken = matches.taken[low:high]
        used[taken[taken != UNMATCHED]] = True

    in_parts(read, len(row))
    category = np.repeat(np.arange(len(start) - 1, dtype=np.int32), np.diff(start))
    counts = matches.counts[:, 0].copy()
    explained = explain(row, category, wrong, overlaps, objects.category, counts, used)
    return Outcomes(category, hit, shown, counts, used, explained)


@dataclass(frozen=True, slots=True)
class Unjudged:
    """Detections with a Cls error that are not evaluated, as their image does not judge their category (LVIS).

    The image holds no object of their category that counts, so they can have no Loc error.
    """

    row: Longs
    """int64 [U], rows of the `Detections`, ascending."""
    target: Ints
    """int32 [U], the object that the error points to."""


NO_UNJUDGED = Unjudged(np.zeros(0, np.int64), np.zeros(0, np.int32))


def unjudged(detections: Detections, row: Longs, overlaps: Overlaps, objects: Objects) -> Unjudged:
    """Those of the detections `row` (int64 [N], ascending) that have a Cls error. overlaps: of these N."""
    category, wrong = take(detections.category, row), np.ones(len(row), bool)
    counts, used = counts_of(objects)[:, 0].copy(), np.zeros(len(objects), bool)  # `used` only tells Dupe from Bkg
    found = explain(np.arange(len(row)), category, wrong, overlaps, objects.category, counts, used)
    pointing = np.flatnonzero(found.kind == CLS)
    return Unjudged(row[pointing], found.target[pointing])


def under_cap(found: Unjudged, within: Bools | None) -> Unjudged:
    """Those of `found` that are `within` the cap: bool [N], or None for all."""
    if within is None:
        return found
    inside = np.flatnonzero(within[found.row])
    return Unjudged(found.row[inside], found.target[inside])


def best_unjudged(detections: Detections, found: Unjudged, used: Bools) -> Unjudged:
    """For each object that no detection takes, the best of the detections that point to it, if any. used: bool [G]."""
    chosen = np.full(len(used), -1, np.int32)
    engine.first_choice(found.row, take(detections.score, found.row), found.target, used, chosen)
    best = np.sort(chosen[chosen >= 0])
    return Unjudged(found.row[best], found.target[best])


def aligned_points(
    detections: Detections, row: Longs, start: Longs, objects: Objects, found: Outcomes, others: Unjudged
) -> Points:
    """The detections with their errors, in the order of the `Selection`, then `others`.

    row: int64 [M], rows of the selected detections. start: int64 [C + 1], see `Selection`. others: see `best_unjudged`.
    """
    own, extra = found.explained, len(others.row)
    row = _joined(row, others.row)
    score = take(detections.score, row)
    explained = Explained(
        _joined(own.kind, np.full(extra, CLS, np.int8)),
        _joined(own.target, others.target),
    )
    errors = choose_fixes(explained, row, score, found.counts, found.used)
    category = _joined(found.category, detections.category[others.row])
    hit, shown = (_joined(flags, np.zeros(extra, bool)) for flags in (found.hit, found.shown))
    in_order = np.zeros(0, np.int64)
    return Points(
        take(detections.image, row), category, hit, shown, errors, score, image_order(detections, row), start,
        in_order, in_order, objects.category, found.counts, found.used & found.counts,
    )  # fmt: skip


def _joined(values: npt.NDArray[Scalar], more: npt.NDArray[Scalar]) -> npt.NDArray[Scalar]:
    """Both together, without a copy if there are no more."""
    return np.concatenate([values, more]) if len(more) else values


def aligned(points: Points, groups: Mapping[str, Bools]) -> Tide:
    """The breakdown by the rules of the report, over all categories and each of `groups` (bool [C], by name)."""
    return break_down(points, ALIGNED, groups)


def break_down(points: Points, rules: TideRules, groups: Mapping[str, Bools]) -> Tide:
    """Fix each kind of error alone and take the difference of the mean AP, overall and in each group."""
    ap = fixed_ap(points, rules)
    members = {"": np.ones(points.num_categories, bool), **groups}
    false = at_recalls(
        points.score, points.category, points.hit, points.shown, points.object_category[points.counts], members
    )
    found = {name: replace(gains(ap, rules, one), false_positives=false[name]) for name, one in members.items()}
    overall = found.pop("")
    return Tide(rules.mode, overall.AP50, overall.main, overall.special, found, overall.false_positives)


def fixed_ap(points: Points, rules: TideRules) -> dict[str, Floats]:
    """AP of each category on each of `fixed_curves`: float64 [C], NaN for categories that are left out."""
    errors, number = points.errors, points.num_categories
    fixed = errors.fixed_object != NO_OBJECT
    moved = np.flatnonzero(fixed & (errors.kind == CLS))
    goal = points.object_category[errors.fixed_object[moved]]
    order = np.lexsort((points.tie[moved], -points.score[moved], goal))
    moved_start = np.searchsorted(goal[order], np.arange(number + 1))
    groups = (points.counts, points.counts & ~errors.missed, points.used)
    objects = np.array([np.bincount(points.object_category[of], minlength=number) for of in groups]).T
    dropped = np.array(list(MAIN_ERRORS.values()), np.int32)
    ap, kept = np.zeros((len(CURVES), number)), np.zeros((len(CURVES), number), np.int64)

    def reduce(first: int, last: int) -> None:
        curves.fixed_curves(
            first, last, points.start, points.before, points.after, moved_start, moved[order], points.score,
            points.tie, points.hit, points.shown, errors.kind, fixed, dropped, CLS, objects[:, :2].copy(),
            objects[:, 2].copy(), rules.recalls, rules.epsilon, ap, kept,
        )  # fmt: skip

    in_threads(reduce, cuts_of(points.start))
    return of_categories(ap, kept, objects, rules)


def of_categories(ap: Floats, kept: Longs, objects: Longs, rules: TideRules) -> dict[str, Floats]:
    """As `fixed_ap`, from the AP on each of `CURVES`, 0 without objects: float64 [K, C].

    kept: int64 [K, C], the detections on each curve. objects: int64 [C, 3], those that count, of them those that are
    not missed, and those that were found.
    """
    left = dict.fromkeys(CURVES, objects[:, 0]) | {"Miss": objects[:, 1], "FalseNeg": objects[:, 2]}
    emptied = np.array([left[name] for name in CURVES]) == 0
    if rules.same_categories:
        ap = np.where(emptied & (kept == 0), 1.0, ap)
        defined = np.broadcast_to(objects[:, 0] > 0, ap.shape)
    else:
        defined = ~emptied | (kept > 0)
    return dict(zip(CURVES, np.where(defined, ap, np.nan), strict=True))


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
    """The curves with nothing fixed (`BASE`), and with each kind of error fixed alone.

    For points whose order is the same with nothing fixed, as in `aligned`.
    """
    by_tie = np.argsort(points.tie, kind="stable")
    order = by_tie[descending(points.score[by_tie])]
    base = FixedCurve(order, points.shown, points.category, points.hit, points.counts)
    main = {name: _without(points, order, kind) for name, kind in MAIN_ERRORS.items()}
    return {
        BASE: base,
        **main,
        "Miss": replace(base, objects=points.counts & ~points.errors.missed),
        "FalsePos": replace(base, order=order[np.argsort(~points.hit[order], kind="stable")]),
        "FalseNeg": replace(base, objects=points.used),
    }


def _without(points: Points, order: Longs, kind: int) -> FixedCurve:
    """The curve with one of the five errors of detections fixed."""
    of_kind = points.errors.kind == kind
    fixed = np.flatnonzero(of_kind & (points.errors.fixed_object != NO_OBJECT))
    keep, hit, category = points.shown & ~of_kind, points.hit, points.category
    if len(fixed):
        keep[fixed] = True
        hit, category = hit.copy(), category.copy()
        hit[fixed], category[fixed] = True, points.object_category[points.errors.fixed_object[fixed]]
    return FixedCurve(order, keep, category, hit, points.counts)


def _shown(gain: Value, rules: TideRules) -> Value:
    return max(gain, 0.0) if gain is not None and rules.clamp else gain


def _gain(before: Value, after: Value) -> Value:
    return None if before is None or after is None else after - before
