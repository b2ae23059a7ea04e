"""Evaluates sets of detections as the runs of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np

from longtail_cli.evaluation.bootstrap.permutation import Comparable, Swaps, p_values
from longtail_cli.evaluation.detections import Candidates, DetectionMetrics, Evaluated, Evaluation, Ordered
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.evaluation.thresholds import thresholds
from longtail_cli.files.source import printable
from longtail_cli.metrics import ImageMetrics, Thresholds
from longtail_cli.reports.model import Run
from longtail_cli.tables import Detections, Longs
from longtail_cli.workflow.category_rows import TrainCounts, category_rows
from longtail_cli.workflow.compared_runs import Comparison
from longtail_cli.workflow.detection_facts import ComparedRuns, DetectionFacts
from longtail_cli.workflow.detection_inputs import RunInput, Source
from longtail_cli.workflow.intervals import Outcome
from longtail_cli.workflow.locate_detections import same_geometry
from longtail_cli.workflow.progress import Progress
from longtail_cli.workflow.slices import ImageSlices


def evaluate_sources(
    evaluations: Sequence[Evaluation],
    sources: Iterable[Source],
    train: TrainCounts | None,
    progress: Progress,
    swaps: Swaps | None = None,
    reference: int = 0,
    slices: ImageSlices | None = None,
) -> tuple[Outcome, ...]:
    """The outcome of each run; geometry is computed once per source, and again only if boxes or masks differ.

    swaps: exchanges of images with the reference, for p-values of the differences to it; None for none. reference: the
    number of the run, from 0. slices: parts of the images to have metrics of their own; None for none.
    """
    outcomes: list[Outcome] = []
    comparison = None if swaps is None else Comparison(reference, partial(_p_values, evaluations, swaps))
    before: Detections | None = None
    candidates: list[Candidates] = []
    ordered: list[Ordered | None] = []
    compared = ComparedRuns(len(evaluations[0].ground_truth.image_id))
    for source in sources:
        located = [run.detections for run in source.runs]
        shared = None if source.box_index is None else _shared_geometry(evaluations, located, source.box_index)
        for number, (run, detections) in enumerate(zip(source.runs, located, strict=True)):
            progress(f"evaluating {run.name}", None)
            same_boxes = shared is None and before is not None and same_geometry(before, detections)
            if not same_boxes:
                candidates = shared[number] if shared else [one.candidates(detections) for one in evaluations]
                ordered = [None for _ in evaluations]
            found = [
                one.evaluate(detections, own, known)
                for one, own, known in zip(evaluations, candidates, ordered, strict=True)
            ]
            same_order = all(one.ordered is known for one, known in zip(found, ordered, strict=True))
            ordered = [one.ordered for one in found]
            facts = compared.facts(run, source, same_boxes=same_boxes, same_order=same_order)
            outcome = _outcome(evaluations, candidates, found, source, run, train, facts)
            outcomes.append(outcome if slices is None else slices.added(outcome, evaluations, found))
            if comparison is not None:
                progress(f"comparing {run.name}", None)
                comparison.add([
                    one.comparable(detections, of_type, evaluated)
                    for one, of_type, evaluated in zip(evaluations, candidates, found, strict=True)
                ])  # fmt: skip
            before = None if shared is not None else detections
    return tuple(outcomes) if comparison is None else comparison.added_to(outcomes)


def _outcome(
    evaluations: Sequence[Evaluation],
    candidates: Sequence[Candidates],
    found: Sequence[Evaluated],
    source: Source,
    run: RunInput,
    train: TrainCounts | None,
    facts: DetectionFacts,
) -> Outcome:
    """The outcome of a run without its slices. candidates, found: of the run, for each evaluation."""
    metrics = [one.metrics for one in found]
    resampled = {name: values for one in metrics for name, values in (one.resampled or {}).items()}
    shown = _run(evaluations, metrics, source, run, train)
    outcome = Outcome(shown, resampled, facts, _images(evaluations, metrics))
    return _with_thresholds(outcome, evaluations, candidates, found)


def _p_values(
    evaluations: Sequence[Evaluation], swaps: Swaps, reference: Sequence[Comparable], run: Sequence[Comparable]
) -> dict[str, float]:
    """The p-value of the difference of every metric that is resampled, by name."""
    return {
        name: p
        for evaluation, one, other in zip(evaluations, reference, run, strict=True)
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
        notes=(*_score_note(evaluations, run.detections), *run.notes),
        reliability={iou_type: one.reliability for iou_type, one in by_type.items() if one.reliability is not None},
    )


def _images(evaluations: Sequence[Evaluation], found: Sequence[DetectionMetrics]) -> dict[str, ImageMetrics]:
    """The metrics of images by IoU type; empty unless they were computed."""
    return {
        one.iou_type: metrics.images
        for one, metrics in zip(evaluations, found, strict=True)
        if metrics.images is not None
    }


def _with_thresholds(
    outcome: Outcome, evaluations: Sequence[Evaluation], candidates: Sequence[Candidates], found: Sequence[Evaluated]
) -> Outcome:
    """The outcome with its thresholds by IoU type, and a note on categories without; unchanged unless asked for.

    candidates, found: of the run, for each evaluation.
    """
    by_type: dict[str, Thresholds] = {
        one.iou_type: thresholds(
            evaluated.matched.scored, own.overlaps, evaluated.matched.capped, one.ground_truth.categories, one.groups
        )
        for one, own, evaluated in zip(evaluations, candidates, found, strict=True)
        if one.options.thresholds
    }
    notes = [note for iou_type, one in by_type.items() for note in _threshold_notes(one, iou_type)]
    return replace(outcome, run=replace(outcome.run, notes=(*outcome.run.notes, *notes)), thresholds=by_type)


def _threshold_notes(one: Thresholds, iou_type: str) -> list[str]:
    reasons = Counter(row.f1.reason for row in one.categories if row.f1.reason is not None)
    if not reasons:
        return []
    causes = ", ".join(f"{number} with {reason}" for reason, number in reasons.items())
    return [f"no score threshold for {reasons.total()} of {len(one.categories)} categories ({iou_type}): {causes}"]


def _score_note(evaluations: Sequence[Evaluation], detections: Detections) -> tuple[str, ...]:
    if not evaluations[0].options.reliability or are_confidences(detections.score):
        return ()
    return ("D-ECE and LaECE are undefined: some scores lie outside [0, 1]",)
