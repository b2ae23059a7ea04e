"""Methods made ready for a logits file: what each does to its columns, on which device."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from longtail_cli.adjust.apply import Adjuster
from longtail_cli.adjust.bags import decoded
from longtail_cli.adjust.base import Adjustment, Method, MethodContext
from longtail_cli.adjust.steps import ColumnAffine, SliceSoftmax, Step
from longtail_cli.errors import InputError, Problem, UsageError
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.files.learned_parameters import read_learned
from longtail_cli.files.logits.metadata import Declared, read_category_ids
from longtail_cli.files.logits.reader import LogitsFile, open_logits
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Logits, Longs, Singles
from longtail_cli.workflow.logit_batches import map_batches
from longtail_cli.workflow.options import LogitOptions
from longtail_cli.workflow.progress import no_progress, note_lines

LOG_PROBABILITY = 1e-3
"""A row whose log-sum-exp is nearer to 0 than this, as far as float16 can tell, holds log-probabilities."""


@dataclass(frozen=True, slots=True)
class PreparedMethod:
    """One method, ready for the batches of one file.

    spec: the method; None where scores are taken as they are. notes: what the user should know, a sentence each.
    """

    spec: str | None
    adjuster: Adjuster
    notes: tuple[str, ...]


def open_with_options(path: Path, options: LogitOptions) -> LogitsFile:
    """The logits file `path`, with what it lacks taken from the options. Raises InputError where more is lacking."""
    ids = None if options.category_ids is None else read_category_ids(options.category_ids)
    return open_logits(path, Declared(options.head, options.background, ids))


def prepare_methods(
    file: LogitsFile,
    methods: Sequence[Method],
    table: FrequencyTable | None,
    options: LogitOptions,
    device: torch.device,
) -> tuple[PreparedMethod, ...]:
    """A plan for each method.

    table: how often the classes of the file occur in training; None where no method needs it.
    Raises InputError where the table has other classes, UsageError where a method does not fit the file.
    """
    if table is not None:
        check_classes(file, table)
    data_access = _LogitsAccess(file, options, device)
    context = MethodContext(file.columns, table, file.classifier if file.has_features else None, data_access)
    prepared = []
    for method in methods:
        found = _with_activation(method.adjustment(context))
        _check_width(file, found.steps)
        notes = () if table is None else note_lines(found.notes, table)
        notes += _log_probability_notes(file, found.steps)
        prepared.append(PreparedMethod(method.spec, Adjuster(found.steps, file.columns, device), notes))
    return tuple(prepared)


class _LogitsAccess:
    """What methods may look at beside the counts, read from files when it is asked for."""

    def __init__(self, file: LogitsFile, options: LogitOptions, device: torch.device) -> None:
        self._file, self._options, self._device = file, options, device

    def learned(self, path: str, columns: LogitColumns) -> Mapping[str, Floats]:
        return read_learned(Path(path), columns)

    def prior(self, path: str) -> FrequencyTable:
        return read_frequencies(Path(path))

    def predictions(self, steps: tuple[Step, ...]) -> Iterator[Singles]:
        return (scores for scores, _ in self._scored(self._file, steps))

    def labelled(self, path: str, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs]]:
        file = open_with_options(Path(path), self._options)
        here, there = self._file.columns, file.columns
        same_head = (here.head, here.background) == (there.head, there.background)
        if file.content == "scores" or not same_head or not np.array_equal(here.category_id, there.category_id):
            problem = Problem("columns", f"logits of the head and the category ids of {self._file.source}", "others")
            raise InputError(path, [problem], "pass logits of the same model")
        if file.labels is None:
            problem = Problem("tensors", "`labels`", "none")
            raise InputError(path, [problem], "save the true classes with the logits")
        return ((scores, labels) for scores, labels in self._scored(file, steps) if labels is not None)

    def _scored(self, file: LogitsFile, steps: tuple[Step, ...]) -> Iterator[tuple[Singles, Longs | None]]:
        adjuster = Adjuster(steps, file.columns, self._device)

        def kept(scores: torch.Tensor, columns: LogitColumns, batch: Logits) -> tuple[Singles, Longs | None]:
            return scores[:, columns.classes].cpu().numpy().copy(), batch.labels

        return (found for (found,) in map_batches(file, [(adjuster, kept)], self._device, no_progress))


def _with_activation(found: Adjustment) -> Adjustment:
    """Where the head is still ``bags``, decoding its slices is its activation."""
    if found.columns.head != "bags":
        return found
    if found.columns.bags is None:
        problem = Problem("head", "the slices of the bags head", "none in the metadata")
        raise UsageError("--method", [problem], "state them in the metadata, or use --method bags and pass --freq")
    return Adjustment((*found.steps, decoded(found.columns)), found.columns, found.notes)


def _check_width(file: LogitsFile, steps: tuple[Step, ...]) -> None:
    """Raise InputError where the slices of a ``bags`` head, made from the counts, have another number of columns."""
    for step in steps:
        if isinstance(step, SliceSoftmax) and int(step.bounds[-1]) != file.width:
            sizes = ", ".join(map(str, np.diff(step.bounds).tolist()))
            problem = Problem(
                "columns", f"{step.bounds[-1]}, the slices of {sizes} that the counts make", str(file.width)
            )
            fix = "pass the counts that the model was trained with, or state `slices` in the metadata"
            raise InputError(file.source, [problem], fix)


def check_classes(file: LogitsFile, table: FrequencyTable) -> None:
    """Raise InputError unless table and file have the same classes."""
    own, counted = np.sort(file.columns.category_id), table.category_id
    if np.array_equal(own, counted):
        return
    lacking, more = np.setdiff1d(own, counted), np.setdiff1d(counted, own)
    found = f"{len(counted)} classes; {_some(lacking)} are not in it, {_some(more)} are not in the logits"
    problem = Problem("frequency table", f"the {len(own)} classes of the logits", found)
    raise InputError(file.source, [problem], "count the training set of this model, with all its categories")


def _some(ids: Longs) -> str:
    if not len(ids):
        return "none"
    shown = ", ".join(map(str, ids[:5].tolist()))
    return shown if len(ids) <= 5 else f"{shown} and {len(ids) - 5} more"


def _log_probability_notes(file: LogitsFile, steps: tuple[Step, ...]) -> tuple[str, ...]:
    """A warning where log-probabilities are about to be weighted, which logits are made for."""
    weighted = any(isinstance(step, ColumnAffine) and np.ptp(step.scale) > 0 for step in steps)
    if not weighted or file.columns.head != "softmax" or not file.rows:
        return ()
    first = next(iter(file.batches(1)))
    if not (torch.logsumexp(first.logits.float(), dim=1).abs() < LOG_PROBABILITY).all():
        return ()
    return (
        f"{file.source}: the rows look like log-probabilities (their log-sum-exp is 0), not logits. A method that "
        "weights logits, as IIF does, is not the same on both: every log-probability is negative, so a weight above 1 "
        "lowers rare classes in place of raising them. Save the logits before the softmax.",
    )
