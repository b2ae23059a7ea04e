"""The runs of an input: matched in parts, reduced by category, and merged."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any

import numpy as np

from longtail_cli.evaluation.detections import DetectionMetrics, Evaluation
from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.parts.counting import COUNTED_COLUMNS, CountFalse, FalseCounts
from longtail_cli.evaluation.parts.merged import merged, merged_thresholds
from longtail_cli.evaluation.parts.resamples import CurveStore
from longtail_cli.evaluation.parts.share import Rules, ShareMetrics
from longtail_cli.execution.base import BUCKET, Execution, Mapped
from longtail_cli.files.source import printable
from longtail_cli.files.staging import temporary_file, temporary_folder
from longtail_cli.files.temporary import writing_temporary
from longtail_cli.metrics import Thresholds
from longtail_cli.tables import Categories, Longs
from longtail_cli.workflow.detection_facts import SeenRun
from longtail_cli.workflow.detection_runs import RunRecord, score_notes
from longtail_cli.workflow.partitioned.inputs import Planned, PlannedRun
from longtail_cli.workflow.partitioned.match import MatchPart, RunFacts, buckets_of
from longtail_cli.workflow.partitioned.memory import Sizes
from longtail_cli.workflow.partitioned.reduce import CountRuns, ReduceBucket, Reduced, no_rows
from longtail_cli.workflow.progress import Progress


@dataclass(frozen=True, slots=True)
class WholeRun:
    """A run whose parts are merged."""

    planned: PlannedRun
    metrics: tuple[DetectionMetrics, ...]
    """For each IoU type."""
    thresholds: Mapping[str, Thresholds]
    """By IoU type; empty unless asked for."""
    facts: RunFacts
    """Of all images."""
    order: tuple[bytes, ...] | None
    """See `Reduced.order`, of each bucket; None unless the run is compared with that of another input."""

    def same_boxes(self, before: WholeRun | None) -> bool:
        """Whether the run before has the same boxes of the same categories; False if that is not known."""
        own = self.facts.boxes
        return before is not None and own is not None and own == before.facts.boxes

    def same_order(self, before: WholeRun | None) -> bool:
        """Whether the run before has the same detections in the same order within each category."""
        return before is not None and self.order is not None and self.order == before.order

    def seen(self, planned: Planned, input_number: int) -> SeenRun:
        """For its facts. planned: the input of the run."""
        return SeenRun(
            source=printable(planned.source),
            input_number=input_number,
            from_logits=planned.from_logits,
            adjusted=self.planned.method is not None,
            order_kept=self.facts.order_kept,
            per_image=self.facts.per_image,
            scores=self.facts.scores or 0,
        )

    def record(self, planned: Planned, sha256: str | None, options: EvaluationOptions) -> RunRecord:
        """What the report says about it. planned, sha256: of the input of the run."""
        notes = score_notes(confident=self.facts.confident or not options.reliability)
        notes += tuple(dict.fromkeys((*self.planned.notes, *self.facts.notes)))
        if planned.from_logits:
            from longtail_cli.workflow.decode_logits import saturation_note

            notes += saturation_note(self.facts.saturated)
        return RunRecord(self.planned.name, planned.source, sha256, self.planned.method, notes)


def whole_runs(
    evaluations: Sequence[Evaluation],
    planned: Planned,
    sizes: Sizes,
    execution: Execution,
    progress: Progress,
    *,
    digested: bool,
) -> list[WholeRun]:
    """The runs of an input. digested: whether they are compared with those of another input."""
    rules, first = tuple(map(Rules.of, evaluations)), evaluations[0]
    buckets = buckets_of(rules[0].categories, sum(part.size for part in planned.parts))
    digested = digested and not planned.from_logits
    types = tuple(one.iou_type for one in evaluations)
    match = MatchPart(first.protocol, types, first.options, buckets, digested)
    with execution.mapped(match, planned.parts, "matching", progress, planned.gpus) as mapped, temporary_file() as file:
        facts = _whole_facts(planned, mapped.found, len(first.ground_truth.image_id))
        reduce = ReduceBucket(rules, buckets, digested, sizes.piece)
        store, reduced = CurveStore(file), {}
        for bucket, one in mapped.reduced(reduce, progress):
            with writing_temporary(temporary_folder(), "room for the curves of all resamples"):
                reduced[bucket] = replace(one, metrics=tuple(own.with_curves_in(store) for own in one.metrics))
        shares = [_of_run(number, reduce, reduced) for number in range(len(planned.runs) * len(types))]
        counts = _counted(mapped, reduce, shares, progress)
        categories = first.ground_truth.categories
        return [
            _whole(run, own, rules, shares[begin : begin + len(types)], counts[begin : begin + len(types)], categories)
            for run, own, begin in zip(planned.runs, facts, range(0, len(shares), len(types)), strict=True)
        ]


def _of_run(number: int, reduce: ReduceBucket, reduced: Mapping[int, Reduced]) -> list[Reduced]:
    """What each bucket of a run and IoU type gives, also those without rows. number: see `MatchPart.buckets`."""
    first = number * reduce.buckets
    return [
        reduced[bucket] if bucket in reduced else reduce(bucket, no_rows())[1]
        for bucket in range(first, first + reduce.buckets)
    ]


def _metrics(reduced: Sequence[Reduced]) -> list[ShareMetrics]:
    return [own for one in reduced for own in one.metrics]


def _counted(
    mapped: Mapped[Any], reduce: ReduceBucket, shares: Sequence[Sequence[Reduced]], progress: Progress
) -> list[FalseCounts]:
    """The false positives of each run and IoU type, in one pass over the rows of all. shares: of each."""
    work = CountRuns(
        tuple(
            CountFalse.of(reduce.rules[number % len(reduce.rules)], _metrics(own)) for number, own in enumerate(shares)
        ),
        reduce.buckets,
    )
    found = [run.total([]) for run in work.runs]
    if not all(one.counts_none for one in work.runs):
        for counts in mapped.each(work, (BUCKET, *COUNTED_COLUMNS), progress):
            for number, one in counts.items():
                found[number] = work.runs[number].total([found[number], one])
    return found


def _whole(
    planned: PlannedRun, facts: RunFacts, rules: Sequence[Rules], shares: Sequence[Sequence[Reduced]],
    counts: Sequence[FalseCounts], categories: Categories,
) -> WholeRun:  # fmt: skip
    """A run. rules, shares, counts: for each IoU type."""
    metrics, thresholds = [], dict[str, Thresholds]()
    for of_type, own, false in zip(rules, shares, counts, strict=True):
        reduced = _metrics(own)
        metrics.append(merged(of_type, reduced, false, confident=facts.confident))
        if of_type.options.thresholds:
            thresholds[of_type.iou_type] = merged_thresholds(of_type, reduced, false, categories)
    order = tuple(one.order for own in shares for one in own if one.order is not None)
    return WholeRun(planned, tuple(metrics), thresholds, facts, order or None)


def _whole_facts(planned: Planned, parts: Sequence[Sequence[RunFacts]], images: int) -> list[RunFacts]:
    """The facts of each run. images: I, those of the annotations."""
    image = [part.content.image for part in planned.parts]
    return [_joined(image, [own[number] for own in parts], images) for number in range(len(planned.runs))]


def _joined(image: Sequence[Longs], parts: Sequence[RunFacts], images: int) -> RunFacts:
    """image: the images of each part."""
    per_image = np.zeros(images, np.int64)
    for own, part in zip(image, parts, strict=True):
        per_image[own] = part.per_image
    changed = [part.order_kept for part in parts if part.order_kept is not None]
    return RunFacts(
        per_image=per_image,
        saturated=sum(part.saturated for part in parts),
        confident=all(part.confident for part in parts),
        order_kept=all(changed) if changed else None,
        notes=tuple(dict.fromkeys(chain.from_iterable(part.notes for part in parts))),
        boxes=_summed(part.boxes for part in parts),
        scores=_summed(part.scores for part in parts),
    )


def _summed(digests: Iterable[int | None]) -> int | None:
    """The sum of the digests of parts; None without."""
    known = [one for one in digests if one is not None]
    return sum(known) % 2**64 if known else None
