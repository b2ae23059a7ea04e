"""`ltcal report` of classifiers: logits or scores against class labels. Imports torch and numba."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import reduce
from hashlib import sha256
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli import __version__
from longtail_cli.adjust.apply import Adjuster
from longtail_cli.adjust.base import Method
from longtail_cli.adjust.registry import parse_method
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.bootstrap.resampling import Draws
from longtail_cli.evaluate.classification.metrics import GROUPS, ClassificationMetrics, Tally
from longtail_cli.evaluate.classification.resampled import RowTally, resampled_metrics
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.labels import read_labels
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.source import digest, printable
from longtail_cli.metrics import CategoryMetrics, Classification, ReliabilityBin
from longtail_cli.reports.model import GroupSize, Report, Run, Signature
from longtail_cli.tables import FrequencyTable, LogitColumns, Logits, Longs
from longtail_cli.workflow.category_rows import groups_sha256
from longtail_cli.workflow.intervals import Bootstrapping, Outcome, Resampled, add_intervals
from longtail_cli.workflow.logit_batches import THREADS, map_batches
from longtail_cli.workflow.options import LogitOptions, device_of
from longtail_cli.workflow.prepare_methods import PreparedMethod, check_classes, open_with_options, prepare_methods
from longtail_cli.workflow.progress import Progress, no_progress
from longtail_cli.workflow.report_detection import run_names

DEFAULT_OPTIONS = LogitOptions()


def evaluate_classification(
    predictions: Sequence[Path],
    *,
    labels: Path | None = None,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    per_category: bool = False,
    bootstrap: Bootstrapping | None = None,
    names: Sequence[str] = (),
    progress: Progress = no_progress,
) -> Report:
    """Evaluate classifiers side by side.

    predictions: logits or scores of classification, at least one, all of the same rows and classes. labels: the true
    classes, an index among the columns that are classes for each row; None where the files hold them.
    frequencies: a table for the methods and for the groups many, medium and few. methods: each file of logits is
    corrected by each of them, a run each; without any, logits get their activation alone. bootstrap: how to resample
    the rows for intervals; None for none. names: of the runs.
    progress: told what is being done, for a progress display.
    Raises InputError for broken files and UsageError for options that do not fit them.
    """
    names_by_file = run_names(predictions, methods, names)
    table = None if frequencies is None else read_frequencies(frequencies)
    device = device_of(options.device)
    files = [_opened(path, options, methods) for path in predictions]
    truth = _labels(files[0], labels)
    groups, notes = _groups(files[0], table)
    draws = None if bootstrap is None else Draws(len(truth), bootstrap.resamples, bootstrap.seed)
    outcomes: list[Outcome] = []
    for path, file, own_names in zip(predictions, files, names_by_file, strict=True):
        _check_same(file, files[0], truth)
        case = ClassificationInput(file, truth, groups, table, per_category, draws)
        outcomes += _outcomes(case, path, methods, options, device, own_names, progress)
    signature = Signature(
        version=__version__,
        protocol="classification",
        max_dets=None,
        iou_types=(),
        tide="off",
        images=len(truth),
        categories=len(files[0].columns),
        annotations_sha256=sha256(truth.astype("<i8").tobytes()).hexdigest(),
        frequencies_sha256=None if frequencies is None else digest(frequencies),
        groups_sha256=groups_sha256(None if table is None else table.group),
    )
    found = Report(signature, tuple(one.run for one in outcomes), notes, groups=_group_sizes(files[0], truth, groups))
    return add_intervals(found, draws, {one.run.name: one.resampled for one in outcomes})


def _outcomes(
    case: ClassificationInput,
    path: Path,
    methods: Sequence[Method],
    options: LogitOptions,
    device: torch.device,
    names: Sequence[str],
    progress: Progress,
) -> Iterator[Outcome]:
    file = case.file
    if file.content == "scores":
        prepared: tuple[PreparedMethod, ...] = (PreparedMethod(None, Adjuster((), file.columns, device), ()),)
    else:
        prepared = prepare_methods(file, methods or (parse_method("none"),), case.table, options, device)
    found = tally_methods(case, [method.adjuster for method in prepared], device, progress)
    for name, method, (figures, resampled) in zip(names, prepared, found, strict=True):
        run = Run(
            name=name,
            source=printable(str(path)),
            sha256=None,
            method=method.spec,
            metrics={},
            tide={},
            categories=_categories(case, figures) if case.per_category else (),
            notes=method.notes,
            classification=_classification(figures),
        )
        yield Outcome(run, resampled)


def _opened(path: Path, options: LogitOptions, methods: Sequence[Method]) -> LogitsFile:
    """A file of classification. Raises InputError for detection logits, UsageError for methods on scores."""
    file = open_with_options(path, options)
    if file.image_id is not None:
        problem = Problem("tensors", "logits or scores of classification", "`image_id` and `boxes`, of detection")
        raise InputError(str(path), [problem], "pass the annotations to hold them against: --annotations FILE")
    if file.content == "scores" and methods:
        problem = Problem("content", "logits, for --method", "scores, which an activation made of them")
        raise UsageError(str(path), [problem], "pass the logits, or leave --method out")
    return file


def _labels(file: LogitsFile, path: Path | None) -> Longs:
    """The true class of each row, int64 [N], from `path` or else from the file. Raises InputError."""
    if path is None:
        if file.labels is None:
            problem = Problem("tensors", "`labels`", "none")
            raise InputError(file.source, [problem], "pass the true classes: --labels FILE")
        return file.labels
    found = read_labels(path).category.astype(np.int64)
    if len(found) != file.rows:
        raise InputError(str(path), [Problem("labels", f"{file.rows}, one for each row", str(len(found)))], _FIX_LABELS)
    wrong = np.flatnonzero(found >= len(file.columns))
    if len(wrong):
        problem = Problem(f"label {wrong[0]}", f"a class from 0 to {len(file.columns) - 1}", str(found[wrong[0]]))
        raise InputError(str(path), [problem], _FIX_LABELS, total=len(wrong))
    return found


_FIX_LABELS = "pass the labels of the rows of the logits, in the same order, as class indices from 0"


def _check_same(file: LogitsFile, first: LogitsFile, truth: Longs) -> None:
    """Raise InputError unless both have the same classes, rows and, where they hold any, labels."""
    fix = "put files of the same images side by side, in the same order"
    if not np.array_equal(file.columns.category_id, first.columns.category_id) or file.rows != first.rows:
        expected = f"the {len(first.columns)} classes and {first.rows} rows of {first.source}"
        problem = Problem("form", expected, f"{len(file.columns)} classes and {file.rows} rows, or others")
        raise InputError(file.source, [problem], fix)
    if first.labels is truth and file.labels is not None and not np.array_equal(file.labels, truth):
        raise InputError(file.source, [Problem("labels", f"those of {first.source}", "others")], fix)


def _groups(file: LogitsFile, table: FrequencyTable | None) -> tuple[npt.NDArray[np.int8] | None, tuple[str, ...]]:
    """The index into `GROUPS` of each class in column order. Raises InputError where the table has other groups."""
    if table is None:
        return None, ("no frequency groups: pass --freq for many, medium, few and the confusion between them",)
    check_classes(file, table)
    strange = sorted(set(table.group) - set(GROUPS))
    if strange:
        problem = Problem("group", "many, medium or few", ", ".join(strange))
        raise InputError("--freq", [problem], "make the table from class labels with `ltcal compute-freq`")
    row = np.searchsorted(table.category_id, file.columns.category_id)
    return np.array([GROUPS.index(table.group[place]) for place in row.tolist()], np.int8), ()


def _group_sizes(file: LogitsFile, truth: Longs, groups: npt.NDArray[np.int8] | None) -> dict[str, GroupSize]:
    """What the figures over all classes, and those of each group, rest on; each row is an image."""
    samples = np.bincount(truth, minlength=len(file.columns))
    members = {"all": np.ones(len(samples), bool)}
    if groups is not None:
        members |= {name: groups == g for g, name in enumerate(GROUPS)}
    rows = {name: samples[member] for name, member in members.items()}
    return {name: GroupSize(int((own > 0).sum()), int(own.sum()), int(own.sum())) for name, own in rows.items()}


def _classification(figures: ClassificationMetrics) -> Classification:
    return Classification(
        top1=figures.top1,
        top5=figures.top5,
        balanced=figures.balanced,
        many=figures.many,
        medium=figures.medium,
        few=figures.few,
        ece=figures.ece,
        classwise_ece=figures.classwise_ece,
        nll=figures.nll,
        brier=figures.brier,
        confusion=figures.confusion,
        reliability=tuple(ReliabilityBin(one.count, one.confidence, one.accuracy) for one in figures.reliability),
    )


def _categories(case: ClassificationInput, figures: ClassificationMetrics) -> tuple[CategoryMetrics, ...]:
    """A row a class, in order of id."""
    ids, samples, table = case.file.columns.category_id, figures.samples.tolist(), case.table
    return tuple(
        CategoryMetrics(
            id=int(ids[column]),
            name="" if table is None else table.name[number],
            group=None if table is None else table.group[number],
            images=samples[column],
            instances=samples[column],
            metrics={"classification": {"recall": figures.recall[column]}},
            train_images=None if table is None else int(table.image_count[number]),
            train_instances=None if table is None else int(table.instance_count[number]),
        )
        for number, column in enumerate(np.argsort(ids).tolist())
    )


@dataclass(frozen=True, slots=True)
class ClassificationInput:
    """One file and what it is held against. groups: int8 [C] in column order, or None."""

    file: LogitsFile
    truth: Longs
    groups: npt.NDArray[np.int8] | None
    table: FrequencyTable | None
    per_category: bool
    draws: Draws | None


def tally_methods(
    case: ClassificationInput, adjusters: Sequence[Adjuster], device: torch.device, progress: Progress
) -> list[tuple[ClassificationMetrics, Resampled]]:
    """The figures after each adjuster, and those of each resample."""
    counters = [_Counter(case) for _ in adjusters]
    tasks = [(adjuster, counter.count) for adjuster, counter in zip(adjusters, counters, strict=True)]
    for _ in map_batches(case.file, tasks, device, progress):
        pass
    return [(counter.figures(), counter.resampled()) for counter in counters]


class _Counter:
    """A tally for each thread, so that batches can be counted at once."""

    def __init__(self, case: ClassificationInput) -> None:
        self._truth, self._draws = case.truth, case.draws
        classes = len(case.file.columns)
        self._rows = None if case.draws is None else RowTally(len(case.truth), classes, case.groups)
        self._all = [Tally(len(case.file.columns), case.groups) for _ in range(THREADS)]
        self._free: SimpleQueue[Tally] = SimpleQueue()
        for tally in self._all:
            self._free.put(tally)

    def count(self, scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> None:
        of_classes, labels = scores[:, columns.classes].cpu().numpy(), self._truth[batch.first :][: len(batch)]
        tally = self._free.get()
        tally.add(of_classes, labels)
        self._free.put(tally)
        if self._rows is not None:
            self._rows.add(batch.first, of_classes, labels)

    def figures(self) -> ClassificationMetrics:
        return reduce(Tally.plus, self._all).figures()

    def resampled(self) -> Resampled:
        """The figures of each resample by name; none without draws."""
        if self._rows is None or self._draws is None:
            return {}
        rows, draws = self._rows, self._draws
        with ThreadPoolExecutor(THREADS) as pool:
            found = list(pool.map(lambda b: resampled_metrics(rows, draws.weight(b)), range(draws.resamples)))
        return {f"classification/{name}": np.array([one[name] for one in found], np.float64) for name in found[0]}
