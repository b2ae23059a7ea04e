"""How far the scores of detections can be trusted: whether a score of 0.7 is right in seven of ten cases."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numba
import numpy as np

from longtail_cli.evaluate.average_precision import mean
from longtail_cli.evaluate.geometry import Overlaps
from longtail_cli.evaluate.matching import Bits, Matches
from longtail_cli.evaluate.protocol import IOU_THRESHOLDS
from longtail_cli.tables import Bools, Detections, Floats, Ints, Longs

BINS = 25
"""Bins of equal width; as many as the code of Oksuz et al. (fiveai/saod) and Kuzucu et al. takes for LaECE."""

IOU_THRESHOLD = float(IOU_THRESHOLDS[0])
"""From which IoU on a detection is a true positive."""

COUNT, CONFIDENCE, HITS, IOU = range(4)  # columns of the sums


@dataclass(frozen=True, slots=True)
class DetectionBin:
    """Detections whose score lies in a bin: how many, their mean score, the share of true positives, their mean IoU.

    confidence, precision: None where there are no detections. iou: over the true positives, each with the object that
    it is matched to; None where there are none.
    """

    count: int
    confidence: float | None
    precision: float | None
    iou: float | None


@dataclass(frozen=True, slots=True)
class ReliabilityMetrics:
    """Calibration errors of detections, in [0, 1], None where undefined.

    Over the detections D of a category, split into `BINS` bins D_j by score, with mean score conf, share of true
    positives prec, and mean IoU of the true positives iou::

        D-ECE = sum_j |D_j| / |D| * |conf_j - prec_j|
        LaECE = sum_j |D_j| / |D| * |conf_j - prec_j * iou_j|

    Under the one a score should be the chance that there is such an object, under the other that chance times how well
    the box or mask fits. D-ECE is that of Küppers et al., "Multivariate Confidence Calibration for Object Detection"
    (CVPR Workshops 2020), with the score as its only variable; LaECE that of Oksuz et al., "Towards Building Self-Aware
    Object Detectors via Reliable Uncertainty Quantification and Calibration" (CVPR 2023). Bins are (k/25, (k+1)/25] in
    float64, so that 0.28 ends the seventh; 0 falls in the first.

    errors: means over categories of ``D-ECE`` and of ``LaECE``; under ``all``, and by group.
    bins: `BINS` bins of the detections of all categories together; under ``all``, and by group.
    per_category: the two errors of each category, in category order.

    Three choices differ between papers. Here a detection is a true positive from IoU 0.5 on (Oksuz et al. take 0.1, and
    their later work any overlap). D-ECE is averaged over categories as LaECE is; of all detections together, as Küppers
    et al. take it, it follows from `bins`. And no detection is left out for its low score.
    """

    errors: Mapping[str, Mapping[str, float | None]]
    bins: Mapping[str, tuple[DetectionBin, ...]]
    per_category: list[dict[str, float | None]]


def reliability(
    detections: Detections, pairs: Overlaps, matches: Matches, groups: Mapping[str, Bools]
) -> ReliabilityMetrics:
    """The calibration errors of the matched detections, without those that the protocol ignores at IoU 0.5.

    pairs: the overlaps that were matched. groups: bool [C] by name.

    A category has part where it has objects that count, as it has in AP, and at least one detection; without either
    its errors are None, it is no part of the means, and its detections are in no bin. The code of Oksuz et al. does the
    same (and leaves out categories whose error is exactly 0, which here count).

    Where the scores of the file are no confidences (`are_confidences`), every error is None and every bin empty.
    """
    sums = np.zeros((len(matches.num_objects), BINS, 4))
    if are_confidences(detections.score):
        _add_detections(
            detections.score, matches.selection.row, matches.selection.start, pairs.start, pairs.object, pairs.iou,
            matches.true_positive, matches.ignored, matches.taken, matches.num_objects[:, 0] > 0, sums,
        )  # fmt: skip
    errors = {"D-ECE": _errors(sums, HITS), "LaECE": _errors(sums, IOU)}
    members = {"all": np.ones(len(sums), bool), **groups}
    return ReliabilityMetrics(
        errors={name: {kind: mean(one[member]) for kind, one in errors.items()} for name, member in members.items()},
        bins={name: _bins(sums[member].sum(axis=0)) for name, member in members.items()},
        per_category=[
            {kind: None if np.isnan(value) else value for kind, value in zip(errors, values, strict=True)}
            for values in np.column_stack(list(errors.values())).tolist()
        ],
    )


def are_confidences(score: Floats) -> bool:
    """Whether all scores lie in [0, 1]; others, as logits, say nothing of a chance, and have no calibration error."""
    return bool(((score >= 0) & (score <= 1)).all())


def _errors(sums: Floats, target: int) -> Floats:
    """sum_j |sum of scores - sum of what they should be| / |D| of each category: float64 [C], NaN without detections.

    The terms of the definition with |D_j| cancelled: prec_j * iou_j * |D_j| is the sum of the IoUs.
    """
    number = sums[:, :, COUNT].sum(axis=1)
    gap = np.abs(sums[:, :, CONFIDENCE] - sums[:, :, target]).sum(axis=1)
    errors = np.full(len(sums), np.nan)
    np.divide(gap, number, out=errors, where=number > 0)
    return errors


def _bins(sums: Floats) -> tuple[DetectionBin, ...]:
    return tuple(
        DetectionBin(int(count), _ratio(score, count), _ratio(hits, count), _ratio(iou, hits))
        for count, score, hits, iou in sums.tolist()
    )


def _ratio(total: float, number: float) -> float | None:
    return total / number if number else None


@numba.njit(cache=True, nogil=True)
def _add_detections(
    score: Floats, row: Longs, start: Longs, pair_start: Longs, pair_object: Ints, pair_iou: Floats,
    true_positive: Bits, ignored: Bits, taken: Ints, counts: Bools, sums: Floats,
) -> None:  # fmt: skip
    """Add the detections of the categories that count (bool [C]) to `sums`: float64 [C, BINS, 4]."""
    for c in range(len(start) - 1):
        if not counts[c]:
            continue
        for m in range(start[c], start[c + 1]):
            if ignored[m, 0] & 1:
                continue
            n = row[m]
            place = _bin(score[n])
            sums[c, place, COUNT] += 1
            sums[c, place, CONFIDENCE] += score[n]
            if true_positive[m, 0] & 1:
                sums[c, place, HITS] += 1
                for pair in range(pair_start[n], pair_start[n + 1]):
                    if pair_object[pair] == taken[m]:
                        sums[c, place, IOU] += pair_iou[pair]


@numba.njit(cache=True, nogil=True)
def _bin(score: float) -> int:
    """The bin (k / BINS, (k + 1) / BINS] that holds `score` in [0, 1]; 0 falls in the first.

    The product may be rounded up to a whole number, never below one that the score exceeds.
    """
    k = int(BINS * score)
    return max(k - 1 if score <= k / BINS else k, 0)
