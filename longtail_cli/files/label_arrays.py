"""Class labels as arrays, in the forms that are usual."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.errors import Problem
from longtail_cli.files.faults import fault, faults_at, input_error, raise_faults
from longtail_cli.tables import Longs

LARGEST_LABEL = 10_000_000
"""Larger labels are refused as mistakes: there are as many classes as the largest label plus one."""

IGNORED = -1
"""The label of a row that is left out of everything."""

IGNORE_VALUES = (IGNORED, -100)
"""The labels of such rows in files: -1 is that of many data sets, -100 the `ignore_index` of torch's losses."""

_FORMS = "integers of shape [N] or [N, 1], or one-hot rows [N, C]"
_FIX_LABELS = "write each label as a class index: 0, 1, 2, ..., or -1 for a row without a class"


def class_indices(array: npt.NDArray[Any], source: str, fix: str, *, where: str = "row", first: int = 0) -> Longs:
    """The class of each row, int64 [n], `IGNORED` for rows without one.

    array: class indices, integers or floats that are whole, [n] or [n, 1]; or one-hot rows [n, C].
    source, fix, where: for messages; `where` is what a row is called. first: the number of the first row.
    Raises InputError for anything else.
    """
    if array.ndim == 2 and array.shape[1] > 1 and array.dtype.kind in "biuf":
        return _of_one_hot(array, source, where, first)
    column = array[:, 0] if array.ndim == 2 and array.shape[1] == 1 else array
    if column.ndim != 1 or column.dtype.kind not in "iuf":
        found = f"an array of {array.dtype} of shape {list(array.shape)}"
        raise input_error(source, [fault("content", f"an array of {_FORMS}", found, fix)])
    if column.dtype.kind == "f":
        column = column.astype(np.float64)
    ignored = np.isin(column, np.array(IGNORE_VALUES, np.float64)) if column.dtype.kind != "u" else column < 0
    bad = ~ignored & ~((column >= 0) & (column <= LARGEST_LABEL))
    if column.dtype.kind == "f":
        bad |= ~ignored & (column != np.floor(column))
    expected = f"a class index from 0 to {LARGEST_LABEL}, or -1"

    def describe(row: int) -> Problem:
        return Problem(f"{where} {first + row}", expected, str(column[row]))

    raise_faults(source, faults_at(bad, describe, _FIX_LABELS))
    labels: Longs = np.where(ignored, IGNORED, column).astype(np.int64)
    return labels


def _of_one_hot(array: npt.NDArray[Any], source: str, where: str, first: int) -> Longs:
    bad = ~((array == 0) | (array == 1)).all(axis=1) | (np.count_nonzero(array, axis=1) != 1)

    def describe(row: int) -> Problem:
        return Problem(f"{where} {first + row}", "one-hot: a single 1, and 0 elsewhere", _shown(array[row]))

    fix = "save the class index of each row, or one-hot rows; several classes in a row are not supported"
    raise_faults(source, faults_at(bad, describe, fix))
    labels: Longs = np.argmax(array, axis=1).astype(np.int64)
    return labels


def _shown(row: npt.NDArray[Any]) -> str:
    values = ", ".join(map(str, row[:6].tolist()))
    return f"[{values}{', ...' if len(row) > 6 else ''}]"
