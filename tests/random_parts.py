"""Inputs divided at random: read whole by the functions of one process, then cut. The twin of the inputs in parts."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from longtail_cli.choices import IouType
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.execution.base import Execution, NamedPart
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.files.results.file import open_results
from longtail_cli.files.results.rows import masks_at
from longtail_cli.methods.base import Method
from longtail_cli.reports.model import Report
from longtail_cli.tables import Detections, FrequencyTable, GroundTruth
from longtail_cli.workflow.detection_inputs import Adjustments, Source, adjusted_sources, held_iou_types
from longtail_cli.workflow.image_subset import truth_of
from longtail_cli.workflow.options import BootstrapOptions, InputOptions
from longtail_cli.workflow.partitioned.image_parts import ImagePart, Loaded
from longtail_cli.workflow.partitioned.inputs import Planned, PlannedRun
from longtail_cli.workflow.partitioned.memory import MOST_PIECE_ROWS, Sizes
from longtail_cli.workflow.partitioned.report import outcomes_in_parts
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import DEFAULT_OPTIONS, DetectionReporter, with_oracles
from longtail_cli.workflow.run_names import number_of, run_names


@dataclass(frozen=True)
class Held:
    """A loader of what is already in memory."""

    loaded: Loaded

    def load(self, truth: GroundTruth) -> Loaded:
        return self.loaded


@dataclass(frozen=True)
class DividedAtRandom:
    """A result file whose images are in one of `number` parts each, some of which may be empty."""

    path: Path
    number: int
    seed: int

    @property
    def iou_types(self) -> tuple[IouType, ...]:
        with open_results(self.path) as file:
            return held_iou_types(file)

    def planned(
        self, truth: GroundTruth, adjustments: Adjustments, names: Sequence[str], iou_types: Sequence[IouType],
        sizes: Sizes, execution: Execution, progress: Progress,
    ) -> Planned:  # fmt: skip
        with open_results(self.path) as file, ThreadPoolExecutor(1) as pool:
            (source,) = adjusted_sources([file], [names], adjustments, iou_types, pool, no_progress)(truth)
        part_of = np.random.default_rng(self.seed).integers(0, self.number, len(truth.image_id))
        parts = [
            NamedPart(f"part {number}", 1, part_at(truth, source, part_of == number)) for number in range(self.number)
        ]
        runs = tuple(PlannedRun(run.name, run.method, ()) for run in source.runs)
        return Planned(source.name, lambda: source.sha256, False, runs, tuple(parts))

    def close(self) -> None: ...


def part_at(truth: GroundTruth, source: Source, keep: np.ndarray) -> ImagePart:
    """The part with the images that are kept."""
    index = np.cumsum(keep, dtype=np.int32) - 1
    rows = [np.flatnonzero(keep[run.detections.image]) for run in source.runs]
    runs = tuple(
        replace(run, detections=detections_at(run.detections, own, index))
        for run, own in zip(source.runs, rows, strict=True)
    )
    objects = np.flatnonzero(keep[np.sort(truth.image, kind="stable")]).astype(np.int32)
    held = Held(Loaded(replace(source, runs=runs), tuple(rows)))
    return ImagePart(truth_of(truth, keep), np.flatnonzero(keep), objects, held)


def detections_at(detections: Detections, rows: np.ndarray, index: np.ndarray) -> Detections:
    """Some of the detections. index: the index in the part of each image."""
    values: dict[str, Any] = {field.name: getattr(detections, field.name) for field in fields(detections)}
    own = {name: one[rows] for name, one in values.items() if isinstance(one, np.ndarray)}
    own["image"] = index[own["image"]]
    masks = None if detections.masks is None else masks_at(detections.masks, rows)
    return replace(detections, **own, masks=masks)


def report_in_parts(
    predictions: Sequence[Path],
    annotations: Path,
    *,
    number: int = 5,
    seed: int = 0,
    piece: int = MOST_PIECE_ROWS,
    table: FrequencyTable | None = None,
    methods: Sequence[Method] = (),
    options: EvaluationOptions = DEFAULT_OPTIONS,
    bootstrap: BootstrapOptions | None = None,
    reference: str | None = None,
) -> Report:
    """`evaluate_in_parts` with inputs that are divided at random. piece: as `Sizes.piece`."""
    names = run_names(predictions, methods, ())
    inputs = [DividedAtRandom(path, number, seed + offset) for offset, path in enumerate(predictions)]
    with ExitStack() as stack:
        truth_file = stack.enter_context(open_annotations(annotations))
        iou_types = options.iou_types or inputs[0].iou_types
        truth = truth_file.read(masks="segm" in iou_types)
        reporter = DetectionReporter.of(truth, iou_types, table, options, bootstrap, truth_file.sha256, None)
        adjustments = Adjustments(methods, table, options.score_space, InputOptions(), options.beyond_limits)
        outcomes = outcomes_in_parts(
            reporter, inputs, names, adjustments, Spilled(), Sizes(1, piece=piece), no_progress
        )
        return reporter.report(
            with_oracles(outcomes, methods, truth_file), None if reference is None else number_of(reference, names)
        )
