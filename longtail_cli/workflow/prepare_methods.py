"""Methods prepared for a logits file and a device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.files.logits.metadata import Declared, read_category_ids
from longtail_cli.files.logits.queries import ReadDataSet
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.frequency import uncounted_table
from longtail_cli.methods.apply import Adjuster
from longtail_cli.methods.bags import slice_softmax
from longtail_cli.methods.base import Adjustment, Method, MethodContext, RowKind
from longtail_cli.methods.steps import Classify, SliceSoftmax, Step, ignore_row_constants, needs_features
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Logits, Longs, Singles
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.progress import no_progress, note_lines
from longtail_cli.workflow.row_labels import with_labels
from longtail_cli.workflow.saved_method import is_head, saved_in

LOG_PROBABILITY = 1e-3
"""A row whose log-sum-exp is closer to 0 than this holds log-probabilities, up to the precision of float16."""


@dataclass(frozen=True, slots=True)
class PreparedMethod:
    """One method, ready for the batches of one file."""

    spec: str | None
    """The canonical spec; None if scores are used unchanged."""
    adjuster: Adjuster
    notes: tuple[str, ...]
    """One sentence each."""


def open_with_options(
    logits: Any,
    options: InputOptions,
    name: str = "logits",
    data_set: ReadDataSet | None = None,
    classes: Longs | None = None,
) -> LogitsFile:
    """A logits file, or logits in memory called `name`; the options state what the metadata lacks.

    data_set: reads the images and categories of the annotations, if there are any.
    classes: see `Declared.classes`.

    Raises InputError if anything else is missing.
    """
    ids = options.category_ids
    if isinstance(ids, Path):
        ids = read_category_ids(ids)
    return open_logits(logits, Declared(options.head, options.background, ids, classes), name, options.keys, data_set)


def classes_of(table: FrequencyTable | None, methods: Sequence[Method] = ()) -> Longs | None:
    """The category ids of the table, or else those that a method was fitted on, ascending; None if neither is known."""
    if table is not None:
        return table.category_id
    for method in methods:
        for saved in saved_in(method):
            return np.array(saved.origin.category_ids, np.int64)
    return None


def prepare_methods(
    file: LogitsFile,
    methods: Sequence[Method],
    table: FrequencyTable | None,
    options: InputOptions,
    device: torch.device,
) -> tuple[PreparedMethod, ...]:
    """Each method prepared for `file`.

    table: training counts of the classes; None if no method needs them.
    Raises InputError if the table has other classes, UsageError if a method does not fit the file.
    """
    if table is not None:
        check_classes(file.columns, table, file.source)
    data_access = _LogitsAccess(file, options, device)
    classifier = file.classifier if file.has_features else None
    context = MethodContext(file.columns, table, classifier, data_access, features=file.features)
    prepared = []
    for method in methods:
        _check_content(file, method)
        found = _with_activation(method.adjustment(context))
        _check_width(file, found.steps)
        notes = note_lines(found.notes, uncounted_table(file.columns.category_id) if table is None else table)
        notes += _scale_notes(file, method, found.steps)
        prepared.append(PreparedMethod(method.spec, Adjuster(found.steps, file.columns, device), notes))
    return tuple(prepared)


def _check_content(file: LogitsFile, method: Method) -> None:
    """Raise UsageError for features alone, unless the method is a head that was fitted."""
    if file.content == "features" and not is_head(method):
        problem = Problem("content", f"logits, for the method {method.spec}", "features alone")
        fix = "learn a head on the features of labelled rows with `ltcal fit`, and pass it: `methods=@head.npz`"
        raise UsageError(file.source, [problem], fix)


class FileAccess:
    """The files that methods may name; read when a method needs them."""

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        return read_learned(Path(path), columns)

    def prior(self, path: str) -> FrequencyTable:
        return read_frequencies(Path(path))


class _LogitsAccess(FileAccess):
    """The data that methods may use besides the counts; files are read when a method needs them."""

    def __init__(self, file: LogitsFile, options: InputOptions, device: torch.device) -> None:
        self._file, self._options, self._device = file, options, device

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        return (scores for scores, _ in class_blocks(self._file, steps, "scores", self._device))

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        file = self._other(path, steps)
        if file.labels is None:
            problem = Problem("tensors", "`labels`", "none")
            raise InputError(path, [problem], "save the true classes with the logits")
        blocks = class_blocks(with_labels(file, file.labels), steps, "scores", self._device)
        return ((scores, labels) for scores, labels in blocks if labels is not None)

    def rows(self, path: str, steps: tuple[Step, ...], kind: RowKind) -> Iterator[Singles]:
        file = self._other(path, steps) if path else self._file
        return (block for block, _ in class_blocks(file, steps, kind, self._device))

    def _other(self, path: str, steps: tuple[Step, ...]) -> LogitsFile:
        own = self._file
        return open_like(path, self._options, own.columns, steps, own.source, log_scores=own.log_scores)


def open_like(
    path: str,
    options: InputOptions,
    columns: LogitColumns,
    steps: tuple[Step, ...],
    source: str,
    *,
    log_scores: bool = False,
) -> LogitsFile:
    """Another logits file of the model whose logits `source` have these columns, for the same steps.

    log_scores: whether the logits of `source` are logarithms of scores; so the other file may hold scores too.
    Raises InputError if it holds scores otherwise, its columns are others, or it lacks the features that a step needs.
    """
    file = open_with_options(Path(path), options)
    if log_scores and file.content == "scores":
        file = file.as_logits()
    other = file.columns
    same_head = (columns.head, columns.background) == (other.head, other.background)
    if file.content != "logits" or not same_head or not np.array_equal(columns.category_id, other.category_id):
        problem = Problem("columns", f"logits of the head and the category ids of {source}", "others")
        raise InputError(path, [problem], "pass logits of the same model")
    if any(map(needs_features, steps)) and not file.has_features:
        problem = Problem("tensors", "`features`, which the preceding method needs", "none")
        raise InputError(path, [problem], "save the features with the logits")
    return file


def class_blocks(
    file: LogitsFile, steps: tuple[Step, ...], kind: RowKind, device: torch.device
) -> Iterator[tuple[Singles, Longs | None]]:
    """Scores or logits of the classes after `steps`, float32 [n, C], and the labels, batch by batch in file order."""
    adjuster = Adjuster(steps, file.columns, device)

    def kept(values: torch.Tensor, columns: LogitColumns, batch: Logits) -> tuple[Singles, Longs | None]:
        return values[:, columns.classes].cpu().numpy().copy(), batch.labels

    batches = map_batches(file, [(adjuster, kept)], device, no_progress, activate=kind == "scores")
    return (found for (found,) in batches)


def _with_activation(found: Adjustment) -> Adjustment:
    """The adjustment, with a softmax in each slice as its last step if the head is still ``bags``."""
    if found.columns.head != "bags":
        return found
    if found.columns.bags is None:
        problem = Problem("head", "the slices of the bags head", "none in the metadata")
        fix = "state them in the metadata, or use the method bags and pass `frequencies=`"
        raise UsageError("`methods=`", [problem], fix)
    return Adjustment((*found.steps, slice_softmax(found.columns)), found.columns, found.notes)


def _check_width(file: LogitsFile, steps: tuple[Step, ...]) -> None:
    """Raise InputError if the slices of a ``bags`` head, made from the counts, have another number of columns."""
    for step in steps:
        if isinstance(step, Classify):
            return  # the slices are those of another head
        if isinstance(step, SliceSoftmax) and int(step.bounds[-1]) != file.width:
            sizes = ", ".join(map(str, np.diff(step.bounds).tolist()))
            problem = Problem("columns", f"{step.bounds[-1]}, slices of {sizes} made from the counts", str(file.width))
            fix = "pass the counts that the model was trained with, or state `slices` in the metadata"
            raise InputError(file.source, [problem], fix)


def check_classes(columns: LogitColumns, table: FrequencyTable, source: str) -> None:
    """Raise InputError about `source` unless table and columns have the same classes."""
    own, counted = np.sort(columns.category_id), table.category_id
    if np.array_equal(own, counted):
        return
    lacking, more = np.setdiff1d(own, counted), np.setdiff1d(counted, own)
    found = f"{len(counted)} classes; {_some(lacking)} are not in it, {_some(more)} are not in the logits"
    problem = Problem("frequency table", f"the {len(own)} classes of the logits", found)
    fix = "count the training set of this model, with all its categories"
    if len(own) == len(counted) + 1 and columns.background == "none":
        fix = f"{fix}; if one column is the background, say where it is: `background=`"
    raise InputError(source, [problem], fix)


def _some(ids: Longs) -> str:
    if not len(ids):
        return "none"
    shown = ", ".join(map(str, ids[:5].tolist()))
    return shown if len(ids) <= 5 else f"{shown} and {len(ids) - 5} more"


def _scale_notes(file: LogitsFile, method: Method, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """What is to be said about a method on logits that are known up to a constant in each row.

    Raises UsageError for weights from counts, such as those of IIF, on logarithms of scores.
    """
    exact = ignore_row_constants(steps)
    if file.log_scores and exact:
        text = "the method is exact on probabilities, as it does not depend on the constant in each row that they leave"
        return (f"{text} open",) if steps else ()
    if exact or file.columns.head != "softmax" or not file.rows:
        return ()
    if file.log_scores and method.uses_counts:
        expected = f"logits, for the method {method.spec}, which weights them"
        problem = Problem("content", expected, "probabilities, whose logits are known up to a constant in each row")
        fix = "save the logits before the softmax, or choose a method that shifts them, such as logit-adjust or norcal"
        raise UsageError(file.source, [problem], fix)
    if file.log_scores:
        return ("the method weights the logarithms of the scores, which is meant if it was learned on scores",)
    first = next(iter(file.batches(1)))
    if not (torch.logsumexp(first.logits.float(), dim=1).abs() < LOG_PROBABILITY).all():
        return ()
    return (
        f"{file.source}: the rows look like log-probabilities (their log-sum-exp is 0), not logits. A method that "
        "weights logits, such as IIF, does not give the same on both: every log-probability is negative, so a weight "
        "above 1 lowers rare classes instead of raising them. Save the logits before the softmax.",
    )
