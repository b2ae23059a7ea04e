"""What a report says about its inputs: how much they cover, and which metrics an adjustment of scores cannot change."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby

import numpy as np

from longtail_cli.evaluation.options import EvaluationOptions
from longtail_cli.evaluation.protocol import Protocol
from longtail_cli.metrics import Metrics
from longtail_cli.reports.format import in_words
from longtail_cli.reports.model import Run
from longtail_cli.tables import Bools, GroundTruth
from longtail_cli.workflow.detection_facts import DetectionFacts
from longtail_cli.workflow.intervals import Outcome

MISSING_SHARE = 0.1
"""The share of images without detections that is worth a warning."""

LEAST_LIMIT = 100
"""The smallest number of detections per image that is taken for the limit of the model that wrote a file."""


@dataclass(frozen=True, slots=True, eq=False)
class Described:
    """The runs of one input, with what is known of their detections."""

    runs: tuple[Run, ...]
    facts: tuple[DetectionFacts, ...]

    @property
    def name(self) -> str:
        """That of the run if the scores are as they were, else that of the input."""
        named = len(self.runs) == 1 and self.runs[0].method is None
        return self.runs[0].name if named else self.facts[0].source

    @property
    def covered(self) -> Bools:
        """Bool [I], the images with a detection of any run."""
        return np.asarray(np.any([one.covered for one in self.facts], axis=0))


def by_input(outcomes: Sequence[Outcome]) -> list[Described]:
    """The runs of each input. Those of an input follow one another."""
    known = [(one.run, one.facts) for one in outcomes if one.facts is not None]
    groups = [list(pairs) for _, pairs in groupby(known, key=lambda pair: pair[1].input_number)]
    return [Described(tuple(run for run, _ in pairs), tuple(facts for _, facts in pairs)) for pairs in groups]


def notes_on(inputs: Sequence[Described], protocol: Protocol, options: EvaluationOptions) -> tuple[str, ...]:
    """How many detections each input has, and what its limit per image means for the metrics."""
    return tuple(note for one in inputs for note in (_size(one), *_limit(one, protocol), *_limited(one, options)))


def _size(one: Described) -> str:
    numbers = sorted({own.number for own in one.facts})
    if not numbers[-1]:
        return f"{one.name}: no detections"
    number = " to ".join(f"{n:,}" for n in dict.fromkeys((numbers[0], numbers[-1])))
    most = max(own.most for own in one.facts)
    covered = one.covered
    return f"{one.name}: {number} detections on {covered.sum():,} of {len(covered):,} images, at most {most:,} in one"


def _limit(one: Described, protocol: Protocol) -> tuple[str, ...]:
    """A note if scores decide which detections of an image are evaluated, and a method or another run changes them."""
    over = max(own.images_over(protocol) for own in one.facts)
    if not over or not any(own.order_kept is not None for own in one.facts):
        return ()
    limit = protocol.max_dets
    return (
        f"{one.name}: {over:,} images have more detections than the {limit} that are evaluated. An adjustment that "
        "keeps the order within each category changes per-category AP only by changing which of them are evaluated",
    )


def _limited(one: Described, options: EvaluationOptions) -> tuple[str, ...]:
    """A note if Fixed AP or pooled AP is computed from a file that seems to hold the best of each image alone."""
    own = one.facts[0]
    full = int((own.per_image == own.most).sum())
    if own.from_logits or not options.beyond_limits or own.most < LEAST_LIMIT or 2 * full <= own.covered.sum():
        return ()
    return (
        f"{one.name}: {full:,} of {own.covered.sum():,} images have exactly {own.most} detections and none has more, "
        "so the file seems to hold only the best of each image; Fixed AP and pooled AP lack what was left out",
    )


def warnings_on(inputs: Sequence[Described], protocol: Protocol, truth: GroundTruth) -> tuple[str, ...]:
    """Which images have no detections, and which runs cannot differ in AP."""
    objects = np.zeros(len(truth.image_id), bool)
    objects[truth.image] = True
    shards = _shards(inputs)
    coverage = [_coverage(one, objects) for one in inputs if one not in shards]
    return (*_about_shards(shards), *filter(None, coverage), *_unmoved(inputs, protocol))


def _shards(inputs: Sequence[Described]) -> list[Described]:
    """Inputs that share no image with one another; none if there are no two of them."""
    known = [one for one in inputs if one.covered.any()]
    for number, first in enumerate(known):
        apart, covered = [first], first.covered
        for other in known[number + 1 :]:
            if not (covered & other.covered).any():
                apart.append(other)
                covered = covered | other.covered
        if len(apart) > 1:
            return apart
    return []


def _about_shards(shards: Sequence[Described]) -> tuple[str, ...]:
    if not shards:
        return ()
    names = in_words([f"{one.name} ({one.covered.sum():,} of {len(one.covered):,} images)" for one in shards])
    return (f"{names} have no image with detections in common: are these shards of one run? Then pass `merge=True`",)


def _coverage(one: Described, objects: Bools) -> str:
    """A warning if many images have no detections, else empty. objects: bool [I], the images with objects."""
    covered = one.covered
    images, missing = len(covered), ~covered
    if missing.sum() <= MISSING_SHARE * images:
        return ""
    missed = int((missing & objects).sum())
    ending = "hold objects, all of which count as missed"
    if not covered.any():
        return f"{one.name} has no detections; {missed:,} of {images:,} images {ending}"
    text = f"{one.name} has detections on {covered.sum():,} of {images:,} images"
    return f"{text}; {missed:,} of the other {missing.sum():,} {ending}"


def _unmoved(inputs: Sequence[Described], protocol: Protocol) -> Iterator[str]:
    """A warning for the runs that keep the order of a file, or of an earlier run, which decides on AP."""
    runs = [run for one in inputs for run in one.runs]
    known = [facts for one in inputs for facts in one.facts]
    kept: dict[int | None, list[int]] = {}
    for number, facts in enumerate(known):
        reference = _reference(number, known)
        same = _by_order(runs[number]) == _by_order(runs[reference])
        if facts.order_kept and not facts.images_over(protocol) and same:
            kept.setdefault(facts.rescores, []).append(number)
    for rescores, numbers in kept.items():
        of_files = dict.fromkeys(known[number].source for number in numbers)
        names = [runs[number].name for number in numbers]
        yield _unmoved_sentence(names, list(of_files) if rescores is None else [runs[rescores].name], protocol)


def _reference(number: int, known: Sequence[DetectionFacts]) -> int:
    """The run whose metrics those of a run have to equal if the order decides: the first one of the same order."""
    own = known[number]
    if own.rescores is not None:
        return own.rescores
    same_input = (n for n, one in enumerate(known) if one.input_number == own.input_number)
    return next(n for n in same_input if n == number or known[n].order_kept is not False)


def _by_order(run: Run) -> dict[str, Metrics]:
    """The metrics that follow from the order within each category, by IoU type: all but pooled AP."""
    return {
        iou_type: {name: value for name, value in metrics.items() if name != "APpool"}
        for iou_type, metrics in run.metrics.items()
    }


def _unmoved_sentence(names: Sequence[str], others: Sequence[str], protocol: Protocol) -> str:
    limit = protocol.max_dets
    enough = f"no image has more than the {limit} detections that are evaluated"
    enough = enough if protocol.federated else f"the limit of {limit} detections is one for each category"
    return (
        f"AP and AR of {in_words(names)} cannot differ from those of {in_words(others)}: the order of the detections "
        f"within each category is the same, and {enough}. Pooled AP, reliability and errors between classes can "
        "differ; to change AP, adjust full logits"
    )
