"""The rows of a logits file that something is fitted on, with classes in order of id, and which of them are held out.

Imports torch.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from typing import Literal

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.fitting.rows import LabelledRows
from longtail_cli.tables import Bools, LogitColumns, Longs
from longtail_cli.tuning.folds import stratified_folds
from longtail_cli.workflow.logit_batches import LOGITS_PER_BATCH
from longtail_cli.workflow.progress import Progress

TensorName = Literal["logits", "features"]

PARTS = 5
"""One part in so many is held out."""


def labelled_rows(
    file: LogitsFile, label: Longs, tensors: Collection[TensorName], seed: int, progress: Progress
) -> LabelledRows:
    """All rows of a classifier, about a fifth of them held out, by `held_out_rows`.

    label: int64 [N], the true class of each row as an index into the class columns of the file.
    tensors: what is kept in memory, in the precision of the file.
    Raises InputError as the reader does, and for a file without features that are to be kept.
    """
    order = np.argsort(file.columns.category_id, kind="stable")
    target = np.argsort(order)[label] + file.columns.classes.start
    return rows_at(file, np.arange(file.rows), target, held_out_rows(label, seed), tensors, progress)


def rows_at(
    file: LogitsFile,
    index: Longs,
    target: Longs,
    held_out: Bools,
    tensors: Collection[TensorName],
    progress: Progress,
) -> LabelledRows:
    """Some rows of a file, read in batches; only what is kept of them stays in memory.

    index: int64 [n], rows of the file, ascending. target: int64 [n], columns when the classes are in order of id.
    held_out: bool [n]. The rest as in `labelled_rows`.
    """
    if "features" in tensors and not file.has_features:
        problem = Problem("tensors", "`features` [N, D], the input of the last layer", "none")
        raise InputError(file.source, [problem], "save the features with the logits (docs/logits.md)")
    column = _column_order(file.columns, file.width) if "logits" in tensors else None
    kept: dict[TensorName, torch.Tensor] = {}
    filled = 0
    for batch in file.batches(max(1, LOGITS_PER_BATCH["cpu"] // file.width)):
        within = index[slice(*np.searchsorted(index, [batch.first, batch.first + len(batch)]))] - batch.first
        every = len(within) == len(batch)
        for name in tensors:
            values = batch.logits if name == "logits" else batch.features
            assert values is not None
            values = values if every else values[torch.from_numpy(within)]
            if name not in kept:
                kept[name] = torch.empty((len(index), values.shape[1]), dtype=values.dtype)
            ordered = values if name == "features" or column is None else values[:, column]
            kept[name][filled : filled + len(within)] = ordered
        filled += len(within)
        progress("reading", (batch.first + len(batch)) / file.rows)
    columns = replace(file.columns, category_id=np.sort(file.columns.category_id))
    return LabelledRows(
        columns, torch.from_numpy(target), torch.from_numpy(held_out), kept.get("logits"), kept.get("features")
    )


def held_out_rows(label: Longs, seed: int) -> Bools:
    """About a fifth of the rows of each class, at random by `seed`: bool [N].

    A class with two rows or more has at least one that is held out and one that is not; a single row is not held out.
    label: int64 [N], any numbers.
    """
    order = np.random.default_rng(seed).permutation(len(label))
    order = order[np.argsort(label[order], kind="stable")]
    _, first, of_class, number = np.unique(label[order], return_index=True, return_inverse=True, return_counts=True)
    share = np.minimum(np.maximum(np.rint(number / PARTS).astype(np.int64), 1), number - 1)
    held_out = np.zeros(len(label), bool)
    held_out[order] = np.arange(len(label)) - first[of_class] < share[of_class]
    return held_out


def held_out_images(stratum: Longs, seed: int) -> Bools:
    """About a fifth of the images, spread evenly over the strata, at random by `seed`: bool [I].

    stratum: int64 [I], of each image the rarest category of its objects. Of fewer than five images one is held out, and
    of a single one none.
    """
    if len(stratum) < 2:
        return np.zeros(len(stratum), bool)
    return np.asarray(stratified_folds(stratum, min(PARTS, len(stratum)), seed).fold == 0)


def _column_order(columns: LogitColumns, width: int) -> torch.Tensor | None:
    """int64 [K], the columns with the classes in order of id; None if they are."""
    order = np.argsort(columns.category_id, kind="stable")
    if (np.diff(order) == 1).all():
        return None
    column = np.arange(width)
    column[columns.classes] = columns.classes.start + order
    return torch.from_numpy(column)
