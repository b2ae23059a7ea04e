"""Evaluates sets of detections as the runs of a report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from longtail_cli.evaluation.bootstrap.permutation import Comparable, Swaps, p_values
from longtail_cli.evaluation.detections import Candidates, DetectionMetrics, Evaluated, Evaluation, Ordered
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.reliability import are_confidences
from longtail_cli.evaluation.thresholds import thresholds
from longtail_cli.files.source import printable
from longtail_cli.metrics import Thresholds
from longtail_cli.reports.model import Run
from longtail_cli.tables import Detections, Longs
from longtail_cli.workflow.category_rows import TrainCounts, category_rows
from longtail_cli.workflow.compared_runs import Comparison
from longtail_cli.workflow.detection_facts import ComparedRuns, DetectionFacts, SeenRun
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
    compared, images = ComparedRuns(), len(evaluations[0].ground_truth.image_id)
    for input_number, source in enumerate(sources, 1):
        located = [run.detections for run in source.runs]
        shared = None if source.box_index is None else shared_geometry(evaluations, located, source.box_index)
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
            seen = SeenRun.of(run, source, input_number, images)
            facts = compared.facts(seen, same_boxes=same_boxes, same_order=same_order)
            record = _record(evaluations[0].options, source, run)
            outcome = outcome_of(evaluations, [one.metrics for one in found], record, train, facts)
            outcome = with_thresholds(outcome, _thresholds(evaluations, candidates, found))
            outcomes.append(outcome if slices is None else slices.added(outcome, evaluations, found))
            if comparison is not None:
                progress(f"comparing {run.name}", None)
                comparison.add([
                    one.comparable(detections, of_type, evaluated)
                    for one, of_type, evaluated in zip(evaluations, candidates, found, strict=True)
                ])  # fmt: skip
            before = None if shared is not None else detections
    return tuple(outcomes) if comparison is None else comparison.added_to(outcomes)


@dataclass(frozen=True, slots=True)
class RunRecord:
    """What a report says about a run, beside its metrics."""

    name: str
    source: str
    """The input, as the user gave it."""
    sha256: str | None
    """Of the input; None for logits."""
    method: str | None
    """The canonical spec; None if the scores are as they were."""
    notes: tuple[str, ...]


def _record(options: EvaluationOptions, source: Source, run: RunInput) -> RunRecord:
    notes = score_notes(confident=not options.reliability or are_confidences(run.detections.score))
    return RunRecord(run.name, source.name, source.sha256, run.method, (*notes, *run.notes))


def outcome_of(
    evaluations: Sequence[Evaluation],
    found: Sequence[DetectionMetrics],
    record: RunRecord,
    train: TrainCounts | None,
    facts: DetectionFacts,
) -> Outcome:
    """The outcome of a run without its thresholds and slices. found: of the run, for each evaluation."""
    by_type = {one.iou_type: metrics for one, metrics in zip(evaluations, found, strict=True)}
    run = Run(
        name=record.name,
        source=printable(record.source),
        sha256=record.sha256,
        method=record.method,
        metrics={iou_type: one.as_metrics() for iou_type, one in by_type.items()},
        tide={iou_type: one.tide for iou_type, one in by_type.items() if one.tide is not None},
        categories=category_rows(evaluations, found, train),
        notes=record.notes,
        reliability={iou_type: one.reliability for iou_type, one in by_type.items() if one.reliability is not None},
    )
    return Outcome(
        run,
        resampled={name: values for one in found for name, values in (one.resampled or {}).items()},
        facts=facts,
        images={iou_type: one.images for iou_type, one in by_type.items() if one.images is not None},
    )


def score_notes(*, confident: bool) -> tuple[str, ...]:
    """A note if the calibration errors are undefined. confident: see `are_confidences`."""
    return () if confident else ("D-ECE and LaECE are undefined: some scores lie outside [0, 1]",)


def _p_values(
    evaluations: Sequence[Evaluation], swaps: Swaps, reference: Sequence[Comparable], run: Sequence[Comparable]
) -> dict[str, float]:
    """The p-value of the difference of every metric that is resampled, by name."""
    return {
        name: p
        for evaluation, one, other in zip(evaluations, reference, run, strict=True)
        for name, p in p_values(evaluation.swapped(one, other, swaps)).items()
    }


def shared_geometry(
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


def _thresholds(
    evaluations: Sequence[Evaluation], candidates: Sequence[Candidates], found: Sequence[Evaluated]
) -> dict[str, Thresholds]:
    """By IoU type; empty unless asked for. candidates, found: of a run, for each evaluation."""
    return {
        one.iou_type: thresholds(
            evaluated.matched.scored, own.overlaps, evaluated.matched.capped, one.ground_truth.categories, one.groups
        )
        for one, own, evaluated in zip(evaluations, candidates, found, strict=True)
        if one.options.thresholds
    }


def with_thresholds(outcome: Outcome, by_type: Mapping[str, Thresholds]) -> Outcome:
    """The outcome with its thresholds by IoU type, and a note on categories without."""
    notes = [note for iou_type, one in by_type.items() for note in _threshold_notes(one, iou_type)]
    return replace(outcome, run=replace(outcome.run, notes=(*outcome.run.notes, *notes)), thresholds=by_type)


def _threshold_notes(one: Thresholds, iou_type: str) -> list[str]:
    reasons = Counter(row.f1.reason for row in one.categories if row.f1.reason is not None)
    if not reasons:
        return []
    causes = ", ".join(f"{number} with {reason}" for reason, number in reasons.items())
    return [f"no score threshold for {reasons.total()} of {len(one.categories)} categories ({iou_type}): {causes}"]
