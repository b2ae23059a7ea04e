"""`ltcal report`: result files and detection logits against one annotation file."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from longtail_cli import __version__
from longtail_cli.choices import IouType, ProtocolChoice, ProtocolName
from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.options import TIDE_RULES, EvaluationOptions
from longtail_cli.evaluation.protocol import DEFAULT_MAX_DETS, GROUPS, Protocol
from longtail_cli.files.annotations.reader import AnnotationFile, open_annotations
from longtail_cli.methods.base import Method
from longtail_cli.reports.model import Report, Signature
from longtail_cli.tables import FrequencyTable, GroundTruth
from longtail_cli.workflow.category_names import compared_names
from longtail_cli.workflow.options import BootstrapOptions, InputOptions, load_frequencies
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.run_names import number_of, run_names

if TYPE_CHECKING:
    from longtail_cli.evaluation.bootstrap.permutation import Swaps
    from longtail_cli.evaluation.bootstrap.resampling import Draws, Weightings
    from longtail_cli.evaluation.detections import Evaluation
    from longtail_cli.workflow.category_rows import TrainCounts
    from longtail_cli.workflow.detection_inputs import Source
    from longtail_cli.workflow.intervals import Outcome
    from longtail_cli.workflow.slices import ImageSlices

DEFAULT_LOGIT_OPTIONS = InputOptions()
DEFAULT_OPTIONS = EvaluationOptions()


def evaluate(
    predictions: Sequence[Any],
    annotations: Any,
    *,
    frequencies: Path | FrequencyTable | None = None,
    methods: Sequence[Method] = (),
    input_options: InputOptions = DEFAULT_LOGIT_OPTIONS,
    options: EvaluationOptions = DEFAULT_OPTIONS,
    bootstrap: BootstrapOptions | None = None,
    names: Sequence[str] = (),
    reference: str | None = None,
    slices: Any = None,
    progress: Progress = no_progress,
) -> Report:
    """Evaluate result files and logits side by side.

    predictions: COCO/LVIS result lists or detection logits, at least one: paths, or in-memory inputs of `open_results`
    and `open_logits`. annotations: the COCO or LVIS annotations they were made for, a path or in memory.
    frequencies: a table for the methods, and for the groups r/c/f instead of those in the annotations.
    methods: one run per input and method; if empty, scores and logits are used unchanged.
    bootstrap: how to resample the images for intervals; None for none. names: of the runs. reference: the name of the
    run that differences are to; None for the first. slices: parts of the images to have metrics of their own, a path
    or in memory, see `longtail_cli.files.slices`; None for none.

    Metrics are fractions, None if undefined. Raises InputError for broken files and UsageError for options that do
    not fit them.
    """
    from longtail_cli.workflow.slices import image_slices, load_slices

    names_by_input = run_names(predictions, methods, names)
    compared_to = None if reference is None else number_of(reference, names_by_input)
    table, frequencies_sha256 = load_frequencies(frequencies)
    given_slices = None if slices is None else load_slices(slices)
    progress("reading", None)
    with ExitStack() as stack, ThreadPoolExecutor(3) as pool:
        truth_file = stack.enter_context(open_annotations(annotations))
        annotations_sha256 = pool.submit(truth_file.sha256)
        from longtail_cli.workflow import detection_inputs

        files = detection_inputs.open_inputs(predictions, truth_file, input_options, stack)
        iou_types = tuple(dict.fromkeys(options.iou_types)) or detection_inputs.held_iou_types(files[0])
        adjustments = detection_inputs.Adjustments(
            methods, table, options.score_space, input_options, options.beyond_limits
        )
        sources = detection_inputs.adjusted_sources(files, names_by_input, adjustments, iou_types, pool, progress)
        truth_read = pool.submit(truth_file.read, masks="segm" in iou_types)
        truth = truth_read.result()
        digests = annotations_sha256.result, frequencies_sha256
        reporter = DetectionReporter.of(truth, iou_types, table, options, bootstrap, *digests)
        if given_slices is not None:
            reporter = replace(reporter, slices=image_slices(given_slices, truth, reporter.draws))
        swaps = swaps_of(len(truth.image_id), bootstrap)
        found = reporter.outcomes(sources(truth), progress, swaps, compared_to or 0)
        outcomes = with_oracles(found, methods, truth_file)
        return reporter.report(outcomes, compared_to)


@dataclass(frozen=True, slots=True)
class DetectionReporter:
    """Evaluates detections by the rules of `evaluations`, which share a ground truth."""

    evaluations: Sequence[Evaluation]
    labels: Sequence[str] | None
    """The frequency group of each category, or None."""
    table: FrequencyTable | None
    draws: Draws | None
    """Resamples for the intervals, or None."""
    annotations_sha256: Callable[[], str]
    frequencies_sha256: str | None
    split: str | None = None
    """See `Signature.split`."""
    notes: tuple[str, ...] = ()
    """On the inputs that all runs share."""
    slices: ImageSlices | None = None
    """Parts of the images to have metrics of their own, or None."""

    @classmethod
    def of(
        cls,
        truth: GroundTruth,
        iou_types: Sequence[IouType],
        table: FrequencyTable | None,
        options: EvaluationOptions,
        bootstrap: BootstrapOptions | None,
        annotations_sha256: Callable[[], str],
        frequencies_sha256: str | None,
    ) -> DetectionReporter:
        """A reporter by these options. Raises InputError if the protocol or the table do not fit the annotations."""
        labels, draws = group_labels(truth, table), draws_of(truth, bootstrap)
        notes = compared_names(table, truth)
        evaluations = prepared_evaluations(truth, iou_types, labels, options, draws)
        return cls(evaluations, labels, table, draws, annotations_sha256, frequencies_sha256, notes=notes)

    def outcomes(
        self, sources: Iterable[Source], progress: Progress, swaps: Swaps | None = None, reference: int = 0
    ) -> tuple[Outcome, ...]:
        """The outcomes of the runs of these sources.

        swaps: exchanges with the reference, for p-values; or None. reference: the number of the run, from 0.
        """
        from longtail_cli.workflow import detection_runs

        return detection_runs.evaluate_sources(
            self.evaluations, sources, self.train_counts, progress, swaps, reference, self.slices
        )

    def report(self, outcomes: Sequence[Outcome], compared_to: int | None = None) -> Report:
        """The report of these outcomes. compared_to: the number of the run that was requested as the reference."""
        from longtail_cli.workflow import category_rows, detection_remarks, intervals

        evaluations = self.evaluations
        oracles = tuple(one.run.name for one in outcomes if one.run.oracle)
        signature = _signature(evaluations, self.annotations_sha256(), self.frequencies_sha256, self.labels)
        signature = replace(signature, oracle=oracles, split=self.split)
        protocol, truth = evaluations[0].protocol, evaluations[0].ground_truth
        inputs = detection_remarks.by_input(outcomes)
        notes = (
            *detection_remarks.notes_on(inputs, protocol, evaluations[0].options),
            *self.notes,
            *(() if self.labels is not None else (_NO_GROUPS,)),
        )
        shown = evaluations[0].options.per_category
        runs = tuple(one.run for one in outcomes)
        ids = evaluations[0].ground_truth.categories.id
        report = Report(
            signature,
            runs,
            notes,
            groups=category_rows.group_sizes(evaluations[0]),
            warnings=detection_remarks.warnings_on(inputs, protocol, truth),
            images={one.run.name: one.images for one in outcomes if one.images},
            thresholds={one.run.name: one.thresholds for one in outcomes if one.thresholds},
            weights=category_rows.iif_curves(runs, self.table, ids) if shown else {},
            compared_to=None if compared_to is None else runs[compared_to].name,
        )
        images = {} if self.draws is None else category_rows.images_behind(evaluations[0])
        if self.slices is not None:
            report = self.slices.described(report, evaluations[0])
            images |= {} if self.draws is None else self.slices.images_behind(evaluations[0])
        return intervals.add_intervals(report, self.draws, {one.run.name: one.resampled for one in outcomes}, images)

    @property
    def train_counts(self) -> TrainCounts | None:
        """How often each category occurs in training, for the rows of categories; None if that is not known."""
        from longtail_cli.workflow.category_rows import train_counts

        return train_counts(self.evaluations[0].ground_truth, self.table)


def with_oracles(
    outcomes: tuple[Outcome, ...], methods: Sequence[Method], truth_file: AnnotationFile
) -> tuple[Outcome, ...]:
    """The outcomes, ordered by input, then method, with oracle runs marked; reads the images again if need be."""
    from longtail_cli.workflow.oracle import any_saved, images_in, marked

    if not any_saved(methods):
        return outcomes
    images = truth_file.image_names()
    every = tuple(methods) * (len(outcomes) // len(methods))
    return marked(outcomes, every, lambda method: images_in(images, method.origin.images), len(images), "images")


_NO_GROUPS = "no frequency groups: the annotations have no `frequency` field; pass `frequencies=` for APr, APc, APf"


def draws_of(truth: GroundTruth, bootstrap: BootstrapOptions | None) -> Draws | None:
    """The resamples of the images, or None."""
    from longtail_cli.evaluation.bootstrap.resampling import Draws

    return None if bootstrap is None else Draws(len(truth.image_id), bootstrap.resamples, bootstrap.seed)


def swaps_of(images: int, bootstrap: BootstrapOptions | None) -> Swaps | None:
    """The exchanges of images for p-values, as many as resamples; None without."""
    from longtail_cli.evaluation.bootstrap.permutation import Swaps

    if bootstrap is None or not bootstrap.significance:
        return None
    return Swaps(images, bootstrap.resamples, bootstrap.seed)


def prepared_evaluations(
    truth: GroundTruth,
    iou_types: Sequence[IouType],
    labels: Sequence[str] | None,
    options: EvaluationOptions,
    draws: Weightings | None,
    *,
    resampled_sizes: bool = True,
) -> list[Evaluation]:
    """The ground truth prepared for each IoU type."""
    from longtail_cli.evaluation.detections import Evaluation

    protocol = _protocol(options.protocol, truth, options.max_dets)
    groups = {} if labels is None else {group: np.array(labels) == group for group in GROUPS}
    return [
        Evaluation.prepare(truth, protocol, iou_type, groups, options, draws, resampled_sizes=resampled_sizes)
        for iou_type in iou_types
    ]


def _signature(
    evaluations: Sequence[Evaluation],
    annotations_sha256: str,
    frequencies_sha256: str | None,
    labels: Sequence[str] | None,
) -> Signature:
    from longtail_cli.workflow.category_rows import groups_sha256

    protocol, truth, tide = evaluations[0].protocol, evaluations[0].ground_truth, evaluations[0].options.tide
    return Signature(
        version=__version__,
        protocol=protocol.name,
        max_dets=protocol.max_dets,
        iou_types=tuple(one.iou_type for one in evaluations),
        tide=tide,
        images=len(truth.image_id),
        categories=len(truth.categories),
        annotations_sha256=annotations_sha256,
        frequencies_sha256=frequencies_sha256,
        groups_sha256=groups_sha256(labels),
        tide_rules=TIDE_RULES if tide == "aligned" else None,
    )


def _protocol(name: ProtocolChoice, truth: GroundTruth, max_dets: int | None) -> Protocol:
    """The protocol. Raises InputError for LVIS if the images do not list the categories they judge."""
    chosen: ProtocolName = "lvis" if name == "lvis" or (name == "auto" and truth.federated) else "coco"
    if chosen == "lvis" and not truth.federated:
        problem = Problem("images", "neg_category_ids and not_exhaustive_category_ids (LVIS)", "neither")
        raise InputError(truth.source, [problem], "evaluate with `protocol='coco'`, or pass an LVIS annotation file")
    return Protocol(chosen, max_dets or DEFAULT_MAX_DETS[chosen])


def group_labels(truth: GroundTruth, table: FrequencyTable | None) -> tuple[str, ...] | None:
    """The group of each category, from the table if there is one, else from the annotations; None without groups."""
    if table is None:
        return truth.categories.frequency
    missing = np.setdiff1d(truth.categories.id, table.category_id)
    if len(missing):
        found = f"no row for {len(missing)} of them, including ids {', '.join(map(str, missing[:5]))}"
        problem = Problem("category_id", f"all {len(truth.categories)} categories of {truth.source}", found)
        raise InputError("`frequencies=`", [problem], "count the training set that these categories belong to")
    row = np.searchsorted(table.category_id, truth.categories.id)
    labels = tuple(table.group[i] for i in row)
    unknown = sorted(set(labels) - set(GROUPS))
    if unknown:
        problem = Problem("group", "r, c or f", ", ".join(unknown))
        raise InputError(
            "`frequencies=`", [problem], "make the table from detection annotations with `ltcal compute-freq`"
        )
    return labels
