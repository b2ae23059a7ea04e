"""`ltcal report` of classifiers: logits or scores against class labels. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import reduce
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli import __version__
from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.bootstrap.effective import effective_images
from longtail_cli.evaluation.bootstrap.permutation import Swaps, p_values
from longtail_cli.evaluation.bootstrap.resampling import Draws, Weightings
from longtail_cli.evaluation.classification.metrics import GROUPS, ClassificationResult, Tally
from longtail_cli.evaluation.classification.resampled import RowTally, resampled_metrics, side_by_side
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.logits.digests import row_digests, rows_in
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.source import printable
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.base import Method
from longtail_cli.methods.registry import parse_method
from longtail_cli.metrics import CategoryMetrics
from longtail_cli.parallel import THREADS
from longtail_cli.reports.model import GroupSize, Report, Run, Signature
from longtail_cli.tables import FrequencyTable, LogitColumns, Logits, Longs
from longtail_cli.workflow.category_rows import TrainCounts, groups_sha256, iif_curves
from longtail_cli.workflow.intervals import Outcome, Resampled, add_intervals
from longtail_cli.workflow.logit_batches import BatchAdjuster, map_batches
from longtail_cli.workflow.options import BootstrapOptions, InputOptions, device_of, load_frequencies
from longtail_cli.workflow.oracle import any_saved, marked
from longtail_cli.workflow.prepare_methods import (
    PreparedMethod,
    check_classes,
    classes_of,
    open_with_options,
    prepare_methods,
)
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import run_names, swaps_of
from longtail_cli.workflow.row_labels import row_labels, with_labels

DEFAULT_OPTIONS = InputOptions()

_NO_GROUPS = "no frequency groups: pass `frequencies=` for many, medium, few and the confusion between them"


@dataclass(frozen=True, slots=True)
class ClassificationInput:
    """One input, the true classes of its rows, and the groups of its classes."""

    file: LogitsFile
    truth: Longs
    groups: npt.NDArray[np.int8] | None
    """int8 [C] in column order, index into `GROUPS`; or None."""
    table: FrequencyTable | None
    per_category: bool
    draws: Draws | None


def evaluate_classification(
    predictions: Sequence[Any],
    labels: Any = None,
    *,
    frequencies: Path | FrequencyTable | None = None,
    methods: Sequence[Method] = (),
    input_options: InputOptions = DEFAULT_OPTIONS,
    per_category: bool = False,
    bootstrap: BootstrapOptions | None = None,
    names: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Report:
    """Evaluate classifiers side by side.

    predictions: logits or scores, at least one, all of the same rows and classes: paths, or in-memory inputs of
    `open_logits`. labels: the true classes as indices of the class columns, int [N] or a path; None if the inputs hold
    them. frequencies: a table for the methods and for the groups many, medium and few. methods: one run per input and
    method; if empty, only the activation is applied. bootstrap: how to resample the rows for intervals, or None.
    names: of the runs. Raises InputError for broken files and UsageError for options that do not fit them.
    """
    names_by_input = run_names(predictions, methods, names)
    table, frequencies_sha256 = load_frequencies(frequencies)
    device = device_of(input_options.device)
    classes = classes_of(table, methods)
    files = [
        open_classifier(one, input_options, as_logits=bool(methods), labels=labels, classes=classes)
        for one in predictions
    ]
    index = row_labels(files[0], labels, table, input_options.keys.get("labels"))
    for file in files:
        _check_same(file, files[0], index, compare_labels=labels is None)
    files = [with_labels(file, index) for file in files]
    truth = index[index != IGNORED]
    groups = None if table is None else groups_of(files[0], table)
    draws = None if bootstrap is None else Draws(len(truth), bootstrap.resamples, bootstrap.seed)
    reporter = ClassificationReporter(
        files[0].columns, truth, groups, table, frequencies_sha256, per_category, draws, notes=notes_of(files)
    )
    outcomes: list[Outcome] = []
    swaps = swaps_of(len(truth), bootstrap)
    comparison = None if swaps is None else _Comparison(swaps)
    for file, own_names in zip(files, names_by_input, strict=True):
        runs = _runs(file, methods, table, input_options, device, own_names)
        outcomes += _with_oracles(reporter.outcomes(file, runs, device, progress, comparison), methods, file)
    return reporter.report(outcomes)


@dataclass(frozen=True, slots=True)
class ClassifierRun:
    """The adjustment of one run."""

    name: str
    method: str | None
    adjuster: BatchAdjuster
    notes: tuple[str, ...] = ()


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

    def outcomes(
        self,
        file: LogitsFile,
        runs: Sequence[ClassifierRun],
        device: torch.device,
        progress: Progress,
        comparison: _Comparison | None = None,
    ) -> list[Outcome]:
        """The outcome of each run on the rows of `file`. comparison: for p-values, or None."""
        given = ClassificationInput(file, self.truth, self.groups, self.table, self.per_category, self.draws)
        counters = tally_methods(given, [run.adjuster for run in runs], device, progress)
        return [
            Outcome(
                replace(
                    _run(given, run, counter.result()),
                    p_values={} if comparison is None or counter.rows is None else comparison.p_values(counter.rows),
                ),
                counter.resampled(),
            )
            for run, counter in zip(runs, counters, strict=True)
        ]

    def report(self, outcomes: Sequence[Outcome]) -> Report:
        """The report of these runs."""
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
        train = None
        if table is not None and self.per_category:
            train = TrainCounts(table.image_count, table.instance_count)
        report = Report(
            signature,
            tuple(one.run for one in outcomes),
            self.notes if self.groups is not None else (*self.notes, _NO_GROUPS),
            groups=_group_sizes(self.columns, truth, self.groups),
            weights={} if train is None or table is None else iif_curves(train, table.category_id),
        )
        resampled = {one.run.name: one.resampled for one in outcomes}
        return add_intervals(report, self.draws, resampled, self._images)

    @property
    def _images(self) -> dict[str, float]:
        """On how many rows the means over classes effectively rest; see `Bootstrap.images`."""
        samples = np.bincount(self.truth, minlength=len(self.columns))
        members = {} if self.groups is None else {name: self.groups == g for g, name in enumerate(GROUPS)}
        parts = {"all": samples} | {name: samples[member] for name, member in members.items()}
        return {name: effective_images(one) for name, one in parts.items()}


class _Comparison:
    """The p-values of runs, each against the first."""

    def __init__(self, swaps: Swaps) -> None:
        self._swaps = swaps
        self._first: RowTally | None = None

    def p_values(self, rows: RowTally) -> dict[str, float]:
        """Those of the differences between a run and the first one; empty for the first."""
        if self._first is None:
            self._first = rows
            return {}
        return p_values(_resampled(side_by_side(self._first, rows), self._swaps))


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
    return [ClassifierRun(name, one.spec, one.adjuster, one.notes) for name, one in zip(names, prepared, strict=True)]


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


def open_classifier(
    predictions: Any,
    options: InputOptions,
    *,
    as_logits: bool,
    labels: Any = None,
    name: str = "logits",
    classes: Longs | None = None,
) -> LogitsFile:
    """Open an input, which is called `name` if it is in memory.

    as_logits: whether scores are to be adjusted. labels: those that are passed separately, to which the key of labels
    then belongs; or None. classes: see `Declared.classes`. Raises InputError for detection logits.
    """
    if labels is not None:
        options = replace(options, keys={key: value for key, value in options.keys.items() if key != "labels"})
    file = open_with_options(predictions, options, name, classes=classes)
    if file.image_id is not None:
        problem = Problem("tensors", "logits or scores of classification", "`image_id` and `boxes`, of detection")
        raise InputError(file.source, [problem], "pass the annotations to evaluate detections: `annotations=`")
    return file.as_logits() if as_logits and file.content == "scores" else file


def notes_of(files: Sequence[LogitsFile]) -> tuple[str, ...]:
    """The notes on files, each once."""
    return tuple(dict.fromkeys(f"{printable(file.source)}: {note}" for file in files for note in file.notes))


def _check_same(file: LogitsFile, first: LogitsFile, truth: Longs, *, compare_labels: bool) -> None:
    """Raise InputError unless both have the same classes and rows, and the labels in the file are `truth`.

    truth: int64 [N], with `IGNORED`.
    compare_labels: whether to check labels in the file; labels passed separately replace them.
    """
    fix = "evaluate files of the same images together, in the same order"
    if not np.array_equal(file.columns.category_id, first.columns.category_id) or file.rows != first.rows:
        expected = f"the {len(first.columns)} classes and {first.rows} rows of {first.source}"
        problem = Problem("shape", expected, f"{len(file.columns)} classes and {file.rows} rows, or other ids")
        raise InputError(file.source, [problem], fix)
    if compare_labels and file.labels is not None and not np.array_equal(file.labels, truth):
        raise InputError(file.source, [Problem("labels", f"those of {first.source}", "others")], fix)


def groups_of(file: LogitsFile, table: FrequencyTable) -> npt.NDArray[np.int8]:
    """The index into `GROUPS` of each class in column order. Raises InputError if the table has other groups."""
    check_classes(file.columns, table, file.source)
    unknown = sorted(set(table.group) - set(GROUPS))
    if unknown:
        problem = Problem("group", "many, medium or few", ", ".join(unknown))
        fix = "make the table from class labels with `ltcal compute-freq`"
        raise InputError("`frequencies=`", [problem], fix)
    row = np.searchsorted(table.category_id, file.columns.category_id)
    return np.array([GROUPS.index(table.group[index]) for index in row.tolist()], np.int8)


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


def tally_methods(
    given: ClassificationInput, adjusters: Sequence[BatchAdjuster], device: torch.device, progress: Progress
) -> list[_Counter]:
    """The counts of all rows after each adjuster."""
    counters = [_Counter(given) for _ in adjusters]
    tasks = [(adjuster, counter.count) for adjuster, counter in zip(adjusters, counters, strict=True)]
    for _ in map_batches(given.file, tasks, device, progress):
        pass
    return counters


class _Counter:
    """A tally for each thread, so that batches can be counted in parallel."""

    def __init__(self, given: ClassificationInput) -> None:
        self._truth, self._draws = given.truth, given.draws
        classes = len(given.file.columns)
        self.rows = None if given.draws is None else RowTally(len(given.truth), classes, given.groups)
        self._all = [Tally(classes, given.groups) for _ in range(THREADS)]
        self._free: SimpleQueue[Tally] = SimpleQueue()
        for tally in self._all:
            self._free.put(tally)

    def count(self, scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> None:
        of_classes, labels = scores[:, columns.classes].cpu().numpy(), self._truth[batch.first :][: len(batch)]
        tally = self._free.get()
        tally.add(of_classes, labels)
        self._free.put(tally)
        if self.rows is not None:
            self.rows.add(batch.first, of_classes, labels)

    def result(self) -> ClassificationResult:
        return reduce(Tally.plus, self._all).metrics()

    def resampled(self) -> Resampled:
        """The metrics of each resample by name; empty without draws."""
        return {} if self.rows is None or self._draws is None else _resampled(self.rows, self._draws)


def _resampled(rows: RowTally, draws: Weightings) -> Resampled:
    """The metrics by name with the rows counted in each of these ways."""
    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(lambda b: resampled_metrics(rows, draws.weight(b)), range(draws.number)))
    return {f"classification/{name}": np.array([one[name] for one in found], np.float64) for name in found[0]}
