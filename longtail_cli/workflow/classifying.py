"""`ltcal report` of classifiers: logits or scores against class labels. Imports torch and numba."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from hashlib import sha256
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli import __version__
from longtail_cli.adjust.apply import Adjuster
from longtail_cli.adjust.base import Method
from longtail_cli.adjust.registry import parse_method
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.evaluate.classification import GROUPS, ClassificationFigures
from longtail_cli.evaluate.draws import Draws
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.labels import read_labels
from longtail_cli.files.logits import LogitsFile
from longtail_cli.files.source import digest, printable
from longtail_cli.report.model import CategoryRow, Classification, GroupSize, ReliabilityBin, Report, Run, Signature
from longtail_cli.tables import FrequencyTable, Longs
from longtail_cli.workflow.category_rows import groups_sha256
from longtail_cli.workflow.correcting import Plan, check_classes, opened, plans_for
from longtail_cli.workflow.evaluated import Bootstrapping, Evaluated, Outcome, evaluated
from longtail_cli.workflow.inputs import LogitOptions, device_of
from longtail_cli.workflow.naming import names_of_runs
from longtail_cli.workflow.tallying import Case, tallied
from longtail_cli.workflow.telling import Say, nobody

DEFAULT_OPTIONS = LogitOptions()


def report_classification(
    predictions: Sequence[Path],
    *,
    labels: Path | None = None,
    frequencies: Path | None = None,
    methods: Sequence[Method] = (),
    options: LogitOptions = DEFAULT_OPTIONS,
    per_category: bool = False,
    bootstrap: Bootstrapping | None = None,
    names: Sequence[str] = (),
    say: Say = nobody,
) -> Report:
    """Evaluate classifiers side by side: `evaluate_classification` without the resamples."""
    return evaluate_classification(
        predictions,
        labels=labels,
        frequencies=frequencies,
        methods=methods,
        options=options,
        per_category=per_category,
        bootstrap=bootstrap,
        names=names,
        say=say,
    ).report


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
    say: Say = nobody,
) -> Evaluated:
    """Evaluate classifiers side by side.

    predictions: logits or scores of classification, at least one, all of the same rows and classes. labels: the true
    classes, an index among the columns that are classes for each row; None where the files hold them.
    frequencies: a table for the methods and for the groups many, medium and few. methods: each file of logits is
    corrected by each of them, a run each; without any, logits get their activation alone. bootstrap: how to resample
    the rows for intervals; None for none. names: of the runs.
    say: told what is being done, for a progress display.
    Raises InputError for broken files and UsageError for options that do not fit them.
    """
    run_names = names_of_runs(predictions, methods, names)
    table = None if frequencies is None else read_frequencies(frequencies)
    device = device_of(options.device)
    files = [_opened(path, options, methods) for path in predictions]
    truth = _labels(files[0], labels)
    groups, notes = _groups(files[0], table)
    draws = None if bootstrap is None else Draws(len(truth), bootstrap.resamples, bootstrap.seed)
    outcomes: list[Outcome] = []
    for path, file, own_names in zip(predictions, files, run_names, strict=True):
        _check_same(file, files[0], truth)
        case = Case(file, truth, groups, table, per_category, draws)
        outcomes += _outcomes(case, path, methods, options, device, own_names, say)
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
    return evaluated(found, draws, {one.run.name: one.resampled for one in outcomes})


def _outcomes(
    case: Case,
    path: Path,
    methods: Sequence[Method],
    options: LogitOptions,
    device: torch.device,
    names: Sequence[str],
    say: Say,
) -> Iterator[Outcome]:
    file = case.file
    if file.content == "scores":
        plans: tuple[Plan, ...] = (Plan(None, Adjuster((), file.columns, device), ()),)
    else:
        plans = plans_for(file, methods or (parse_method("none"),), case.table, options, device)
    found = tallied(case, [plan.adjuster for plan in plans], device, say)
    for name, plan, (figures, resampled) in zip(names, plans, found, strict=True):
        run = Run(
            name=name,
            source=printable(str(path)),
            sha256=None,
            method=plan.spec,
            metrics={},
            tide={},
            categories=_categories(case, figures) if case.per_category else (),
            notes=plan.notes,
            classification=_classification(figures),
        )
        yield Outcome(run, resampled)


def _opened(path: Path, options: LogitOptions, methods: Sequence[Method]) -> LogitsFile:
    """A file of classification. Raises InputError for detection logits, UsageError for methods on scores."""
    file = opened(path, options)
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


def _classification(figures: ClassificationFigures) -> Classification:
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


def _categories(case: Case, figures: ClassificationFigures) -> tuple[CategoryRow, ...]:
    """A row a class, in order of id."""
    ids, samples, table = case.file.columns.category_id, figures.samples.tolist(), case.table
    return tuple(
        CategoryRow(
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
