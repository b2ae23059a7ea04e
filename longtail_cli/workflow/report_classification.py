"""`ltcal report` of classifiers: logits or scores against class labels. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import partial
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli import __version__
from longtail_cli.evaluation.bootstrap.effective import effective_images
from longtail_cli.evaluation.bootstrap.permutation import Swaps, p_values
from longtail_cli.evaluation.bootstrap.resampling import Draws
from longtail_cli.evaluation.classification.metrics import GROUPS, ClassificationResult
from longtail_cli.evaluation.classification.resampled import RowTally, side_by_side
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.logits.digests import row_digests, rows_in
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.source import printable
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.metrics import CategoryMetrics, Value
from longtail_cli.reports.format import in_words
from longtail_cli.reports.model import GroupSize, Report, Run, Signature
from longtail_cli.tables import FrequencyTable, LogitColumns, Longs
from longtail_cli.workflow.category_rows import groups_sha256, iif_curves
from longtail_cli.workflow.classifier_counts import ClassificationInput, resampled_by_name, tally_methods
from longtail_cli.workflow.classifier_inputs import check_same, groups_of, notes_of, open_classifier
from longtail_cli.workflow.compared_runs import Comparison
from longtail_cli.workflow.intervals import Outcome, add_intervals
from longtail_cli.workflow.logit_batches import BatchAdjuster
from longtail_cli.workflow.options import BootstrapOptions, InputOptions, device_of, load_frequencies
from longtail_cli.workflow.oracle import any_saved, marked
from longtail_cli.workflow.prepare_methods import (
    PreparedMethod,
    classes_of,
    prepare_methods,
)
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import swaps_of
from longtail_cli.workflow.row_labels import row_labels, with_labels
from longtail_cli.workflow.row_slices import RowSlices, row_slices
from longtail_cli.workflow.run_names import number_of, run_names
from longtail_cli.workflow.slices import load_slices

DEFAULT_OPTIONS = InputOptions()

_NO_GROUPS = "no frequency groups: pass `frequencies=` for many, medium, few and the confusion between them"


def evaluate_classification(
    predictions: Sequence[Any],
    labels: Any = None,
    *,
    frequencies: Path | FrequencyTable | None = None,
    methods: Sequence[Method] = (),
    input_options: InputOptions = DEFAULT_OPTIONS,
    per_category: bool = False,
    per_image: bool = False,
    bootstrap: BootstrapOptions | None = None,
    slices: Any = None,
    names: Sequence[str] = (),
    reference: str | None = None,
    progress: Progress = no_progress,
) -> Report:
    """Evaluate classifiers side by side.

    predictions: logits or scores, at least one, all of the same rows and classes: paths, or in-memory inputs of
    `open_logits`. labels: the true classes as indices of the class columns, int [N] or a path; None if the inputs hold
    them. frequencies: a table for the methods and for the groups many, medium and few. methods: one run per input and
    method; if empty, only the activation is applied. per_image: whether to keep the prediction for each row, in
    `Report.rows`. bootstrap: how to resample the rows for intervals, or None. slices: sets of rows to have metrics of
    their own, a path or in memory, see `longtail_cli.files.slices`; or None. names: of the runs. reference: the name of
    the run that differences are to; None for the first.

    Raises InputError for broken files and UsageError for options that do not fit them.
    """
    names_by_input = run_names(predictions, methods, names)
    compared_to = None if reference is None else number_of(reference, names_by_input)
    table, frequencies_sha256 = load_frequencies(frequencies)
    given_slices = None if slices is None else load_slices(slices)
    device = device_of(input_options.device)
    classes = classes_of(table, methods)
    files = [
        open_classifier(one, input_options, as_logits=bool(methods), labels=labels, classes=classes)
        for one in predictions
    ]
    index = row_labels(files[0], labels, table, input_options.keys.get("labels"))
    for file in files:
        check_same(file, files[0], index, compare_labels=labels is None)
    files = [with_labels(file, index) for file in files]
    truth = index[index != IGNORED]
    groups = None if table is None else groups_of(files[0], table)
    draws = None if bootstrap is None else Draws(len(truth), bootstrap.resamples, bootstrap.seed)
    sliced = None if given_slices is None else row_slices(given_slices, index != IGNORED, draws)
    reporter = ClassificationReporter(
        files[0].columns,
        truth,
        groups,
        table,
        frequencies_sha256,
        per_category,
        draws,
        notes=notes_of(files),
        rows=np.flatnonzero(index != IGNORED) if per_image else None,
        slices=sliced,
    )
    outcomes: list[Outcome] = []
    warnings: list[str] = []
    swaps = swaps_of(len(truth), bootstrap)
    comparison = None if swaps is None else Comparison(compared_to or 0, partial(_p_values, swaps))
    for file, own_names in zip(files, names_by_input, strict=True):
        runs = _runs(file, methods, table, input_options, device, own_names)
        found = _with_oracles(reporter.outcomes(file, runs, device, progress, comparison), methods, file)
        warnings += _unmoved(runs, [one.run for one in found])
        outcomes += found
    report = reporter.report(outcomes if comparison is None else comparison.added_to(outcomes), compared_to)
    return replace(report, warnings=tuple(warnings))


@dataclass(frozen=True, slots=True)
class ClassifierRun:
    """The adjustment of one run."""

    name: str
    method: str | None
    adjuster: BatchAdjuster
    notes: tuple[str, ...] = ()
    order_kept: bool = False
    """Whether the classes of every row are known to be in the order of the input."""


@dataclass(frozen=True, slots=True)
class ClassificationReporter:
    """Evaluates logits or scores of the same rows."""

    columns: LogitColumns
    truth: Longs
    """int64 [N], the true class of each row."""
    groups: npt.NDArray[np.int8] | None
    """int8 [C] in column order, index into `GROUPS`; or None."""
    table: FrequencyTable | None
    frequencies_sha256: str | None
    per_category: bool
    draws: Draws | None
    """Resamples for the intervals, or None."""
    split: str | None = None
    """See `Signature.split`."""
    notes: tuple[str, ...] = ()
    """About the files."""
    rows: Longs | None = None
    """See `ClassificationInput.rows`."""
    slices: RowSlices | None = None
    """Sets of rows to have metrics of their own, or None."""

    def outcomes(
        self,
        file: LogitsFile,
        runs: Sequence[ClassifierRun],
        device: torch.device,
        progress: Progress,
        comparison: Comparison[RowTally] | None = None,
    ) -> list[Outcome]:
        """The outcome of each run on the rows of `file`. comparison: to which the runs are added, or None."""
        sliced = self.slices is not None
        given = ClassificationInput(
            file, self.truth, self.groups, self.table, self.per_category, self.draws, self.rows, sliced
        )
        counters = tally_methods(given, [run.adjuster for run in runs], device, progress)
        for counter in counters:
            if comparison is not None and counter.rows is not None:
                comparison.add(counter.rows)
        outcomes = [
            Outcome(_run(given, run, counter.result()), counter.resampled(), rows=counter.predictions)
            for run, counter in zip(runs, counters, strict=True)
        ]
        if self.slices is None:
            return outcomes
        return [
            self.slices.added(one, counter.rows)
            for one, counter in zip(outcomes, counters, strict=True)
            if counter.rows is not None
        ]

    def report(self, outcomes: Sequence[Outcome], compared_to: int | None = None) -> Report:
        """The report of these runs. compared_to: the number of the run that was requested as the reference."""
        table, truth = self.table, self.truth
        signature = Signature(
            version=__version__,
            protocol="classification",
            max_dets=None,
            iou_types=(),
            tide="off",
            images=len(truth),
            categories=len(self.columns),
            annotations_sha256=sha256(truth.astype("<i8").tobytes()).hexdigest(),
            frequencies_sha256=self.frequencies_sha256,
            groups_sha256=groups_sha256(None if table is None else table.group),
            oracle=tuple(one.run.name for one in outcomes if one.run.oracle),
            split=self.split,
        )
        runs = tuple(one.run for one in outcomes)
        report = Report(
            signature,
            runs,
            self.notes if self.groups is not None else (*self.notes, _NO_GROUPS),
            groups=_group_sizes(self.columns, truth, self.groups),
            rows={one.run.name: one.rows for one in outcomes if one.rows is not None},
            weights=iif_curves(runs, table, self.columns.category_id) if self.per_category else {},
            compared_to=None if compared_to is None else runs[compared_to].name,
        )
        images = self._images(truth)
        if self.slices is not None:
            sizes = {
                name: _group_sizes(self.columns, truth[one], None)["all"] for name, one in self.slices.rows.items()
            }
            report = self.slices.described(report, sizes)
            for name, one in self.slices.rows.items():
                images |= {f"slices/{name}/{part}": number for part, number in self._images(truth[one]).items()}
                images[f"slices/{name}/pooled/all"] = float(len(one))
        resampled = {one.run.name: one.resampled for one in outcomes}
        return add_intervals(report, self.draws, resampled, images)

    def _images(self, truth: Longs) -> dict[str, float]:
        """On how many of the rows the means over classes effectively rest; see `Bootstrap.images`."""
        samples = np.bincount(truth, minlength=len(self.columns))
        members = {} if self.groups is None else {name: self.groups == g for g, name in enumerate(GROUPS)}
        parts = {"all": samples} | {name: samples[member] for name, member in members.items()}
        return {name: effective_images(one) for name, one in parts.items()}


def _p_values(swaps: Swaps, reference: RowTally, run: RowTally) -> dict[str, float]:
    """The p-value of the difference of every metric that is resampled, by name."""
    return p_values(resampled_by_name(side_by_side(reference, run), swaps))


def _runs(
    file: LogitsFile,
    methods: Sequence[Method],
    table: FrequencyTable | None,
    options: InputOptions,
    device: torch.device,
    names: Sequence[str],
) -> list[ClassifierRun]:
    if file.content == "scores":
        prepared: tuple[PreparedMethod, ...] = (PreparedMethod(None, Adjuster((), file.columns, device), ()),)
    else:
        prepared = prepare_methods(file, methods or (parse_method("none"),), table, options, device)
    return [
        ClassifierRun(name, one.spec, one.adjuster, one.notes, one.adjuster.keeps_class_order)
        for name, one in zip(names, prepared, strict=True)
    ]


def _unmoved(runs: Sequence[ClassifierRun], found: Sequence[Run]) -> tuple[str, ...]:
    """A warning for the runs of an input that keep the order of the classes in each row, which decides on accuracy.

    found: what was evaluated, one for each of `runs`.
    """
    kept = [run for given, run in zip(runs, found, strict=True) if given.order_kept]
    same = [run.name for run in kept[1:] if _by_order(run) == _by_order(kept[0])]
    if not same:
        return ()
    return (
        f"accuracy and recall of {in_words(same)} cannot differ from those of {kept[0].name}: the order of the classes "
        "in each row is the same. ECE, NLL and Brier score can differ",
    )


def _by_order(run: Run) -> tuple[Value, ...]:
    """The metrics that follow from the order of the classes in each row."""
    one = run.classification
    return () if one is None else (one.top1, one.top5, one.balanced, one.many, one.medium, one.few)


def _run(given: ClassificationInput, run: ClassifierRun, result: ClassificationResult) -> Run:
    return Run(
        name=run.name,
        source=printable(given.file.source),
        sha256=None,
        method=run.method,
        metrics={},
        tide={},
        categories=_categories(given, result) if given.per_category else (),
        notes=run.notes,
        classification=result.metrics,
    )


def _with_oracles(outcomes: Sequence[Outcome], methods: Sequence[Method], file: LogitsFile) -> tuple[Outcome, ...]:
    """The outcomes of an input with oracle runs marked; reads its logits once more if need be."""
    if not any_saved(methods):
        return tuple(outcomes)
    found = row_digests(file)
    return marked(outcomes, methods, lambda method: rows_in(found, method.origin.rows), file.rows, "rows")


def _group_sizes(columns: LogitColumns, truth: Longs, groups: npt.NDArray[np.int8] | None) -> dict[str, GroupSize]:
    """The number of classes with rows, and of rows, overall and in each group; each row is an image."""
    samples = np.bincount(truth, minlength=len(columns))
    members = {"all": np.ones(len(samples), bool)}
    if groups is not None:
        members |= {name: groups == g for g, name in enumerate(GROUPS)}
    rows = {name: samples[member] for name, member in members.items()}
    return {name: GroupSize(int((own > 0).sum()), int(own.sum()), int(own.sum())) for name, own in rows.items()}


def _categories(given: ClassificationInput, result: ClassificationResult) -> tuple[CategoryMetrics, ...]:
    """One row per class, in order of id."""
    ids, samples, table = given.file.columns.category_id, result.samples.tolist(), given.table
    return tuple(
        CategoryMetrics(
            id=int(ids[column]),
            name="" if table is None else table.name[number],
            group=None if table is None else table.group[number],
            images=samples[column],
            instances=samples[column],
            metrics={"classification": {"recall": result.recall[column]}},
            train_images=None if table is None else int(table.image_count[number]),
            train_instances=None if table is None else int(table.instance_count[number]),
        )
        for number, column in enumerate(np.argsort(ids).tolist())
    )
