"""The metrics of some of the categories, from all of their rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import IouType
from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.average_precision import Curves, curves, recall_at
from longtail_cli.evaluation.bootstrap import metrics as bootstrap
from longtail_cli.evaluation.bootstrap.metrics import Weighted
from longtail_cli.evaluation.bootstrap.resampling import Weightings, drawn_once
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.matching import UNMATCHED, Matches, counts_of
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.resamples import (
    FIXED,
    HEADLINE,
    TIDE,
    CurveStore,
    ShareCurves,
    StoredCurves,
    curves_of_share,
)
from longtail_cli.evaluation.parts.rows import CAPPED, COUNTED, MOVED, MatchedRows, bits_of
from longtail_cli.evaluation.protocol import Objects, Protocol
from longtail_cli.evaluation.reliability import are_confidences, sums_of
from longtail_cli.evaluation.selection import FIXED_AP_PER_CATEGORY, Scored, best_of, in_order
from longtail_cli.evaluation.thresholds import CategoryPoints, of_categories
from longtail_cli.tables import Bools, Floats, Ints, Longs


@dataclass(frozen=True, slots=True)
class Rules:
    """What the metrics of categories depend on beside their rows: the objects of all images, and what is computed."""

    protocol: Protocol
    options: EvaluationOptions
    objects: Objects
    """G, of all images."""
    object_order: Longs
    """int64 [G], the rows of the objects by category, ascending within one."""
    object_start: Longs
    """int64 [C + 1]; category c has the objects ``object_order[object_start[c]:object_start[c + 1]]``."""
    groups: Mapping[str, Bools]
    """bool [C] by group name."""
    iou_type: IouType
    draws: Weightings | None
    """Resamples of all images, or None."""
    resampled_sizes: bool
    """Whether the metrics by object size are computed for them."""

    @classmethod
    def of(cls, evaluation: Evaluation) -> Rules:
        """Those of an evaluation of all images."""
        number, category = len(evaluation.ground_truth.categories), evaluation.objects.category
        return cls(
            protocol=evaluation.protocol,
            options=evaluation.options,
            objects=evaluation.objects,
            object_order=np.argsort(category, kind="stable"),
            object_start=np.append(0, np.cumsum(np.bincount(category, minlength=number))),
            groups=evaluation.groups,
            iou_type=evaluation.iou_type,
            draws=None if evaluation.draws is None else drawn_once(evaluation.draws),
            resampled_sizes=evaluation.resampled_sizes,
        )

    @property
    def categories(self) -> int:
        """C."""
        return len(self.object_start) - 1

    def objects_of(self, category: Longs) -> Longs:
        """The rows of the objects of some categories, int64 [c]: int64 [g], ascending."""
        parts = [self.object_order[self.object_start[c] : self.object_start[c + 1]] for c in category.tolist()]
        return np.sort(np.concatenate(parts)) if parts else np.zeros(0, np.int64)

    def numbers_of(self, category: Longs) -> Ints:
        """The position of each category in `category` (int64 [c]), -1 for others: int32 [C]."""
        own = np.full(self.categories, -1, np.int32)
        own[category] = np.arange(len(category))
        return own

    def own_objects(self, category: Longs) -> Objects:
        """The objects of some categories, in the order of `objects_of`, with these categories numbered from 0."""
        inside = self.objects_of(category)
        columns = ("row", "image", "area", "ignore", "crowd", "excluded")
        return replace(
            self.objects,
            start=np.zeros(0, np.int64),
            category=self.numbers_of(category)[self.objects.category[inside]],
            **{name: getattr(self.objects, name)[inside] for name in columns},
        )


@dataclass(frozen=True, slots=True)
class PooledRows:
    """P rows for pooled AP, in the order of evaluation within each category."""

    category: Ints
    image: Ints
    score: Floats
    true_positive: npt.NDArray[np.uint16]
    """uint16 [P], over all sizes."""
    ignored: npt.NDArray[np.uint16]
    """uint16 [P], over all sizes."""


@dataclass(frozen=True, slots=True)
class TruePositives:
    """The true positives at IoU 0.5 within the limits of the protocol, for what depends on all categories together."""

    category: Ints
    """int32 [H]."""
    score: Floats
    """float64 [H], within a category from high to low."""
    gap: Floats | None
    """float64 [H], 1 - IoU with the object; None unless thresholds are computed."""


@dataclass(frozen=True, slots=True)
class ShareMetrics:
    """The metrics of c categories of one run and one IoU type."""

    category: Longs
    """int64 [c], ascending, indices of the categories."""
    curves: Curves
    """[10, c, 4]."""
    ranked: Mapping[int, Floats]
    """float64 [10, c] by the number of detections, see `recall_at`."""
    fixed: Floats | None
    """float64 [10, c], for Fixed AP; or None."""
    pooled: PooledRows | None
    tide: Mapping[str, Floats] | None
    """float64 [c] by the names of `tide.fixed_ap`; None without TIDE."""
    true_positives: TruePositives | None
    """None without TIDE and thresholds."""
    points: Sequence[CategoryPoints] | None
    """The best thresholds of the c categories, or None."""
    calibration: Floats | None
    """float64 [c, BINS, 4], see `reliability.sums_of`; zeros if a score is no confidence, None unless computed."""
    resampled: Mapping[str, Mapping[str, ShareCurves | StoredCurves]]
    """The curves of all resamples by their metrics (`HEADLINE`, `FIXED`, `TIDE`) and name; empty without resamples."""

    def with_curves_in(self, store: CurveStore) -> ShareMetrics:
        """The same, with the curves of resamples in a file. Raises OSError if it cannot be written to."""
        stored = {
            name: {curve: store.add(one) if isinstance(one, ShareCurves) else one for curve, one in curves.items()}
            for name, curves in self.resampled.items()
        }
        return replace(self, resampled=stored)


@dataclass(frozen=True, slots=True)
class Share:
    """The objects and rows of c categories, numbered from 0."""

    category: Longs
    """int64 [c]."""
    objects: Objects
    counts: Bools
    """bool [g, 4], see `Matches.counts`."""
    num_objects: Longs
    """int64 [c, 4]."""
    rows: MatchedRows
    """In the order of `tie`; categories and objects are those of the share."""
    scored: Scored

    def matches(self, within: Bools) -> Matches:
        """The matches of some of the rows, bool [N], in the order of evaluation."""
        rows = self.rows
        selection = in_order(self.scored, within, len(self.category))
        row = selection.row
        true_positive, ignored = bits_of(rows.true_positive[row]), bits_of(rows.ignored[row])
        rank = None if rows.rank is None else rows.rank[row].astype(np.int64)
        unknown = np.full(len(row), UNMATCHED, np.int32)
        return Matches(replace(selection, rank=rank), true_positive, ignored, unknown, self.num_objects, self.counts)


def share_metrics(rules: Rules, category: Longs, rows: MatchedRows) -> ShareMetrics:
    """The metrics of the categories `category` (int64 [c], ascending) from all rows of them, in any order."""
    share, options = share_of(rules, category, rows), rules.options
    narrow = share.matches((share.rows.flags & CAPPED) != 0)
    wide = wide_metrics(rules, share)
    points = _points(share, narrow) if options.tide == "aligned" else None
    return ShareMetrics(
        category=category,
        curves=curves(narrow),
        ranked={rank: recall_at(narrow, rank) for rank in summary.RANKS[rules.protocol.name]},
        fixed=wide.fixed,
        pooled=wide.pooled,
        tide=None if points is None else tide.fixed_ap(points, tide.ALIGNED),
        true_positives=_true_positives(share, narrow) if points is not None or options.thresholds else None,
        points=of_categories(share.scored, *_pairs(share, narrow)) if options.thresholds else None,
        calibration=_calibration(share, narrow) if options.reliability else None,
        resampled=_resampled(rules, share, narrow, wide.weighted, points),
    )


def share_of(rules: Rules, category: Longs, rows: MatchedRows) -> Share:
    """The categories `category` (int64 [c], ascending) with all rows of them, or some, in any order."""
    objects, rows = rules.own_objects(category), rows.in_order()
    found = None
    if rows.object is not None:
        found = np.full(len(rows), tide.NO_OBJECT, np.int32)
        known = np.flatnonzero(rows.object != tide.NO_OBJECT)
        found[known] = np.searchsorted(rules.objects_of(category), rows.object[known])
    rows = replace(rows, category=rules.numbers_of(category)[rows.category], object=found)
    counts = counts_of(objects)
    return Share(
        category=category,
        objects=objects,
        counts=counts,
        num_objects=np.column_stack([np.bincount(objects.category[of], minlength=len(category)) for of in counts.T]),
        rows=rows,
        scored=Scored(rows.image, rows.category, rows.score),
    )


def _within_fixed(share: Share) -> Bools:
    """Whether each row counts in Fixed AP and pooled AP: bool [N]."""
    rows = share.rows
    counted: Bools = (rows.flags & COUNTED) != 0
    row = np.flatnonzero((rows.flags & MOVED) == 0)
    assert rows.file_row is not None
    if np.bincount(rows.category[row]).max(initial=0) > FIXED_AP_PER_CATEGORY:
        row = row[np.argsort(rows.file_row[row], kind="stable")]
        best = best_of(rows.category[row], rows.score[row], FIXED_AP_PER_CATEGORY)
        if best is not None:
            counted[row] &= best
    return counted


@dataclass(frozen=True, slots=True)
class WideMetrics:
    """The metrics in which rows beyond the limits of the protocol count too."""

    fixed: Floats | None = None
    """See `ShareMetrics`."""
    pooled: PooledRows | None = None
    weighted: Mapping[str, Weighted] = field(default_factory=dict)
    """Of Fixed AP (`FIXED`), if it and resamples are computed."""


def wide_metrics(rules: Rules, share: Share) -> WideMetrics:
    """Those that are computed, from the best `FIXED_AP_PER_CATEGORY` rows of each category; more do no harm."""
    options = rules.options
    if not options.beyond_limits:
        return WideMetrics()
    wide, weighted = share.matches(_within_fixed(share)), dict[str, Weighted]()
    if options.fixed_ap and rules.draws is not None:
        weighted[FIXED] = bootstrap.fixed_curves(share.scored, share.objects, wide)
    return WideMetrics(
        fixed=curves(wide).ap[:, :, 0] if options.fixed_ap else None,
        pooled=_pooled(share, wide) if options.pooled_ap else None,
        weighted=weighted,
    )


def _pooled(share: Share, wide: Matches) -> PooledRows:
    row, scored = wide.selection.row, share.scored
    return PooledRows(
        share.category[scored.category[row]].astype(np.int32),
        scored.image[row],
        scored.score[row],
        wide.true_positive[:, 0].copy(),
        wide.ignored[:, 0].copy(),
    )


def _points(share: Share, narrow: Matches) -> tide.Points:
    """The rows within the limits with their errors, in the order of evaluation, then those that a fix moves here."""
    rows, selection = share.rows, narrow.selection
    assert rows.kind is not None
    assert rows.object is not None
    moved = np.flatnonzero(rows.flags & MOVED)
    row, none = np.concatenate([selection.row, moved]), np.zeros(len(moved), bool)
    hit = np.concatenate([(narrow.true_positive[:, 0] & 1) != 0, none])
    counts, used, pointed = share.counts[:, 0].copy(), *np.zeros((2, len(share.objects)), bool)
    found = rows.object[row]
    used[found[hit]] = True
    fixed_object = np.where(hit, np.int32(tide.NO_OBJECT), found)
    pointed[fixed_object[fixed_object != tide.NO_OBJECT]] = True
    in_order_already = np.zeros(0, np.int64)
    return tide.Points(
        image=share.scored.image[row],
        category=rows.category[row],
        hit=hit,
        shown=np.concatenate([(narrow.ignored[:, 0] & 1) == 0, none]),
        errors=tide.Errors(rows.kind[row], fixed_object, counts & ~used & ~pointed),
        score=rows.score[row],
        tie=rows.tie[row],
        start=selection.start,
        before=in_order_already,
        after=in_order_already,
        object_category=share.objects.category,
        counts=counts,
        used=used,
    )


def _true_positives(share: Share, narrow: Matches) -> TruePositives:
    row, iou = narrow.selection.row[(narrow.true_positive[:, 0] & 1) != 0], share.rows.iou
    category = share.category[share.rows.category[row]].astype(np.int32)
    return TruePositives(category, share.rows.score[row], None if iou is None else 1 - iou[row])


def _calibration(share: Share, narrow: Matches) -> Floats:
    """See `ShareMetrics.calibration`."""
    return sums_of(share.scored, *_pairs(share, narrow), defined=are_confidences(share.rows.score))


def _pairs(share: Share, narrow: Matches) -> tuple[Overlaps, Matches]:
    """Overlaps of which `narrow` are the matches, as far as rows know: each has one, with the object that it takes."""
    rows = share.rows
    assert rows.iou is not None
    pairs = Overlaps(np.arange(len(rows) + 1), np.zeros(len(rows), np.int32), rows.iou)
    return pairs, replace(narrow, taken=np.zeros(len(narrow.taken), np.int32))


def _resampled(
    rules: Rules, share: Share, narrow: Matches, wide: Mapping[str, Weighted], points: tide.Points | None
) -> dict[str, dict[str, ShareCurves]]:
    """See `ShareMetrics.resampled`. wide: of `WideMetrics`."""
    if rules.draws is None:
        return {}
    scored, objects = share.scored, share.objects
    sizes = rules.resampled_sizes
    weighted = {HEADLINE: bootstrap.headline_curves(scored, objects, narrow, rules.protocol, sizes=sizes), **wide}
    if points is not None:
        weighted[TIDE] = bootstrap.tide_curves(points, objects.image)
    return curves_of_share(weighted, rules.draws, share.category, rules.categories)
