"""Evaluation of detections: geometry once for equal boxes, then every metric for each set of scores."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import cached_property

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import IOU_TYPES, IouType
from longtail_cli.errors import check_choice
from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.average_precision import Curves, curves, pooled_ap, recall_at
from longtail_cli.evaluation.bootstrap import metrics as bootstrap
from longtail_cli.evaluation.bootstrap.permutation import Comparable, Matched, Swaps, falling_with_rank, side_by_side
from longtail_cli.evaluation.bootstrap.resampling import Reduction as Resampling
from longtail_cli.evaluation.bootstrap.resampling import Resampled, Weightings, resampled
from longtail_cli.evaluation.geometry import Overlaps, mask_areas, overlaps, rows_of
from longtail_cli.evaluation.matching import Matches, match
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.per_image import Mistakes, per_image
from longtail_cli.evaluation.protocol import NOT_EXHAUSTIVE, Objects, Protocol, judgements, objects_of
from longtail_cli.evaluation.reliability import are_confidences, reliability
from longtail_cli.evaluation.selection import (
    Scored,
    Selection,
    best_per_category,
    capped,
    in_order,
    judged_rows,
    still_in_order,
    within_limits,
)
from longtail_cli.evaluation.tidecv import tidecv
from longtail_cli.metrics import ImageMetrics, Metrics, Reliability, Tide, Value, Values
from longtail_cli.parallel import in_parts, take
from longtail_cli.tables import Bools, Detections, Floats, GroundTruth, Ints, Longs


@dataclass(frozen=True, slots=True)
class DetectionMetrics:
    """The metrics of one set of detections for one IoU type; None for those that the options leave out."""

    headline: Values
    """AP, AP50, ... as `summary.headline` names them."""
    fixed: Values | None
    """Fixed AP: AP, APr, APc, APf."""
    pooled: Values | None
    """Pooled AP: AP, APr, APc, APf."""
    tide: Tide | None
    reliability: Reliability | None
    per_category: list[dict[str, Value]] | None
    """AP, AP50, ... and the calibration errors of each category, in category order."""
    resampled: Resampled | None
    """The headline metrics, Fixed AP, pooled AP and the gains of `aligned` TIDE in each resample, by their names in a
    report (``bbox/AP``, ``bbox/APfixed/AP``, ``tide/bbox/r/Cls``)."""
    images: ImageMetrics | None = None

    def as_metrics(self) -> Metrics:
        """The headline metrics, with Fixed AP under ``APfixed`` and pooled AP under ``APpool``, as in a report."""
        further = {"APfixed": self.fixed, "APpool": self.pooled}
        return {**self.headline, **{name: values for name, values in further.items() if values is not None}}


@dataclass(frozen=True, slots=True)
class Candidates:
    """The detections of a file that can count, without their scores: what sets of scores for equal boxes share.

    Under LVIS those with an area, of categories that their image judges; under COCO all.
    """

    row: Longs
    """int64 [N], rows of the `Detections`, ascending."""
    image: Ints
    """int32 [N]."""
    category: Ints
    """int32 [N]."""
    area: Floats
    """float64 [N], pixels."""
    not_exhaustive: Bools
    """bool [N], whether the image does not annotate the category exhaustively."""
    overlaps: Overlaps
    every_overlap: Overlaps | None
    """The overlaps of all detections, for tidecv; else None."""
    unjudged: tide.Unjudged
    """For TIDE (`aligned`), else none."""


@dataclass(frozen=True, slots=True)
class Reduction:
    """Matches and curves of the detections that are `within` a cap."""

    within: Bools | None
    """bool [N], of the candidates; None for all."""
    order: Selection
    """All of them, from which COCO's cap per category takes the best."""
    matches: Matches
    curves: Curves


@dataclass(frozen=True, slots=True)
class Ordered:
    """The metrics that follow from the order of the detections within each category, whatever their scores."""

    capped: Reduction
    """With the cap of the protocol."""
    wide: Reduction | None
    """For Fixed AP and pooled AP, without a cap per image; or None."""
    ranked: Mapping[int, Floats]
    """Recall with the best few of each image and category, by their number."""
    outcomes: tide.Outcomes | None
    """For TIDE (`aligned`), or None."""
    resampled: Resampled
    """The headline metrics and Fixed AP in each resample; empty without resamples."""


@dataclass(frozen=True, slots=True)
class Evaluated:
    """The metrics of one set of scores, and what the next one can share."""

    metrics: DetectionMetrics
    ordered: Ordered
    matched: Matched
    """For a permutation test against another run."""


@dataclass(frozen=True)
class Evaluation:
    """Ground truth prepared under a protocol for one IoU type, to evaluate any number of sets of detections."""

    ground_truth: GroundTruth
    protocol: Protocol
    iou_type: IouType
    groups: Mapping[str, Bools]
    """bool [C] by group name."""
    options: EvaluationOptions
    objects: Objects
    draws: Weightings | None
    """Resamples for a bootstrap, or folds; or None."""
    resampled_sizes: bool = True
    """Whether the metrics by object size are computed for them."""

    @classmethod
    def prepare(
        cls, ground_truth: GroundTruth, protocol: Protocol, iou_type: IouType, groups: Mapping[str, Bools],
        options: EvaluationOptions, draws: Weightings | None = None, *, resampled_sizes: bool = True,
    ) -> Evaluation:  # fmt: skip
        """Sort the objects by image. Raises UsageError for unknown IoU types."""
        check_choice("iou_types", iou_type, IOU_TYPES)
        objects = objects_of(ground_truth, protocol)
        return cls(ground_truth, protocol, iou_type, groups, options, objects, draws, resampled_sizes)

    @cached_property
    def judged(self) -> npt.NDArray[np.uint8] | None:
        """uint8 [I, C], see `protocol.judgements`; None under COCO. Computed for the first candidates."""
        return judgements(self.ground_truth, self.objects) if self.protocol.federated else None

    def candidates(self, detections: Detections) -> Candidates:
        """What the metrics need besides the scores, so that equal boxes can share it."""
        return self._candidates(
            detections, lambda row: overlaps(detections, self.ground_truth, self.objects, self.iou_type, row)
        )

    def candidates_of_boxes(self, detections: Detections, pairs: Overlaps, box: Longs) -> Candidates:
        """The same for detections that share boxes: `pairs` of the boxes, and the box of each detection, int64 [N]."""
        return self._candidates(detections, lambda row: rows_of(pairs, box[row]))

    def overlaps_of_boxes(self, boxes: Detections) -> Overlaps:
        """The overlaps of boxes shared by detections of any category."""
        return overlaps(boxes, self.ground_truth, self.objects, self.iou_type, np.arange(len(boxes)))

    def _candidates(self, detections: Detections, pairs_of: Callable[[Longs], Overlaps]) -> Candidates:
        area, judged, number = self._area(detections), self.judged, len(detections)
        if judged is None:
            every, all_count = np.arange(number), np.zeros(number, bool)
            pairs = pairs_of(every)
            return Candidates(
                every, detections.image, detections.category, area, all_count, pairs, pairs, tide.NO_UNJUDGED
            )
        row, mode = judged_rows(detections, area, judged), self.options.tide
        all_pairs = pairs_of(np.arange(number)) if mode == "tidecv" else None
        pairs = pairs_of(row) if all_pairs is None else rows_of(all_pairs, row)
        unjudged = tide.NO_UNJUDGED
        if mode == "aligned":
            others = _others(row, number)
            unjudged = tide.unjudged(detections, others, pairs_of(others), self.objects)
        image, category = take(detections.image, row), take(detections.category, row)
        not_exhaustive = np.empty(len(row), bool)

        def look_up(low: int, high: int) -> None:
            flags = judged[image[low:high], category[low:high]]
            np.not_equal(flags & NOT_EXHAUSTIVE, 0, out=not_exhaustive[low:high])

        in_parts(look_up, len(row))
        return Candidates(row, image, category, take(area, row), not_exhaustive, pairs, all_pairs, unjudged)

    def metrics(self, detections: Detections, candidates: Candidates) -> DetectionMetrics:
        """The metrics of one set of scores. candidates: of the same boxes or masks."""
        return self.evaluate(detections, candidates, None).metrics

    def evaluate(self, detections: Detections, candidates: Candidates, before: Ordered | None) -> Evaluated:
        """The metrics of one set of scores. candidates: of the same boxes or masks.

        before: of other scores of the same candidates. What follows from the order of the detections within each
        category is taken from there if the order is the same.
        """
        scored = Scored(candidates.image, candidates.category, take(detections.score, candidates.row))
        within = within_limits(detections, self.protocol.max_dets if self.protocol.federated else None)
        ordered = self._ordered(detections, scored, within, candidates, before)
        unjudged = tide.under_cap(candidates.unjudged, within)
        points = self._aligned_points(detections, unjudged, candidates, ordered)
        matches, pairs = ordered.capped.matches, candidates.overlaps
        found = self._matched(scored, points, ordered.capped, ordered.wide)
        calibration = None
        if self.options.reliability:
            confident = are_confidences(detections.score)
            calibration = reliability(scored, pairs, matches, self.groups, defined=confident)
        reduced = ordered.capped.curves
        per_category = summary.per_category(reduced, self.protocol) if self.options.per_category else None
        if per_category is not None and calibration is not None:
            per_category = [own | errors for own, errors in zip(per_category, calibration.per_category, strict=True)]
        metrics = DetectionMetrics(
            headline=summary.headline(reduced, ordered.ranked, self.protocol, self.groups),
            fixed=self._fixed(ordered.wide),
            pooled=self._pooled(scored, ordered.wide),
            tide=self._tide(detections, candidates, points),
            reliability=None if calibration is None else calibration.metrics,
            per_category=per_category,
            resampled=None
            if self.draws is None
            else ordered.resampled | _resample(self._reductions(found), self.draws),
            images=self._images(detections, scored, unjudged, ordered) if self.options.per_image else None,
        )
        return Evaluated(metrics, ordered, found)

    def _ordered(
        self, detections: Detections, scored: Scored, within: Bools | None, candidates: Candidates,
        before: Ordered | None,
    ) -> Ordered:  # fmt: skip
        """within: bool [N], the detections under the limits of their image; None for all."""
        protocol = self.protocol
        own = None if within is None else within[candidates.row]
        narrow = self._reduction(scored, own, candidates, None if before is None else before.capped, limited=True)
        wide = self._wide(detections, scored, candidates, narrow, None if before is None else before.wide)
        if before is not None and narrow is before.capped and wide is before.wide:
            return before
        found = self._matched(scored, None, narrow, wide)
        return Ordered(
            capped=narrow,
            wide=wide,
            ranked={rank: recall_at(narrow.matches, rank) for rank in summary.RANKS[protocol.name]},
            outcomes=tide.outcomes(candidates.overlaps, self.objects, narrow.matches)
            if self.options.tide == "aligned"
            else None,
            resampled={} if self.draws is None else _resample(self._reductions_in_order(found), self.draws),
        )

    def _reduction(
        self, scored: Scored, within: Bools | None, candidates: Candidates, before: Reduction | None, *, limited: bool
    ) -> Reduction:
        """Order, match and reduce the detections that are `within`, or take it from `before` if nothing changes.

        limited: apply COCO's cap per image and category.
        """
        if before is not None and _equal(within, before.within) and still_in_order(before.order, scored):
            return before
        number = len(self.ground_truth.categories)
        selection = order = in_order(scored, within, number)
        if limited and not self.protocol.federated:
            selection = capped(order, scored, self.protocol.max_dets)
        matches = match(
            selection, candidates.overlaps, self.objects, candidates.category, candidates.area,
            candidates.not_exhaustive, number,
        )  # fmt: skip
        return Reduction(within, order, matches, curves(matches))

    def _wide(
        self, detections: Detections, scored: Scored, candidates: Candidates, narrow: Reduction,
        before: Reduction | None,
    ) -> Reduction | None:  # fmt: skip
        """The matches of Fixed AP and pooled AP, which evaluate the same detections, without a cap per image."""
        if not self.options.beyond_limits:
            return None
        within = best_per_category(detections)
        if within is None and len(narrow.matches.selection.row) == len(candidates.row):
            return narrow
        own = None if within is None else within[candidates.row]
        return self._reduction(scored, own, candidates, before, limited=False)

    def _fixed(self, wide: Reduction | None) -> Values | None:
        if wide is None or not self.options.fixed_ap:
            return None
        return summary.grouped_ap(wide.curves.ap[:, :, 0], self.groups)

    def _pooled(self, scored: Scored, wide: Reduction | None) -> Values | None:
        if wide is None or not self.options.pooled_ap:
            return None
        return pooled_ap(scored, wide.matches, self.groups)

    def comparable(self, detections: Detections, candidates: Candidates, found: Evaluated) -> Comparable:
        """The run, ready to exchange images with another. found: of the same detections."""
        category, score, number = detections.category, detections.score, len(self.ground_truth.categories)
        matched, wide_score = found.matched, None
        rank = falling_with_rank(category, score, number)
        if detections.within_limit is not None:
            wide_score = take(rank, candidates.row)
            rank, inside = np.zeros(len(score)), np.flatnonzero(detections.within_limit)
            rank[inside] = falling_with_rank(category[inside], score[inside], number)
        ranked = replace(matched.scored, score=take(rank, candidates.row))
        return Comparable(matched, replace(matched, scored=ranked, points=None, wide_score=wide_score))

    def swapped(self, first: Comparable, second: Comparable, swaps: Swaps) -> Resampled:
        """The metrics of two runs after each exchange of images, by the names of `DetectionMetrics.resampled`."""
        in_order = self._reductions_in_order(side_by_side(first.by_rank, second.by_rank))
        return _resample(in_order | self._reductions(side_by_side(first.by_score, second.by_score)), swaps)

    def _reductions_in_order(self, found: Matched) -> dict[str, Resampling]:
        """What follows from the order within each category, by the prefix of its names."""
        headline = bootstrap.headline(
            found.scored, found.objects, found.capped, self.protocol, self.groups, sizes=self.resampled_sizes
        )
        reductions = {f"{self.iou_type}/": headline}
        if found.wide is not None and self.options.fixed_ap:
            reductions[f"{self.iou_type}/APfixed/"] = bootstrap.fixed(
                found.wide_scored, found.objects, found.wide, self.groups
            )
        return reductions

    def _reductions(self, found: Matched) -> dict[str, Resampling]:
        """What depends on scores beyond that order, by the prefix of its names."""
        reductions = {}
        if found.wide is not None and self.options.pooled_ap:
            reductions[f"{self.iou_type}/APpool/"] = bootstrap.pooled(
                found.scored, found.objects, found.wide, self.groups
            )
        if found.points is not None:
            reductions[f"tide/{self.iou_type}/"] = bootstrap.aligned_tide(
                found.points, found.objects.image, self.groups
            )
        return reductions

    def _matched(
        self, scored: Scored, points: tide.Points | None, narrow: Reduction, wide: Reduction | None
    ) -> Matched:
        return Matched(scored, self.objects, narrow.matches, None if wide is None else wide.matches, points)

    def _aligned_points(
        self, detections: Detections, unjudged: tide.Unjudged, candidates: Candidates, ordered: Ordered
    ) -> tide.Points | None:
        """The detections with their errors, for TIDE (`aligned`); else None. unjudged: those under the cap."""
        if ordered.outcomes is None:
            return None
        selection = ordered.capped.matches.selection
        others = tide.best_unjudged(detections, unjudged, ordered.outcomes.used)
        row = take(candidates.row, selection.row)
        return tide.aligned_points(detections, row, selection.start, self.objects, ordered.outcomes, others)

    def _images(
        self, detections: Detections, scored: Scored, unjudged: tide.Unjudged, ordered: Ordered
    ) -> ImageMetrics:
        """The metrics of each image; the main error is None unless TIDE is `aligned`. unjudged: those under the cap."""
        mistakes = None
        if ordered.outcomes is not None:
            score = take(detections.score, unjudged.row)
            mistakes = Mistakes(ordered.outcomes.explained, unjudged.target, score)
        return per_image(self.ground_truth, self.objects, scored, ordered.capped.matches, mistakes)

    def _tide(self, detections: Detections, candidates: Candidates, points: tide.Points | None) -> Tide | None:
        if points is not None:
            return tide.aligned(points, self.groups)
        if self.options.tide == "tidecv" and candidates.every_overlap is not None:
            pairs, protocol = candidates.every_overlap, self.protocol.name
            return tidecv(detections, pairs, self.objects, self.ground_truth, protocol, self.groups)
        return None

    def _area(self, detections: Detections) -> Floats:
        """Areas for the area ranges: for masks that of the mask, even if entries also have a box (as in detectron2)."""
        if self.iou_type == "segm" and detections.masks is not None:
            return mask_areas(detections.masks)
        return detections.area


def _resample(reductions: Mapping[str, Resampling], draws: Weightings) -> Resampled:
    """The metrics of every resample, with the prefix of each reduction before their names."""
    return {
        prefix + name: values
        for prefix, reduction in reductions.items()
        for name, values in resampled(reduction, draws).items()
    }


def _others(row: Longs, number: int) -> Longs:
    """The rows below `number` that are not in `row`, ascending."""
    other = np.ones(number, bool)
    other[row] = False
    return np.flatnonzero(other)


def _equal(one: Bools | None, other: Bools | None) -> bool:
    return one is other or (one is not None and other is not None and np.array_equal(one, other))
