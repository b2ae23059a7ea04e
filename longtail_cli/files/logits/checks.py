"""Checks of the values in a logits file, for the reader and the writer."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at
from longtail_cli.files.label_arrays import IGNORED
from longtail_cli.tables import Bools

LOGIT_DTYPES: dict[str, torch.dtype] = {
    "float16": torch.float16,
    "bfloat16": torch.bfloat16,
    "float32": torch.float32,
}
"""The types that logits, scores and features may have."""

FIX_BOXES = "save boxes as x1, y1, x2, y2 in pixels, x1 <= x2 and y1 <= y2, after they were decoded"


def all_finite(values: torch.Tensor) -> bool:
    """Whether no value of `values` [N, M] is NaN or infinite; true if it is empty."""
    if not values.numel():
        return True
    # row sums in the same type need no copy; they may overflow although all values are finite, so look twice then
    return bool(torch.isfinite(values.sum(dim=1)).all()) or bool(
        torch.isfinite(torch.stack(torch.aminmax(values))).all()
    )


def first_not_finite(values: torch.Tensor) -> tuple[tuple[int, ...], float]:
    """The index and the value of the first NaN or infinity of `values`, which has at least one."""
    index = tuple(torch.nonzero(~torch.isfinite(values))[0].tolist())
    return index, float(values[index])


def box_faults(boxes: npt.NDArray[np.floating[Any]], first: int) -> list[Fault]:
    """What is wrong with boxes [N, 4] or [N, C, 4], the first of them in row `first`."""
    upright = boxes[..., 2:] >= boxes[..., :2]  # false if a corner is NaN
    if upright.all() and np.isfinite(boxes.min(initial=0)) and np.isfinite(boxes.max(initial=0)):
        return []
    bad = ~(upright.all(axis=-1) & np.isfinite(boxes).all(axis=-1))

    def describe(row: int) -> Problem:
        where = f"tensor `boxes`, row {first + row}"
        box = boxes[row]
        if box.ndim == 2:
            column = int(np.flatnonzero(bad[row])[0])
            where, box = f"{where}, class {column}", box[column]
        return Problem(where, "finite x1 <= x2, y1 <= y2", str(box.tolist()))

    return faults_at(bad if bad.ndim == 1 else bad.any(axis=1), describe, FIX_BOXES)


def objectness_faults(objectness: npt.NDArray[np.floating[Any]], first: int) -> list[Fault]:
    """What is wrong with objectness [N], the first of it in row `first`."""
    bad: Bools = ~((objectness >= 0) & (objectness <= 1))
    fix = "save objectness after its sigmoid"

    def describe(row: int) -> Problem:
        return Problem(f"tensor `objectness`, row {first + row}", "a number from 0 to 1", str(objectness[row]))

    return faults_at(bad, describe, fix)


def label_faults(labels: npt.NDArray[np.integer[Any]], classes: int, first: int) -> list[Fault]:
    """What is wrong with labels [N], the first of them in row `first`; `IGNORED` is none."""
    expected = f"a class index from 0 to {classes - 1}, in column order"
    fix = "save labels as indices of the classes, not as category ids, without counting the background"

    def describe(row: int) -> Problem:
        return Problem(f"tensor `labels`, row {first + row}", expected, str(labels[row]))

    return faults_at((labels < IGNORED) | (labels >= classes), describe, fix)
