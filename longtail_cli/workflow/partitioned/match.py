"""The work on a part of the images: adjust, decode, match. What leaves it are the matches, no boxes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from longtail_cli.choices import IouType
from longtail_cli.evaluation.detections import Candidates, Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.rows import MatchedRows, Whole, matched_rows
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.evaluation.selection import per_image
from longtail_cli.execution.base import BUCKET, Produced
from longtail_cli.tables import Detections, Longs
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.detection_runs import shared_geometry
from longtail_cli.workflow.partitioned.digests import digest_of_boxes, digest_of_scores
from longtail_cli.workflow.partitioned.image_parts import ImagePart

BUCKET_ROWS = 1 << 20
LEAST_BUCKETS, MOST_BUCKETS = 16, 256
"""Of a run and IoU type: enough for several workers, and not too many for a file or a message of each."""


@dataclass(frozen=True, slots=True)
class RunFacts:
    """What a part knows of a run, beside its matches."""

    per_image: Longs
    """int64 [i], the detections of each image of the part, without those beyond the limit of the decoder."""
    saturated: int
    """How many of these have score 1."""
    confident: bool
    """Whether all scores are confidences, see `are_confidences`."""
    order_kept: bool | None
    """See `RunInput.order_kept`."""
    notes: tuple[str, ...]
    boxes: int | None
    """See `digest_of_boxes`; None unless the run is compared with that of another input."""
    scores: int | None
    """See `digest_of_scores`; None as for `boxes`."""


@dataclass(frozen=True, slots=True)
class MatchPart:
    """Called with an `ImagePart`: the matches of every run and IoU type, and the facts of every run."""

    protocol: Protocol
    iou_types: tuple[IouType, ...]
    options: EvaluationOptions
    buckets: int
    """B: the rows of category c of the s-th run and IoU type go to bucket s * B + c % B."""
    digested: bool
    """Whether to digest the detections, to compare them with those of another input."""

    def __call__(self, part: ImagePart) -> Produced[tuple[RunFacts, ...]]:
        loaded = part.loader.load(part.truth)
        evaluations = [
            Evaluation.prepare(part.truth, self.protocol, iou_type, {}, self.options) for iou_type in self.iou_types
        ]
        tables, facts = [], []
        runs = zip(loaded.source.runs, loaded.file_row, _candidates(evaluations, loaded.source), strict=True)
        for number, (run, file_row, candidates) in enumerate(runs):
            whole = Whole(part.image, part.object, file_row)
            for index, (evaluation, own) in enumerate(zip(evaluations, candidates, strict=True)):
                rows = matched_rows(evaluation, run.detections, own, whole)
                tables.append(self._table(rows, number * len(evaluations) + index))
            facts.append(self._facts(run, whole))
        return Produced(tuple(facts), pa.concat_tables(tables))

    def _table(self, rows: MatchedRows, number: int) -> pa.Table:
        """The rows of the `number`-th run and IoU type."""
        bucket = (number * self.buckets + rows.category % self.buckets).astype(np.int32)
        return pa.table({BUCKET: bucket, **rows.columns})

    def _facts(self, run: RunInput, whole: Whole) -> RunFacts:
        detections: Detections = run.detections
        within = slice(None) if detections.within_limit is None else detections.within_limit
        return RunFacts(
            per_image=per_image(detections.image[within], len(whole.image)),
            saturated=int((detections.score[within] == 1).sum()),
            confident=are_confidences(detections.score),
            order_kept=run.order_kept,
            notes=run.notes,
            boxes=digest_of_boxes(detections, whole) if self.digested else None,
            scores=digest_of_scores(detections, whole) if self.digested else None,
        )


def _candidates(evaluations: Sequence[Evaluation], source: Source) -> list[list[Candidates]]:
    """Those of each run for each evaluation; the overlaps of a box are computed once."""
    located = [run.detections for run in source.runs]
    if source.box_index is not None:
        return shared_geometry(evaluations, located, source.box_index)
    return [[one.candidates(located[0]) for one in evaluations]] * len(located)


def buckets_of(categories: int, rows: int) -> int:
    """How many buckets the categories are spread over, at least 1; more for more rows, so that each fits in memory."""
    return max(1, min(categories, MOST_BUCKETS, max(LEAST_BUCKETS, rows // BUCKET_ROWS)))
