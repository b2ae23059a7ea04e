"""The true class of each row of a classifier's logits or scores, from the file itself or from another source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

import numpy as np

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.files.labels import ClassLabels, class_labels_of, read_class_labels
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.tables import FrequencyTable, Longs

_FIX = "pass the labels of the rows of the logits, in the same order, as class indices from 0"
_FIX_COUNTS = f"{_FIX}; `ltcal compute-freq` makes a frequency table of counts"
_FOLDERS = 4
"""How many parts of a path may be compared, from the file name upwards."""


def row_labels(file: LogitsFile, labels: Any, table: FrequencyTable | None, column: str | None = None) -> Longs:
    """The true class of each row, int64 [N], an index of the class columns or `IGNORED`.

    labels: a path or labels in memory, see `longtail_cli.files.labels`; None for those in the file. Labels with file
    names go to the rows of these names if the file has names too, else to the rows in order. table: has names of the
    classes, if labels are names. column: the name of the labels, in a table or an archive.
    Raises InputError for labels that do not fit the file.
    """
    if labels is None:
        if file.labels is None:
            problem = Problem("tensors", "`labels`", "none")
            raise InputError(file.source, [problem], "pass the true classes: `labels=`")
        return file.labels
    given = read_class_labels(labels, column) if isinstance(labels, Path) else class_labels_of(labels, "labels")
    index = _by_name(given, file) if given.row_names and file.row_names else given.index
    _check_number(index, given, file)
    if given.class_names:
        return _by_class_name(index, given, _class_names(file, table))
    _check_range(index, given, file)
    return index


def with_labels(file: LogitsFile, index: Longs) -> LogitsFile:
    """The rows that have a class, with it as their label. index: see `row_labels`. Raises InputError without any."""
    present = index != IGNORED
    if not present.any():
        problem = Problem("labels", "at least one class", "-1 in every row" if len(index) else "no rows")
        raise InputError(file.source, [problem], "pass the classes of the rows")
    kept = replace(file.kept(present), labels=index[present])
    if present.all():
        return kept
    left_out = int((~present).sum())
    note = f"{left_out:,} of {len(index):,} rows have no class (label -1 or -100) and are left out of everything"
    return replace(kept, notes=(*file.notes, note))


def labelled(file: LogitsFile, labels: Any, table: FrequencyTable | None, column: str | None = None) -> LogitsFile:
    """`with_labels` of `row_labels`."""
    return with_labels(file, row_labels(file, labels, table, column))


def labels_in(file: LogitsFile) -> Longs:
    """The labels in the file, int64 [N]. Raises InputError without them."""
    return row_labels(file, None, None)


def _check_number(index: Longs, given: ClassLabels, file: LogitsFile) -> None:
    if len(index) == file.rows:
        return
    if len(index) == len(file.columns):
        found = f"{len(index)}, as many as there are classes: they seem to be counts per class"
        raise InputError(given.source, [Problem("labels", f"{file.rows}, one for each row", found)], _FIX_COUNTS)
    problem = Problem("labels", f"{file.rows}, one for each row", str(len(index)))
    raise InputError(given.source, [problem], _FIX)


def _check_range(index: Longs, given: ClassLabels, file: LogitsFile) -> None:
    classes = len(file.columns)
    wrong = np.flatnonzero(index >= classes)
    if not len(wrong):
        return
    problem = Problem(f"label {wrong[0]}", f"a class from 0 to {classes - 1}", str(index[wrong[0]]))
    from_one = int(index.max()) == classes and not (index == 0).any()
    fix = f"{_FIX}; these run from 1 to {classes}, so subtract 1" if from_one else _FIX
    if len(index) == classes:
        fix = f"{_FIX_COUNTS}, if these are counts per class"
    raise InputError(given.source, [problem], fix, total=len(wrong))


def _by_name(given: ClassLabels, file: LogitsFile) -> Longs:
    """The labels of the rows by the file names of the images: by as few parts of the path as tell them apart."""
    for parts in range(1, _FOLDERS + 1):
        found = _matched(given, file.row_names, parts)
        if found is not None:
            return found
    names = set(given.row_names)
    missing = [row for row, name in enumerate(file.row_names) if name not in names]
    problems = [
        Problem(f"row {row}, {file.row_names[row]}", "a label for this file name", "none") for row in missing
    ] or [Problem("file names", "different ones", "some of them several times")]
    fix = "pass labels for these file names, or labels without names, in the order of the rows"
    raise InputError(given.source, problems[:MAX_PROBLEMS], fix, total=len(problems))


def _matched(given: ClassLabels, rows: Sequence[str], parts: int) -> Longs | None:
    """The labels of rows by the last parts of their names; None if two labels have the same, or a row has none."""
    label: dict[tuple[str, ...], int] = {}
    for name, index in zip(given.row_names, given.index.tolist(), strict=True):
        if label.setdefault(_last(name, parts), index) != index:
            return None
    found = [label.get(_last(name, parts)) for name in rows]
    return None if None in found else np.array(found, np.int64)


def _last(name: str, parts: int) -> tuple[str, ...]:
    return PurePosixPath(name.replace("\\", "/")).parts[-parts:]


def _class_names(file: LogitsFile, table: FrequencyTable | None) -> Mapping[str, int]:
    """The class column of each name, by the names in the file, or those in the table."""
    names = file.class_names
    if not names and table is not None and np.array_equal(table.category_id, np.sort(file.columns.category_id)):
        row = np.searchsorted(table.category_id, file.columns.category_id)
        names = tuple(table.name[index] for index in row.tolist())
    return {name: column for column, name in enumerate(names) if name}


def _by_class_name(index: Longs, given: ClassLabels, column: Mapping[str, int]) -> Longs:
    if not column:
        found = ", ".join(given.class_names[:6])
        problem = Problem(
            "labels", "class indices, as neither the logits nor a frequency table name the classes", found
        )
        fix = "pass class indices, or a frequency table with the names of the classes: `frequencies=`"
        raise InputError(given.source, [problem], fix)
    unknown = [name for name in given.class_names if name not in column]
    if unknown:
        expected = f"one of the classes, such as {', '.join(list(column)[:6])}"
        problems = [Problem("labels", expected, name) for name in unknown]
        raise InputError(given.source, problems[:MAX_PROBLEMS], "use the names of the classes", total=len(unknown))
    return np.array([column[name] for name in given.class_names], np.int64)[index]
