"""What the detections of a run are, beside their metrics: how many, on which images, and whose boxes they share."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.selection import per_image
from longtail_cli.files.source import printable
from longtail_cli.tables import Bools, Floats, Longs
from longtail_cli.workflow.detection_inputs import RunInput, Source


@dataclass(frozen=True, slots=True)
class DetectionFacts:
    """What notes and warnings about a run depend on. Detections beyond the limit of the decoder are left out."""

    source: str
    """The input, for messages."""
    input_number: int
    """The same for all runs of an input."""
    from_logits: bool
    per_image: Longs
    """int64 [I], detections of each image of the annotations."""
    order_kept: bool | None
    """Of the boxes of a result file with other scores, whether the order within every category is the same; else
    None."""
    rescores: int | None = None
    """The number of the earlier run that the other scores are compared with; None for those of the file."""

    @property
    def number(self) -> int:
        """Detections."""
        return int(self.per_image.sum())

    @property
    def covered(self) -> Bools:
        """Bool [I], the images with detections."""
        return np.asarray(self.per_image > 0)

    @property
    def most(self) -> int:
        """The greatest number of detections of an image."""
        return int(self.per_image.max(initial=0))

    def images_over(self, protocol: Protocol) -> int:
        """Images with more detections than the protocol evaluates over all categories; 0 under COCO, which limits each
        category.
        """
        return int((self.per_image > protocol.max_dets).sum()) if protocol.federated else 0


@dataclass(frozen=True, slots=True, eq=False)
class SeenRun:
    """What the facts of a run follow from, beside those of the runs before it."""

    source: str
    """The input, for messages."""
    input_number: int
    """The same for all runs of an input."""
    from_logits: bool
    adjusted: bool
    """Whether a method adjusted the scores."""
    order_kept: bool | None
    """See `RunInput.order_kept`."""
    per_image: Longs
    """See `DetectionFacts.per_image`."""
    scores: Floats | int
    """float64 [N], those of the detections; or a digest of them."""

    @classmethod
    def of(cls, run: RunInput, source: Source, input_number: int, images: int) -> SeenRun:
        """A run of `source`. images: I, those of the annotations."""
        score, within = run.detections.score, run.detections.within_limit
        image = run.detections.image if within is None else run.detections.image[within]
        return cls(
            source=printable(source.name),
            input_number=input_number,
            from_logits=source.box_index is not None,
            adjusted=run.method is not None,
            order_kept=run.order_kept,
            per_image=per_image(image, images),
            scores=score,
        )


class ComparedRuns:
    """The facts of runs, each seen beside the runs before it."""

    def __init__(self) -> None:
        self._runs = 0
        self._first = 0  # of the runs with the boxes of the last one
        self._scores: Floats | int = 0  # of that run
        self._same_order = True  # whether all of these have the same order within every category

    def facts(self, run: SeenRun, *, same_boxes: bool, same_order: bool) -> DetectionFacts:
        """Those of the next run. same_boxes, same_order: as the run before, the order being that of each category."""
        if not same_boxes:
            self._first, self._scores, self._same_order = self._runs, run.scores, True
        self._same_order &= same_order or not same_boxes
        self._runs += 1
        rescored = not run.adjusted and not np.array_equal(self._scores, run.scores)
        return DetectionFacts(
            source=run.source,
            input_number=run.input_number,
            from_logits=run.from_logits,
            per_image=run.per_image,
            order_kept=self._same_order if rescored else run.order_kept,
            rescores=self._first if rescored else None,
        )
