"""What the annotations say about the ids and boxes of detections: the guard's verdict in words, and what is covered."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

import numpy as np

from longtail_cli.errors import LtcalError
from longtail_cli.files.faults import input_error
from longtail_cli.reports.inspection.model import Fact, Scalar
from longtail_cli.tables import GroundTruth, Results
from longtail_cli.workflow.conventions import resolved
from longtail_cli.workflow.inspect_words import share
from longtail_cli.workflow.locate_detections import look_up
from longtail_cli.workflow.next_steps import Parameters
from longtail_cli.workflow.offset_guard import MATCH, Question, Reading, Verdict, examined
from longtail_cli.workflow.options import ConventionOptions

_PARAMETER = re.compile(r"`(\w+)=([^`]*)`")
_AGREE = {
    "images": f"boxes overlap an object (IoU >= {MATCH})",
    "categories": "such boxes have the class of the object",
    "boxes": f"boxes overlap an object (IoU >= {MATCH})",
}


@dataclass(frozen=True, slots=True)
class Checked:
    """How the detections agree with the annotations."""

    facts: tuple[Fact, ...]
    notes: tuple[str, ...]
    parameters: Parameters
    """The options that state what fits, beyond those that the user gave; empty if what is stated fits."""


def checked(results: Results, truth: GroundTruth, options: ConventionOptions) -> Checked:
    """Ids and boxes against the annotations, and what a report would refuse."""
    facts: list[Fact] = []
    settling: Parameters = ()
    try:
        verdict = examined(results, truth, options)
        settling = tuple(one for question in verdict.questions for one in _settling(question))
        facts += [*map(_fact, verdict.questions), _summary(verdict)]
        facts += _coverage(resolved(results, truth, _with(options, settling)), truth)
    except LtcalError as error:
        note = f"With these annotations `ltcal report` ends with an error: {error.problems[0]}. To fix it, {error.fix}."
        return Checked(tuple(facts), (note,), settling)
    return Checked(tuple(facts), (), settling)


def _fact(question: Question) -> Fact:
    """How the stated meaning agrees, and the best of the others."""
    stated = question.stated
    values: dict[str, Scalar] = {"reading": stated.name, "agreement": stated.agreement, "boxes": stated.boxes}
    text = f"{stated.name}: {_percent(stated)} of {stated.boxes:,} {_AGREE[question.part]}"
    others = [one for one in question.others if one.possible and one.agreement is not None]
    if others:
        best = question.better or max(others, key=lambda one: one.agreeing)
        text += f"; as {best.name} {_percent(best)}"
        values |= {"other": best.name, "other_agreement": best.agreement}
    return Fact({"images": "image ids", "categories": "class ids", "boxes": "boxes"}[question.part], text, values)


def _summary(verdict: Verdict) -> Fact:
    wrong = [question for question in verdict.questions if question.better is not None]
    possible = all(question.stated.possible for question in verdict.questions)
    if not verdict.boxes.stated.boxes:
        text = "nothing to judge by: no boxes in images with objects"
    elif wrong:
        parts = " and ".join(question.part for question in wrong)
        options = " and ".join(one.better.option or one.better.name for one in wrong if one.better is not None)
        text = f"{parts} fit better by far with {options}"
    elif not possible:
        text = "not all of the file can mean what it says, see the notes"
    else:
        text = "ids and boxes are what the file says; nothing else fits better by far"
    values: dict[str, Scalar] = {"fits": possible and not wrong}
    for question in wrong:
        values |= dict(_settling(question))
    return Fact("verdict", text, values)


def _percent(reading: Reading) -> str:
    return "none" if reading.agreement is None else f"{100 * reading.agreement:.1f}%"


def _settling(question: Question) -> Parameters:
    """The options that state the better meaning, if there is one."""
    found = "" if question.better is None else question.better.option
    return tuple((name, value.strip("'")) for name, value in _PARAMETER.findall(found))


def _with(options: ConventionOptions, parameters: Parameters) -> ConventionOptions:
    values: dict[str, object] = {}
    for name, value in parameters:
        values[name] = int(value) if name.endswith("_offset") else value == "True" if name == "contiguous" else value
    return replace(options, **values)  # type: ignore[arg-type]  # the names are those of its fields


def _coverage(results: Results, truth: GroundTruth) -> Iterator[Fact]:
    """Raises InputError for ids that are not in the annotations."""
    image, unknown_images = look_up("image_id", results.image_id, truth.image_id, truth.source)
    category, unknown = look_up("category_id", results.category_id, truth.categories.id, truth.source)
    if unknown_images or unknown:
        raise input_error(results.source, [*unknown_images, *unknown])
    for name, index, whole in (
        ("images", image, len(truth.image_id)),
        ("classes", category, len(truth.categories)),
    ):
        part = len(np.unique(index))
        yield Fact(f"{name} covered", f"{share(part, whole)} have detections", {"number": part, "of": whole})
