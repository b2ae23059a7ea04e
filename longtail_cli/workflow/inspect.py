"""`ltcal inspect`: what a file is, what it holds, and what can be done with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from longtail_cli.errors import InputError, LtcalError, Problem
from longtail_cli.files.frameworks.formats import FORMATS
from longtail_cli.files.kinds import ContentKind, recognised
from longtail_cli.files.outline import Outline, outline_of
from longtail_cli.reports.inspection.model import Fact, Inspection, Kind, Section
from longtail_cli.workflow.inspected import CONTAINERS, Answer, Beside, inspection_of
from longtail_cli.workflow.options import InputOptions, require_torch
from longtail_cli.workflow.progress import Progress, no_progress

DEFAULT_OPTIONS = InputOptions()
NOTHING_BESIDE = Beside()

_NAMES: dict[ContentKind, str] = {
    "results": "detections", "logits": "logits or scores", "annotations": "annotations",
    "frequencies": "a frequency table", "labels": "class labels", "counts": "counts per class",
    "metadata": "metadata of logits", "report": "a report", "tuning": "a tuning", "fit": "a fit",
}  # fmt: skip
_LACKING = "`annotations=`"
"""In how to fix a file of which all is understood but what the annotations state."""
_KNOWN = {
    "logits, scores": "arrays [N, C], dicts of arrays and tables with a column for each class (docs/inputs.md)",
    "annotations": "COCO and LVIS",
    "labels": "image lists, a column `label`, arrays of integers, folders of images by class",
    "tables": "frequency tables (docs/formats.md), counts per class",
    "own outputs": "of `ltcal report`, `ltcal tune` and `ltcal fit`",
}
"""What is read besides detections."""


def inspect(
    source: Path,
    beside: Beside = NOTHING_BESIDE,
    options: InputOptions = DEFAULT_OPTIONS,
    progress: Progress = no_progress,
) -> Inspection:
    """What the file or folder is.

    Of a file that no command can read with these options, `Inspection.problem` says why, and the rest is what its first
    bytes show. Raises InputError if there is nothing to show: the file is missing, empty, or damaged from the start.
    """
    outline = outline_of(source)
    found = recognised(outline)
    readers = _readers(source, beside, options, progress)
    refused: list[LtcalError] = []
    for kind in found.kinds:
        try:
            return inspection_of(outline, readers[kind]())
        except LtcalError as error:
            refused.append(error)
    recognised_as = [
        (kind, error)
        for kind, error in zip(found.kinds, refused, strict=True)
        if found.certain or _LACKING in error.fix
    ]
    if recognised_as:
        return _refused(outline, *recognised_as[0])
    return _unknown(outline, dict(zip(found.kinds, refused, strict=True)))


def _readers(
    source: Path, beside: Beside, options: InputOptions, progress: Progress
) -> Mapping[ContentKind, Callable[[], Answer]]:
    """What reads each kind of file; each imports what it needs when it is called."""

    def results() -> Answer:
        from longtail_cli.workflow.inspect_results import results_answer

        return results_answer(source, beside, options.convention, progress)

    def logits() -> Answer:
        require_torch()
        from longtail_cli.workflow.inspect_logits import logits_answer

        return logits_answer(source, beside, options, progress)

    def of_dataset(name: str) -> Answer:
        from longtail_cli.workflow import inspect_datasets

        answer: Answer = getattr(inspect_datasets, f"{name}_answer")(source)
        return answer

    def of_output(name: str) -> Answer:
        from longtail_cli.workflow import inspect_outputs

        answer: Answer = getattr(inspect_outputs, f"{name}_answer")(source)
        return answer

    return {
        "results": results,
        "logits": logits,
        **{name: partial(of_dataset, name) for name in ("annotations", "labels", "counts", "frequencies")},
        **{name: partial(of_output, name) for name in ("report", "tuning", "fit", "metadata")},
    }


def _refused(outline: Outline, kind: ContentKind, error: LtcalError) -> Inspection:
    """The inspection of a file that was recognised, but cannot be read with these options."""
    shown: Kind = "unknown" if kind == "metadata" else kind
    return inspection_of(outline, Answer(shown, f"{_NAMES[kind]}, which cannot be read as they are", ()), str(error))


def _unknown(outline: Outline, refused: Mapping[ContentKind, LtcalError]) -> Inspection:
    """The inspection of a file that no command reads. refused: why it is none of the kinds that it might have been."""
    formats = ", ".join(["COCO results", *(one.name for one in FORMATS)])
    known = (Fact("detections", formats, {}), *(Fact(name, text, {}) for name, text in _KNOWN.items()))
    seen = CONTAINERS[outline.container]
    found = "; ".join([f"{seen} of another structure", *(_reason(kind, error) for kind, error in refused.items())])
    problem = Problem("content", "an input of ltcal", found)
    error = InputError(str(outline.path), [problem], "see docs/inputs.md for what is read, and how it is made")
    return inspection_of(
        outline, Answer("unknown", f"{seen} that no command reads", [Section("Known", known)]), str(error)
    )


def _reason(kind: ContentKind, error: LtcalError) -> str:
    return f"read as {_NAMES[kind]}: {error.problems[0]}"
