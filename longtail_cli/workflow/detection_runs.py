"""Evaluates sets of detections as the runs of a report. Imports numba."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np

from longtail_cli.evaluation.detections import DetectionMetrics, Evaluation
from longtail_cli.evaluation.geometry import Overlaps, rows_of
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.evaluation.selection import images_over
from longtail_cli.files.source import printable
from longtail_cli.reports.model import Run
from longtail_cli.tables import Detections, Longs, Masks
from longtail_cli.workflow.category_rows import TrainCounts, category_rows
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.locate_detections import locate
from longtail_cli.workflow.progress import Progress


def evaluate_sources(
    evaluations: Sequence[Evaluation], sources: Iterable[Source], train: TrainCounts | None, progress: Progress
) -> tuple[Outcome, ...]:
    """The outcome of each run; geometry is computed once per source, and again only if boxes or masks differ."""
    outcomes: list[Outcome] = []
    before: Detections | None = None
    geometry: list[Overlaps] = []
    for source in sources:
        located = [locate(run.results, evaluations[0].ground_truth) for run in source.runs]
        shared = None if source.box_index is None else _shared_geometry(evaluations, located, source.box_index)
        for number, (run, detections) in enumerate(zip(source.runs, located, strict=True)):
            progress(f"evaluating {run.name}", None)
            if shared is not None:
                geometry = shared[number]
            elif before is None or not _same_geometry(before, detections):
                geometry = [one.geometry(detections) for one in evaluations]
            found = [one.metrics(detections, pairs) for one, pairs in zip(evaluations, geometry, strict=True)]
            resampled = {name: values for one in found for name, values in (one.resampled or {}).items()}
            outcomes.append(Outcome(_run(evaluations, found, detections, source, run, train), resampled))
            before = None if shared is not None else detections
    return tuple(outcomes)


def _shared_geometry(
    evaluations: Sequence[Evaluation], located: Sequence[Detections], box_index: Sequence[Longs]
) -> list[list[Overlaps]]:
    """The overlaps of each set of detections, for each evaluation; those of a box are computed once."""
    known, first = np.unique(np.concatenate(box_index), return_index=True)
    image, bbox = (np.concatenate([getattr(one, name) for one in located])[first] for name in ("image", "bbox"))
    nothing = np.zeros(len(first))
    boxes = Detections(image, np.zeros(len(first), np.int32), nothing, bbox, nothing, None, "")
    pairs = [one.geometry_of_boxes(boxes) for one in evaluations]
    rows = [np.searchsorted(known, own) for own in box_index]
    return [[rows_of(one, row) for one in pairs] for row in rows]


def _same_geometry(one: Detections, other: Detections) -> bool:
    """Whether both hold the same boxes and masks of the same categories in the same order."""
    columns = ("image", "category", "bbox")
    if not all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns):
        return False
    if one.masks is None or other.masks is None:
        return one.masks is other.masks
    return _same_masks(one.masks, other.masks)


def _same_masks(one: Masks, other: Masks) -> bool:
    columns = ("size", "start", "counts")
    return all(np.array_equal(getattr(one, name), getattr(other, name)) for name in columns)


def _run(
    evaluations: Sequence[Evaluation],
    found: Sequence[DetectionMetrics],
    detections: Detections,
    source: Source,
    run: RunInput,
    train: TrainCounts | None,
) -> Run:
    by_type = {one.iou_type: metrics for one, metrics in zip(evaluations, found, strict=True)}
    return Run(
        name=run.name,
        source=printable(source.name),
        sha256=source.sha256,
        method=run.method,
        metrics={iou_type: one.as_metrics() for iou_type, one in by_type.items()},
        tide={iou_type: one.tide for iou_type, one in by_type.items() if one.tide is not None},
        categories=category_rows(evaluations, found, train),
        notes=(_limit_note(detections, evaluations[0].protocol), *_score_note(evaluations, detections), *run.notes),
        reliability={iou_type: one.reliability for iou_type, one in by_type.items() if one.reliability is not None},
    )


def _score_note(evaluations: Sequence[Evaluation], detections: Detections) -> tuple[str, ...]:
    if not evaluations[0].options.reliability or are_confidences(detections.score):
        return ()
    return ("D-ECE and LaECE are undefined: some scores lie outside [0, 1]",)


def _limit_note(detections: Detections, protocol: Protocol) -> str:
    number, limit = len(detections), protocol.max_dets
    if protocol.name == "coco":
        return f"{number} detections; at most {limit} per image and category are evaluated"
    reach, exceed = images_over(detections, limit)
    note = f"{number} detections; {reach} images reach the limit of {limit}, {exceed} exceed it"
    if exceed:
        return note
    return f"{note}: an adjustment that keeps the order within each category cannot change per-category AP"
