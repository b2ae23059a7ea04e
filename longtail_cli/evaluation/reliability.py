"""Calibration of the scores of detections: whether seven of ten detections with a score of 0.7 are correct."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from longtail_cli.engine import reliability as engine
from longtail_cli.evaluation.geometry import Overlaps
from longtail_cli.evaluation.matching import Matches
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS
from longtail_cli.evaluation.selection import Scored
from longtail_cli.metrics import DetectionBin, Reliability, Value, mean, ratio
from longtail_cli.metrics import defined as defined_values
from longtail_cli.parallel import in_threads
from longtail_cli.tables import Bools, Detections, Floats

BINS = 25
"""Bins of equal width; as many as the code of Oksuz et al. (fiveai/saod) and Kuzucu et al. uses for LaECE."""

IOU_THRESHOLD = float(IOU_THRESHOLDS[0])
"""The minimum IoU of a true positive."""

COUNT, CONFIDENCE, HITS, IOU = range(4)  # columns of the sums


@dataclass(frozen=True, slots=True)
class ReliabilityResult:
    """The calibration errors of detections; see `longtail_cli.metrics.Reliability`."""

    metrics: Reliability
    per_category: list[dict[str, Value]]
    """``D-ECE`` and ``LaECE`` of each category, in category order."""


def reliability(
    detections: Scored | Detections, pairs: Overlaps, matches: Matches, groups: Mapping[str, Bools], *, defined: bool
) -> ReliabilityResult:
    """The calibration errors of the matched detections, without those that the protocol ignores at IoU 0.5.

    pairs: the overlaps that were matched. groups: bool [C] by name.

    A category counts if it has objects that count, as in AP, and at least one detection. Otherwise its errors are None,
    it is left out of the means, and its detections are in no bin. The code of Oksuz et al. does the same, but also
    leaves out categories whose error is exactly 0.

    If not `defined`, as some scores are not confidences (`are_confidences`), every error is None and every bin empty.
    """
    return of_sums(sums_of(detections, pairs, matches, defined=defined), groups)


def sums_of(detections: Scored | Detections, pairs: Overlaps, matches: Matches, *, defined: bool) -> Floats:
    """What the errors of each category follow from: float64 [C, BINS, 4], zeros if not `defined`; see `reliability`."""
    sums = np.zeros((len(matches.num_objects), BINS, 4))
    if defined:
        add_sums(sums, detections, pairs, matches)
    return sums


def add_sums(sums: Floats, detections: Scored | Detections, pairs: Overlaps, matches: Matches) -> None:
    """Add what `sums_of` would return to `sums`, which is float64 [C, BINS, 4], one detection after another.

    So a category can come in several pieces, in the order of evaluation, without a change of how sums are rounded.
    """
    counts = matches.num_objects[:, 0] > 0

    def add(first: int, last: int) -> None:
        engine.add_detections(
            first, last, detections.score, matches.selection.row, matches.selection.start, pairs.start, pairs.object,
            pairs.iou, matches.true_positive, matches.ignored, matches.taken, counts, sums,
        )  # fmt: skip

    in_threads(add, matches.selection.cuts)


def of_sums(sums: Floats, groups: Mapping[str, Bools]) -> ReliabilityResult:
    """The calibration errors. sums: of all categories, see `sums_of`. groups: bool [C] by name."""
    errors = {"D-ECE": _errors(sums, HITS), "LaECE": _errors(sums, IOU)}
    members = {"all": np.ones(len(sums), bool), **groups}
    metrics = Reliability(
        iou_threshold=IOU_THRESHOLD,
        errors={name: {kind: mean(one[member]) for kind, one in errors.items()} for name, member in members.items()},
        bins={name: _bins(sums[member].sum(axis=0)) for name, member in members.items()},
    )
    rows = zip(*map(defined_values, errors.values()), strict=True)
    return ReliabilityResult(metrics, [dict(zip(errors, row, strict=True)) for row in rows])


def are_confidences(score: Floats) -> bool:
    """Whether all scores lie in [0, 1]; others, such as logits, are not probabilities and have no calibration error."""
    return bool(((score >= 0) & (score <= 1)).all())


def _errors(sums: Floats, target: int) -> Floats:
    """sum_j |sum of scores - sum of targets| / |D| of each category: float64 [C], NaN without detections.

    target: the column of the sums to compare with. These are the terms of the definition with |D_j| cancelled:
    prec_j * iou_j * |D_j| is the sum of the IoUs.
    """
    number = sums[:, :, COUNT].sum(axis=1)
    gap = np.abs(sums[:, :, CONFIDENCE] - sums[:, :, target]).sum(axis=1)
    errors = np.full(len(sums), np.nan)
    np.divide(gap, number, out=errors, where=number > 0)
    return errors


def _bins(sums: Floats) -> tuple[DetectionBin, ...]:
    return tuple(
        DetectionBin(int(count), ratio(score, count), ratio(hits, count), ratio(iou, hits))
        for count, score, hits, iou in sums.tolist()
    )
