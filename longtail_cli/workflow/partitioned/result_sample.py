"""The sample of the detections of a result file in parts, and what else the search needs to know of all of them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.evaluation.detections import Evaluation
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.selection import per_image
from longtail_cli.execution.base import Execution, Produced
from longtail_cli.methods.base import Method
from longtail_cli.tables import Floats, Longs, Results
from longtail_cli.workflow.detection_inputs import Adjustments
from longtail_cli.workflow.partitioned.image_parts import ImagePart
from longtail_cli.workflow.partitioned.inputs import Planned
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.rescore_results import AdjustableResults
from longtail_cli.workflow.score_sample import ScoreSample, positions, sampled


@dataclass(frozen=True, slots=True)
class ResultSample:
    """What is known of a result file."""

    scores: ScoreSample
    limit_decides: bool
    """Whether some image has more detections than count, so that scores decide which of them count."""
    notes: tuple[str, ...]
    """On the file."""

    @property
    def adjustable(self) -> AdjustableResults:
        return self.scores.adjustable

    def moved(self, method: Method) -> float:
        """See `ScoreSample.moved`."""
        return self.scores.moved(method)


@dataclass(frozen=True, slots=True)
class _Taken:
    """The sample of a part: n detections."""

    position: Longs
    """int64 [n], see `positions`."""
    category_id: Longs
    score: Floats
    area: Floats
    over: bool
    """Whether an image of the part has more detections than count."""


@dataclass(frozen=True, slots=True)
class _TakeSample:
    """Called with a part that has one run, of the detections as they are."""

    protocol: Protocol

    def __call__(self, part: ImagePart) -> Produced[_Taken]:
        (run,) = part.loader.load(part.truth).source.runs
        detections, protocol = run.detections, self.protocol
        position = positions(detections.image, part.image)
        row = sampled(position)
        number = per_image(detections.image, len(part.image))
        return Produced(
            _Taken(
                position[row],
                part.truth.categories.id[detections.category[row]],
                detections.score[row],
                detections.area[row],
                bool(protocol.federated and (number > protocol.max_dets).any()),
            ),
            None,
        )


def sample_results(
    planned: Planned, evaluation: Evaluation, adjustments: Adjustments, execution: Execution, progress: Progress
) -> ResultSample:
    """The sample of an input that was planned without methods. evaluation: of the images that are tuned on.

    Raises InputError if a score of the sample is not a probability.
    """
    with execution.mapped(_TakeSample(evaluation.protocol), planned.parts, "sampling", progress) as mapped:
        taken = mapped.found
    position, category_id, score, area = (
        np.concatenate([getattr(one, name) for one in taken]) for name in ("position", "category_id", "score", "area")
    )
    row = sampled(position)
    image = evaluation.ground_truth.image_id[position[row] >> 32]
    results = Results(image, category_id[row], score[row], None, None, planned.source)
    own = area[row]
    adjustable = AdjustableResults(results, adjustments.table, adjustments.score_space, lambda: own)
    return ResultSample(ScoreSample(results.score, adjustable), any(one.over for one in taken), planned.runs[0].notes)
