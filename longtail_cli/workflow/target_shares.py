"""The class distribution that rows are weighted to, and the weights that follow from it."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.frequencies import read_frequencies
from longtail_cli.tables import Floats, LogitColumns, Longs
from longtail_cli.workflow.prepare_methods import check_classes

if TYPE_CHECKING:
    from longtail_cli.fitting.rows import LabelledRows


def target_shares(target: str, columns: LogitColumns, label: Longs) -> Floats:
    """The share of each class that rows are weighted to, in column order: float64 [C], sums to 1.

    target: ``balanced``, ``as-is`` for the shares among the rows, or the path of a frequency table. label: int64 [N],
    the class of each row. Raises InputError for a table of other classes or without counts.
    """
    classes = len(columns)
    if target == "balanced":
        return np.full(classes, 1.0 / classes)
    if target == "as-is":
        return np.bincount(label, minlength=classes) / max(len(label), 1)
    table = read_frequencies(Path(target))
    check_classes(columns, table, target)
    count = table.image_count[np.searchsorted(table.category_id, columns.category_id)]
    present = np.bincount(label, minlength=classes) > 0
    if not count[present].sum():
        problem = Problem("image_count", "a count above 0 for a class of the rows", "none")
        raise InputError(target, [problem], "pass the counts of the distribution that is meant, or balanced or as-is")
    return np.asarray(count / count.sum())


def row_weights(rows: LabelledRows, target: str) -> Floats:
    """The importance of each row, so that the classes have the shares of the target among the rows with a class.

    float64 [N]. Background rows weigh 1, and so keep their share of all rows. A class without rows in the last
    fit has no share.
    target: see `target_shares`.
    """
    label = rows.target.numpy() - rows.columns.classes.start
    inside = (label >= 0) & (label < len(rows.columns))
    fitted = label[inside & rows.last.numpy()]
    number = np.bincount(fitted, minlength=len(rows.columns))
    share = target_shares(target, rows.columns, fitted) * (number > 0)
    weight = np.ones(len(rows))
    weight[inside] = (share / share.sum() * len(fitted) / np.maximum(number, 1))[label[inside]]
    return weight
