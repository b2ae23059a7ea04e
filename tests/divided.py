"""An input read in parts and put together again, and the same input read by one process."""

from __future__ import annotations

import pickle
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.rows import joined_masks, masks_at
from longtail_cli.methods.registry import parse_method
from longtail_cli.tables import Detections, FrequencyTable, GroundTruth
from longtail_cli.workflow.detection_inputs import Adjustments, RunInput, adjusted_sources, open_inputs
from longtail_cli.workflow.options import ConventionOptions, InputOptions
from longtail_cli.workflow.partitioned.image_parts import ImagePart, Loaded
from longtail_cli.workflow.partitioned.inputs import Planned, open_in_parts
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.progress import no_progress


class Reading:
    """How an input is read; the methods return the runs of it."""

    def __init__(
        self,
        predictions: Any,
        annotations: Path,
        *,
        iou_types: Sequence[IouType] = ("bbox",),
        methods: Sequence[str] = (),
        table: FrequencyTable | None = None,
        convention: ConventionOptions = ConventionOptions(),  # noqa: B008
    ) -> None:
        self.predictions, self.annotations, self.iou_types = predictions, annotations, tuple(iou_types)
        self.options = InputOptions(convention=convention)
        self.adjustments = Adjustments([parse_method(one) for one in methods], table, "prob", self.options, False)
        self.names = tuple(methods) or ("run",)

    def truth(self) -> GroundTruth:
        with open_annotations(self.annotations) as file:
            return file.read(masks="segm" in self.iou_types)

    def whole(self) -> tuple[str | None, tuple[RunInput, ...]]:
        """The digest and the runs, read by one process."""
        with ExitStack() as stack, ThreadPoolExecutor(2) as pool:
            truth_file = stack.enter_context(open_annotations(self.annotations))
            files = open_inputs([self.predictions], truth_file, self.options, stack)
            sources = adjusted_sources(files, [self.names], self.adjustments, self.iou_types, pool, no_progress)
            (source,) = sources(self.truth())
            return source.sha256, source.runs

    def planned(self, rows: int, **sizes: Any) -> Planned:
        """The parts. rows, sizes: see `Sizes`."""
        with (
            open_annotations(self.annotations) as file,
            closing(open_in_parts(self.predictions, file, self.options)) as divided,
        ):
            return divided.planned(
                self.truth(),
                self.adjustments,
                self.names,
                self.iou_types,
                Sizes(rows, **sizes),
                Spilled(),
                no_progress,
            )

    def in_parts(self, rows: int, **sizes: Any) -> tuple[str | None, tuple[RunInput, ...]]:
        """The digest and the runs, read in parts of about so many detections, in the order of the file."""
        with (
            open_annotations(self.annotations) as file,
            closing(open_in_parts(self.predictions, file, self.options)) as divided,
        ):
            plan = divided.planned(
                self.truth(), self.adjustments, self.names, self.iou_types, Sizes(rows, **sizes), Spilled(), no_progress
            )
            loaded = [pickle.loads(pickle.dumps(one.content.loader)).load(one.content.truth) for one in plan.parts]
            digest = plan.sha256()
        parts = [one.content for one in plan.parts]
        return digest, tuple(self._joined(plan, parts, loaded, run) for run in range(len(plan.runs)))

    def _joined(self, plan: Planned, parts: Sequence[ImagePart], loaded: Sequence[Loaded], run: int) -> RunInput:
        order = np.argsort(np.concatenate([one.file_row[run] for one in loaded]))
        assert (np.diff(np.concatenate([one.file_row[run] for one in loaded])[order]) == 1).all()
        own = [one.source.runs[run] for one in loaded]
        image = np.concatenate([part.image[one.detections.image] for part, one in zip(parts, own, strict=True)])
        columns = {
            name: np.concatenate([getattr(one.detections, name) for one in own])[order]
            for name in ("category", "score", "bbox", "area")
        }
        masks = [one.detections.masks for one in own if one.detections.masks is not None]
        joined = masks_at(joined_masks(masks), order) if len(masks) == len(own) else None
        detections = Detections(image[order].astype(np.int32), **columns, masks=joined, source=plan.source)
        kept = [one.order_kept for one in own if one.order_kept is not None]
        notes = plan.runs[run].notes + tuple(dict.fromkeys(note for one in own for note in one.notes))
        return RunInput(plan.runs[run].name, plan.runs[run].method, detections, notes, all(kept) if kept else None)
