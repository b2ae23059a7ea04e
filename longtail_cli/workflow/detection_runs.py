"""Evaluates sets of detections as the runs of a report."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from longtail_cli.evaluation.bootstrap.permutation import Comparable, Swaps, p_values
from longtail_cli.evaluation.detections import Candidates, DetectionMetrics, Evaluation, Ordered
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.evaluation.selection import images_over
from longtail_cli.files.source import printable
from longtail_cli.reports.model import Run
from longtail_cli.tables import Detections, Longs
from longtail_cli.workflow.category_rows import TrainCounts, category_rows
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.locate_detections import same_geometry
from longtail_cli.workflow.progress import Progress


def evaluate_sources(
    evaluations: Sequence[Evaluation],
    sources: Iterable[Source],
    train: TrainCounts | None,
    progress: Progress,
    swaps: Swaps | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of each run; geometry is computed once per source, and again only if boxes or masks differ.

    swaps: exchanges of images with the first run, for p-values of the differences to it; None for none.
    """
    outcomes: list[Outcome] = []
    first: list[Comparable] = []
    before: Detections | None = None
    candidates: list[Candidates] = []
    ordered: list[Ordered | None] = []
    for source in sources:
        located = [run.detections for run in source.runs]
        shared = None if source.box_index is None else _shared_geometry(evaluations, located, source.box_index)
        for number, (run, detections) in enumerate(zip(source.runs, located, strict=True)):
            progress(f"evaluating {run.name}", None)
            if shared is not None or before is None or not same_geometry(before, detections):
                candidates = shared[number] if shared else [one.candidates(detections) for one in evaluations]
                ordered = [None for _ in evaluations]
            found = [
                one.evaluate(detections, own, known)
                for one, own, known in zip(evaluations, candidates, ordered, strict=True)
            ]
            ordered = [one.ordered for one in found]
            metrics = [one.metrics for one in found]
            resampled = {name: values for one in metrics for name, values in (one.resampled or {}).items()}
            outcome = Outcome(_run(evaluations, metrics, detections, source, run, train), resampled)
            if swaps is not None:
                own = [
                    one.comparable(detections, of_type, evaluated)
                    for one, of_type, evaluated in zip(evaluations, candidates, found, strict=True)
                ]
                if first:
                    progress(f"comparing {run.name} with {outcomes[0].run.name}", None)
                    tested = _p_values(evaluations, first, own, swaps)
                    outcome = replace(outcome, run=replace(outcome.run, p_values=tested))
                first = first or own
            outcomes.append(outcome)
            before = None if shared is not None else detections
    return tuple(outcomes)


def _p_values(
    evaluations: Sequence[Evaluation], first: Sequence[Comparable], second: Sequence[Comparable], swaps: Swaps
) -> dict[str, float]:
    """The p-value of the difference of every metric that is resampled, by name."""
    return {
        name: p
        for evaluation, one, other in zip(evaluations, first, second, strict=True)
        for name, p in p_values(evaluation.swapped(one, other, swaps)).items()
    }


def _shared_geometry(
    evaluations: Sequence[Evaluation], located: Sequence[Detections], box_index: Sequence[Longs]
) -> list[list[Candidates]]:
    """The candidates of each set of detections, for each evaluation; the overlaps of a box are computed once."""
    known, first = np.unique(np.concatenate(box_index), return_index=True)
    image, bbox = (np.concatenate([getattr(one, name) for one in located])[first] for name in ("image", "bbox"))
    nothing = np.zeros(len(first))
    boxes = Detections(image, np.zeros(len(first), np.int32), nothing, bbox, nothing, None, "")
    pairs = [one.overlaps_of_boxes(boxes) for one in evaluations]
    rows = [np.searchsorted(known, own) for own in box_index]
    return [
        [one.candidates_of_boxes(detections, shared, row) for one, shared in zip(evaluations, pairs, strict=True)]
        for detections, row in zip(located, rows, strict=True)
    ]


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
