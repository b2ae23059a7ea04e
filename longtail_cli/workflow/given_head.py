"""The head that made the logits of a file, from its features and weights. Imports torch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from longtail_cli.errors import InputError, Problem
from longtail_cli.files.logits.reader import LogitsFile
from longtail_cli.fitting.linear_head import LinearHead
from longtail_cli.tables import Floats, Longs

ROWS = 4096
"""From which the bias is computed, at most."""

_UNITS = 64.0
"""By how many units in the last digit of the stored numbers the biases of rows may differ."""


def given_head(file: LogitsFile) -> LinearHead | None:
    """The head z = W f + b that made the logits, with the classes in order of id; None if the file has no W, or no f.

    b is the mean of z - W f over the first rows. Raises InputError if it differs from row to row by more than the
    precision of the logits explains: then W is not the weight of the last layer, or f not its input.
    """
    found = _candidate(file)
    if found is not None and found.apart > found.tolerance:
        problem = Problem(
            "`logits` - `features` · `weight`", "the same bias in each row", f"up to {found.apart:.3g} apart"
        )
        fix = "save the weight of the last layer and its input as the features, or leave `weight` out"
        raise InputError(file.source, [problem], fix)
    return None if found is None else found.head


def given_head_if_consistent(file: LogitsFile) -> LinearHead | None:
    """The same for what does not need the head: None also if W is not the weight of the last layer."""
    found = _candidate(file)
    return None if found is None or found.apart > found.tolerance else found.head


@dataclass(frozen=True, slots=True)
class _Candidate:
    """What may be the head that made the logits."""

    head: LinearHead
    apart: float
    """By how much the biases of rows differ, at most."""
    tolerance: float
    """By how much the precision of the logits explains."""


def _candidate(file: LogitsFile) -> _Candidate | None:
    if file.classifier is None or not file.has_features or not file.rows:
        return None
    batch = next(file.batches(ROWS))
    assert batch.features is not None
    logits, features = batch.logits.double().numpy(), batch.features.double().numpy()
    weight = file.classifier.astype(np.float64)
    bias = logits - features @ weight.T
    digit = max(torch.finfo(one.dtype).eps for one in (batch.logits, batch.features))
    size = max(1.0, float(np.abs(logits).max()), float((np.abs(features) @ np.abs(weight).T).max()))
    column = _columns(file)
    head = LinearHead(weight[column], bias.mean(axis=0)[column])
    return _Candidate(head, float(np.ptp(bias, axis=0).max(initial=0.0)), _UNITS * digit * size)


def _columns(file: LogitsFile) -> Longs:
    """The columns with the classes in order of id: int64 [K]."""
    column = np.arange(file.width)
    if file.columns.head != "bags":
        column[file.columns.classes] = file.columns.classes.start + np.argsort(file.columns.category_id)
    return column


def lengths(weight: Floats) -> tuple[float, ...]:
    """The lengths of the rows of a matrix."""
    return tuple(np.linalg.norm(weight, axis=1).tolist())
