"""Evaluation of detections: geometry once for equal boxes, then every metric for each set of scores."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from longtail_cli.choices import IOU_TYPES, IouType
from longtail_cli.errors import check_choice
from longtail_cli.evaluation import summary, tide
from longtail_cli.evaluation.average_precision import curves, pooled_ap, recall_at
from longtail_cli.evaluation.bootstrap import metrics as bootstrap
from longtail_cli.evaluation.bootstrap.resampling import Draws, Resampled, resampled
from longtail_cli.evaluation.geometry import Overlaps, mask_areas, overlaps
from longtail_cli.evaluation.matching import Matches, match
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import JUDGED, NOT_EXHAUSTIVE, Objects, Protocol, judgements, objects_of
from longtail_cli.evaluation.reliability import reliability
from longtail_cli.evaluation.selection import Selection, select, select_fixed
from longtail_cli.evaluation.tidecv import tidecv
from longtail_cli.metrics import Metrics, Reliability, Tide, Value, Values
from longtail_cli.tables import Bools, Categories, Detections, Floats, GroundTruth


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

    def as_metrics(self) -> Metrics:
        """The headline metrics, with Fixed AP under ``APfixed`` and pooled AP under ``APpool``, as in a report."""
        further = {"APfixed": self.fixed, "APpool": self.pooled}
        return {**self.headline, **{name: values for name, values in further.items() if values is not None}}


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Ground truth prepared under a protocol for one IoU type, to evaluate any number of sets of detections."""

    ground_truth: GroundTruth
    protocol: Protocol
    iou_type: IouType
    groups: Mapping[str, Bools]
    """bool [C] by group name."""
    options: EvaluationOptions
    objects: Objects
    judged: npt.NDArray[np.uint8] | None
    """uint8 [I, C], see `protocol.judgements`; None under COCO."""
    draws: Draws | None
    """Resamples for a bootstrap, or None."""

    @classmethod
    def prepare(
        cls, ground_truth: GroundTruth, protocol: Protocol, iou_type: IouType, groups: Mapping[str, Bools],
        options: EvaluationOptions, draws: Draws | None = None,
    ) -> Evaluation:  # fmt: skip
        """Sort the objects by image and look up what each image judges. Raises UsageError for unknown IoU types."""
        check_choice("iou_types", iou_type, IOU_TYPES)
        objects = objects_of(ground_truth, protocol)
        judged = judgements(ground_truth, objects) if protocol.federated else None
        return cls(ground_truth, protocol, iou_type, groups, options, objects, judged, draws)

    def geometry(self, detections: Detections) -> Overlaps:
        """The overlaps that the metrics need; they do not depend on scores, so equal boxes can share them."""
        needed = np.ones(len(detections), bool)
        if self.judged is not None and self.options.tide != "tidecv":
            needed = (self._judgement(detections) & JUDGED) != 0
        return overlaps(detections, self.ground_truth, self.objects, self.iou_type, needed)

    def geometry_of_boxes(self, boxes: Detections) -> Overlaps:
        """The overlaps of boxes shared by detections of any category; `geometry.rows_of` assigns them to these."""
        return overlaps(boxes, self.ground_truth, self.objects, self.iou_type, np.ones(len(boxes), bool))

    def metrics(self, detections: Detections, pairs: Overlaps) -> DetectionMetrics:
        """Match the detections and compute the metrics. pairs: `geometry` of the same boxes or masks."""
        area = self._area(detections)
        number = len(self.ground_truth.categories)
        selection = select(detections, area, number, self.protocol, self.judged)
        matches = self._matches(detections, selection, pairs, area)
        wide = self._wide(detections, pairs, area)
        with ThreadPoolExecutor(1) as pool:
            tide_found = pool.submit(self._tide, detections, pairs, matches)
            reduced = curves(matches)
            ranked = {rank: recall_at(matches, rank) for rank in summary.RANKS[self.protocol.name]}
            fixed, pooled = self._fixed(wide), self._pooled(detections, wide)
            breakdown = tide_found.result()
        calibration = reliability(detections, pairs, matches, self.groups) if self.options.reliability else None
        per_category = summary.per_category(reduced, self.protocol) if self.options.per_category else None
        if per_category is not None and calibration is not None:
            per_category = [own | errors for own, errors in zip(per_category, calibration.per_category, strict=True)]
        return DetectionMetrics(
            headline=summary.headline(reduced, ranked, self.protocol, self.groups),
            fixed=fixed,
            pooled=pooled,
            tide=breakdown,
            reliability=None if calibration is None else calibration.metrics,
            per_category=per_category,
            resampled=self._resampled(detections, pairs, matches, wide),
        )

    def _matches(self, detections: Detections, selection: Selection, pairs: Overlaps, area: Floats) -> Matches:
        partial = np.zeros(len(detections), bool)
        if self.judged is not None:
            partial = (self._judgement(detections) & NOT_EXHAUSTIVE) != 0
        return match(selection, pairs, self.objects, area, partial, len(self.ground_truth.categories))

    def _wide(self, detections: Detections, pairs: Overlaps, area: Floats) -> Matches | None:
        """The matches of Fixed AP and pooled AP, which evaluate the same detections."""
        if not (self.options.fixed_ap or self.options.pooled_ap):
            return None
        selection = select_fixed(detections, area, len(self.ground_truth.categories), self.judged)
        return self._matches(detections, selection, pairs, area)

    def _fixed(self, wide: Matches | None) -> Values | None:
        if wide is None or not self.options.fixed_ap:
            return None
        return summary.grouped_ap(curves(wide).ap[:, :, 0], self.groups)

    def _pooled(self, detections: Detections, wide: Matches | None) -> Values | None:
        if wide is None or not self.options.pooled_ap:
            return None
        return pooled_ap(detections, wide, self.groups)

    def _resampled(
        self, detections: Detections, pairs: Overlaps, matches: Matches, wide: Matches | None
    ) -> Resampled | None:
        """The metrics of every resample, one kind of metric after another."""
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
            for name, values in resampled(reduction, draws).items()
        }

    def _tide(self, detections: Detections, pairs: Overlaps, matches: Matches) -> Tide | None:
        if self.options.tide == "aligned":
            return tide.aligned(detections, pairs, self.objects, matches, self.groups)
        if self.options.tide == "tidecv":
            return tidecv(detections, pairs, self.objects, self.ground_truth, self.protocol.name, self.groups)
        return None

    def _judgement(self, detections: Detections) -> npt.NDArray[np.uint8]:
        if self.judged is None:
            raise ValueError("only LVIS judges image by image")
        return np.asarray(self.judged[detections.image, detections.category])

    def _area(self, detections: Detections) -> Floats:
        """Areas for the area ranges: for masks that of the mask, even if entries also have a box (as in detectron2)."""
        if self.iou_type == "segm" and detections.masks is not None:
            return mask_areas(detections.masks)
        return detections.area


def load_kernels(options: EvaluationOptions) -> None:
    """Load the compiled code by evaluating an empty image: one category, no objects, no detections."""
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
    evaluation.metrics(detections, evaluation.geometry(detections))
