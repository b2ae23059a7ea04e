"""The boxes of a batch of detections: from one column of lists, or from four columns of numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from longtail_cli.choices import BoxFormat
from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at
from longtail_cli.files.results.problems import FIX_BOX
from longtail_cli.tables import LARGEST_COORDINATE, Bools, Floats, Longs

_FIX_NUMBERS = "write four numbers in every row"


def numbers(column: pa.Array) -> Floats:
    """float64 [N], NaN for null."""
    return np.asarray(column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False), np.float64)


def boxes_in(
    columns: Sequence[pa.Array], kind: BoxFormat, name: str, entries: Sequence[int] | Longs, faults: list[Fault]
) -> Floats:
    """float64 [N, 4], NaN for a row without a box, zeros if its box cannot be read, which is appended to `faults`.

    columns: one of lists, or four of numbers. name: what faults call them. entries: the number in the file of each row.
    """
    boxes = _even(columns[0]) if len(columns) == 1 else np.stack([numbers(one) for one in columns], axis=1)
    if boxes is not None and _all_valid(boxes, kind):
        return boxes
    if boxes is None:
        boxes, missing = _uneven(columns[0], name, entries, faults)
    else:
        missing = np.asarray(np.isnan(boxes).all(axis=1)) & (len(columns) > 1)
    valid = _valid(boxes, kind) | missing
    sides = "" if kind.endswith("xyxy") else " with a width and height of 0 or more"
    expected = f"four finite numbers{sides}, within {LARGEST_COORDINATE:g} of 0"
    fix = FIX_BOX if kind == "xywh" else _FIX_NUMBERS
    found = faults_at(
        ~valid, lambda row: Problem(f"entry {entries[row]}, `{name}`", expected, str(boxes[row].tolist())), fix
    )
    faults += found
    return np.where(valid[:, None], boxes, 0.0) if found else boxes


def _all_valid(boxes: Floats, kind: BoxFormat) -> bool:
    """Whether every row has a valid box; in fewer passes than `_valid`."""
    if not len(boxes):
        return True
    within = boxes.min() >= -LARGEST_COORDINATE and boxes.max() <= LARGEST_COORDINATE  # NaN is neither
    return bool(within and (boxes[:, 2:].min(axis=0) >= _least(kind)[2:]).all())


def _valid(boxes: Floats, kind: BoxFormat) -> Bools:
    return np.asarray(((np.abs(boxes) <= LARGEST_COORDINATE) & (boxes >= _least(kind))).all(axis=1))


def _least(kind: BoxFormat) -> Floats:
    """The lower limits of the four numbers; whether corners are in order depends on what they are meant to be."""
    return np.array([-np.inf, -np.inf, *([-np.inf] * 2 if kind.endswith("xyxy") else [0.0] * 2)])


def _even(column: pa.Array) -> Floats | None:
    """The boxes of lists that all have four numbers; None to look closer."""
    if column.null_count or not len(column):
        return None
    if not pa.types.is_fixed_size_list(column.type):
        ends = column.offsets.to_numpy()
        if (ends[1:] - ends[:-1] != 4).any():
            return None
    elif column.type.list_size != 4:
        return None
    return numbers(column.flatten()).reshape(-1, 4)


def _uneven(column: pa.Array, name: str, entries: Sequence[int] | Longs, faults: list[Fault]) -> tuple[Floats, Bools]:
    """As `_even` for any lists, with zeros and a fault for other lengths; and which rows are null, bool [N]."""
    lengths: Any = pc.fill_null(pc.list_value_length(column), 4).to_numpy(zero_copy_only=False)
    faults += faults_at(
        lengths != 4,
        lambda row: Problem(f"entry {entries[row]}, `{name}`", "four numbers", str(lengths[row])),
        FIX_BOX,
    )
    present = np.asarray(column.is_valid().to_numpy(zero_copy_only=False))
    boxes = np.zeros((len(column), 4))
    boxes[~present] = np.nan
    rows = np.flatnonzero(np.asarray(lengths == 4) & present)
    boxes[rows] = numbers(pc.list_flatten(column.take(pa.array(rows)))).reshape(-1, 4)
    return boxes, ~present
