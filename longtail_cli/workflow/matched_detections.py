"""Which detections of a result file are right, by the matching of the evaluation."""

from __future__ import annotations

import numpy as np

from longtail_cli.choices import IouType, ProtocolChoice, ScoreSpace
from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.matching import match
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import IOU_THRESHOLDS
from longtail_cli.evaluation.selection import Scored, in_order
from longtail_cli.fitting.score_maps import ScoredRows
from longtail_cli.methods.scores import sigmoid
from longtail_cli.parallel import take
from longtail_cli.tables import Bools, Detections, FrequencyTable, GroundTruth, Longs, Results
from longtail_cli.workflow.detection_inputs import GEOMETRY
from longtail_cli.workflow.locate_detections import locate
from longtail_cli.workflow.report_detection import prepared_evaluations
from longtail_cli.workflow.rescore_results import check_probabilities, table_rows


def fields_of(iou_type: IouType) -> frozenset[str]:
    """What `ResultFile.read` must read for `matched_detections`: the boxes, whose areas count, and what is matched."""
    return frozenset({"bbox", GEOMETRY[iou_type]})


def matched_detections(
    results: Results,
    truth: GroundTruth,
    table: FrequencyTable,
    *,
    iou: float,
    iou_type: IouType = "bbox",
    protocol: ProtocolChoice = "auto",
    score_space: ScoreSpace = "prob",
) -> ScoredRows:
    """The detections in file order, with whether each is matched at `iou`, one of `IOU_THRESHOLDS`.

    results: with `fields_of` the IoU type. truth: with masks for ``segm``. All detections are matched, without a limit
    per image. Those that the protocol ignores at this IoU are left out: matched to a crowd region or an ignored object,
    or under LVIS of a category that their image does not judge, or unmatched where it is not annotated exhaustively.

    Raises InputError if an image or a category is not in the annotations, a category is not in `table`, or a score is
    not a probability; for ``logit`` the score becomes its sigmoid.
    """
    if score_space == "prob":
        check_probabilities(results)
    detections, category = locate(results, truth), table_rows(results, table)
    options = EvaluationOptions(protocol=protocol, tide="off")
    evaluation = prepared_evaluations(truth, [iou_type], None, options, None)[0]
    row, right = _right(evaluation, detections, iou)
    score = take(results.score, row)
    return ScoredRows(
        score=score if score_space == "prob" else sigmoid(score),
        category=take(category, row),
        right=right,
        area=take(detections.area, row),
    )


def _right(evaluation: Evaluation, detections: Detections, iou: float) -> tuple[Longs, Bools]:
    """The detections that are not ignored, ascending, and whether each is matched: int64 [M] and bool [M]."""
    bit = np.uint16(np.abs(IOU_THRESHOLDS - iou).argmin())
    candidates, number = evaluation.candidates(detections), len(evaluation.ground_truth.categories)
    scored = Scored(candidates.image, candidates.category, take(detections.score, candidates.row))
    matches = match(
        in_order(scored, None, number), candidates.overlaps, evaluation.objects, candidates.category, candidates.area,
        candidates.not_exhaustive, number,
    )  # fmt: skip
    right, ignored = ((bits[:, 0] >> bit & 1).astype(bool) for bits in (matches.true_positive, matches.ignored))
    counted = np.flatnonzero(~ignored)
    row = candidates.row[matches.selection.row[counted]]
    order = np.argsort(row)
    return row[order], right[counted[order]]
