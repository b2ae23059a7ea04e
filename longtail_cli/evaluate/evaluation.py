"""One evaluation of one set of detections: geometry once, then every figure that was asked for."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluate import summary, tide
from longtail_cli.evaluate.average_precision import curves, pooled_ap, recall_at
from longtail_cli.evaluate.bootstrap import metrics as bootstrap
from longtail_cli.evaluate.bootstrap.metrics import Resampled
from longtail_cli.evaluate.bootstrap.resampling import Draws
from longtail_cli.evaluate.geometry import Overlaps, mask_areas, overlaps
from longtail_cli.evaluate.matching import Matches, match
from longtail_cli.evaluate.options import EvaluationOptions, IouType
from longtail_cli.evaluate.protocol import JUDGED, NOT_EXHAUSTIVE, Objects, Protocol, judgements, objects_of
from longtail_cli.evaluate.reliability import ReliabilityMetrics, reliability
from longtail_cli.evaluate.selection import Selection, select, select_fixed
from longtail_cli.evaluate.tide import Breakdown
from longtail_cli.evaluate.tidecv import tidecv
from longtail_cli.tables import Bools, Categories, Detections, Floats, GroundTruth


@dataclass(frozen=True, slots=True)
class Figures:
    """The figures of one set of detections, fractions in [0, 1], None where undefined; what was not wanted is None.

    headline: AP, AP50, ... as `summary.headline` names them.
    fixed, pooled: AP, APr, APc, APf.
    tide, tide_groups: the breakdown over all categories and by group.
    per_category: one mapping a category, in category order.
    resampled: the headline figures, Fixed and pooled AP and the gains of `aligned` TIDE in each resample, under their
        names in a report (``bbox/AP``, ``bbox/APfixed/AP``, ``tide/bbox/r/Cls``).
    reliability: the calibration errors of the scores.
    """

    headline: Mapping[str, float | None]
    fixed: Mapping[str, float | None] | None
    pooled: Mapping[str, float | None] | None
    tide: Breakdown | None
    tide_groups: Mapping[str, Breakdown] | None
    per_category: list[dict[str, float | None]] | None
    resampled: Resampled | None
    reliability: ReliabilityMetrics | None


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Ground truth prepared under a protocol for one IoU type; takes any number of sets of detections.

    groups: bool [C] by group name. judged: uint8 [I, C] under LVIS, else None. draws: resamples for a
    bootstrap, or None.
    """

    ground_truth: GroundTruth
    protocol: Protocol
    iou_type: IouType
    groups: Mapping[str, Bools]
    options: EvaluationOptions
    objects: Objects
    judged: npt.NDArray[np.uint8] | None
    draws: Draws | None

    @classmethod
    def prepare(
        cls, ground_truth: GroundTruth, protocol: Protocol, iou_type: IouType, groups: Mapping[str, Bools],
        options: EvaluationOptions, draws: Draws | None = None,
    ) -> Evaluation:  # fmt: skip
        """Sort the objects by image and look up what each image judges."""
        objects = objects_of(ground_truth, protocol)
        judged = judgements(ground_truth, objects) if protocol.federated else None
        return cls(ground_truth, protocol, iou_type, groups, options, objects, judged, draws)

    def geometry(self, detections: Detections) -> Overlaps:
        """The overlaps that the wanted figures need; they depend on no score, so equal boxes share them."""
        needed = np.ones(len(detections), bool)
        if self.judged is not None and self.options.tide != "tidecv":
            needed = (self._judgement(detections) & JUDGED) != 0
        return overlaps(detections, self.ground_truth, self.objects, self.iou_type, needed)

    def geometry_of_boxes(self, boxes: Detections) -> Overlaps:
        """The overlaps of boxes that detections of any category share; `geometry.rows_of` deals them out."""
        return overlaps(boxes, self.ground_truth, self.objects, self.iou_type, np.ones(len(boxes), bool))

    def figures(self, detections: Detections, pairs: Overlaps) -> Figures:
        """Match and reduce. pairs: `geometry` of the same boxes or masks."""
        area = self._area(detections)
        number = len(self.ground_truth.categories)
        selection = select(detections, area, number, self.protocol, self.judged)
        matches = self._matches(detections, selection, pairs, area)
        wide = self._wide(detections, pairs, area)
        with ThreadPoolExecutor(1) as beside:
            tide_found = beside.submit(self._tide, detections, pairs, matches)
            reduced = curves(matches)
            ranked = {rank: recall_at(matches, rank) for rank in summary.RANKS[self.protocol.name]}
            fixed, pooled = self._fixed(wide), self._pooled(detections, wide)
            breakdown, by_group = tide_found.result()
        return Figures(
            headline=summary.headline(reduced, ranked, self.protocol, self.groups),
            fixed=fixed,
            pooled=pooled,
            tide=breakdown,
            tide_groups=by_group,
            per_category=summary.per_category(reduced, self.protocol) if self.options.per_category else None,
            resampled=self._resampled(detections, pairs, matches, wide),
            reliability=reliability(detections, pairs, matches, self.groups) if self.options.reliability else None,
        )

    def _matches(self, detections: Detections, selection: Selection, pairs: Overlaps, area: Floats) -> Matches:
        partial = np.zeros(len(detections), bool)
        if self.judged is not None:
            partial = (self._judgement(detections) & NOT_EXHAUSTIVE) != 0
        return match(selection, pairs, self.objects, area, partial, len(self.ground_truth.categories))

    def _wide(self, detections: Detections, pairs: Overlaps, area: Floats) -> Matches | None:
        """The matches of Fixed AP and pooled AP, which go by the same detections."""
        if not (self.options.fixed_ap or self.options.pooled_ap):
            return None
        selection = select_fixed(detections, area, len(self.ground_truth.categories), self.judged)
        return self._matches(detections, selection, pairs, area)

    def _fixed(self, wide: Matches | None) -> Mapping[str, float | None] | None:
        if wide is None or not self.options.fixed_ap:
            return None
        return summary.grouped_ap(curves(wide).ap[:, :, 0], self.groups)

    def _pooled(self, detections: Detections, wide: Matches | None) -> Mapping[str, float | None] | None:
        if wide is None or not self.options.pooled_ap:
            return None
        return pooled_ap(detections, wide, self.groups)

    def _resampled(
        self, detections: Detections, pairs: Overlaps, matches: Matches, wide: Matches | None
    ) -> Resampled | None:
        """One reduction after another over all draws."""
        draws, iou_type, groups = self.draws, self.iou_type, self.groups
        if draws is None:
            return None
        reductions = {f"{iou_type}/": bootstrap.headline(detections, self.objects, matches, self.protocol, groups)}
        if wide is not None and self.options.fixed_ap:
            reductions[f"{iou_type}/APfixed/"] = bootstrap.fixed(detections, self.objects, wide, groups)
        if wide is not None and self.options.pooled_ap:
            reductions[f"{iou_type}/APpool/"] = bootstrap.pooled(detections, self.objects, wide, groups)
        if self.options.tide == "aligned":
            reductions[f"tide/{iou_type}/"] = bootstrap.aligned_tide(detections, pairs, self.objects, matches, groups)
        return {
            prefix + name: values
            for prefix, reduction in reductions.items()
            for name, values in bootstrap.resampled(reduction, draws).items()
        }

    def _tide(
        self, detections: Detections, pairs: Overlaps, matches: Matches
    ) -> tuple[Breakdown | None, Mapping[str, Breakdown] | None]:
        if self.options.tide == "aligned":
            return tide.aligned(detections, pairs, self.objects, matches, self.groups)
        if self.options.tide == "tidecv":
            return tidecv(detections, pairs, self.objects, self.ground_truth, self.protocol.name, self.groups)
        return None, None

    def _judgement(self, detections: Detections) -> npt.NDArray[np.uint8]:
        if self.judged is None:
            raise ValueError("only LVIS judges image by image")
        return np.asarray(self.judged[detections.image, detections.category])

    def _area(self, detections: Detections) -> Floats:
        """Areas for the size ranges: of the mask for masks, also where entries carry a box (as detectron2 does)."""
        if self.iou_type == "segm" and detections.masks is not None:
            return mask_areas(detections.masks)
        return detections.area


def load_kernels(options: EvaluationOptions) -> None:
    """Evaluate nothing: no detections and no objects of one category in one image."""
    nothing, pairs = np.zeros(0, np.int32), np.zeros((0, 2), np.int32)
    truth = GroundTruth(
        categories=Categories(np.zeros(1, np.int64), ("",), None, None, None),
        image_id=np.zeros(1, np.int64),
        image_position=np.zeros(1, np.int32),
        image_size=np.zeros((1, 2), np.int32),
        id=np.zeros(0, np.int64),
        image=nothing,
        category=nothing,
        bbox=np.zeros((0, 4)),
        area=np.zeros(0),
        crowd=np.zeros(0, bool),
        ignore=np.zeros(0, bool),
        masks=None,
        negative=pairs,
        not_exhaustive=pairs,
        source="",
    )
    detections = Detections(nothing, nothing, np.zeros(0), np.zeros((0, 4)), np.zeros(0), None, "")
    evaluation = Evaluation.prepare(truth, Protocol("lvis", 1), "bbox", {}, options)
    evaluation.figures(detections, evaluation.geometry(detections))
