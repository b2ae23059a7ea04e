"""The inputs of a report on classifiers: logits or scores of the same rows and classes. Imports torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import InputError, Problem
from longtail_cli.evaluation.classification.metrics import GROUPS
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.files.source import printable
from longtail_cli.tables import FrequencyTable, Longs
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.prepare_methods import check_classes, open_with_options


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


def check_same(file: LogitsFile, first: LogitsFile, truth: Longs, *, compare_labels: bool) -> None:
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
