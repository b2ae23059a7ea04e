"""The best score thresholds of a run, and what is said of categories without one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from longtail_cli.evaluation.detections import Candidates, Evaluated, Evaluation
from longtail_cli.evaluation.thresholds import thresholds
from longtail_cli.metrics import Thresholds
from longtail_cli.workflow.intervals import Outcome


def with_thresholds(
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
    notes = [note for iou_type, one in by_type.items() for note in _notes(one, iou_type)]
    return replace(outcome, run=replace(outcome.run, notes=(*outcome.run.notes, *notes)), thresholds=by_type)


def _notes(one: Thresholds, iou_type: str) -> list[str]:
    reasons = Counter(row.f1.reason for row in one.categories if row.f1.reason is not None)
    if not reasons:
        return []
    causes = ", ".join(f"{number} with {reason}" for reason, number in reasons.items())
    return [f"no score threshold for {reasons.total()} of {len(one.categories)} categories ({iou_type}): {causes}"]
