"""Digests of detections that do not depend on how they are divided, to tell whether two inputs hold the same.

Each row has a digest of 64 bits, and the digest of several rows is the sum of theirs, so that those of parts are added.
Rows are mixed by the finaliser of SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators",
2014). It is no protection against rows that are made to collide, which would change nothing but a note.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from longtail_cli.evaluation.parts.rows import Whole
from longtail_cli.tables import Detections, Masks

Hashes = npt.NDArray[np.uint64]


def digest_of_scores(detections: Detections, whole: Whole) -> int:
    """Of the score of each detection of a part, at its position in the input."""
    return _total(_of_rows([whole.file_row, detections.score]))


def digest_of_boxes(detections: Detections, whole: Whole) -> int:
    """Of all that `same_geometry` compares, for each detection of a part, at its position in the input."""
    columns = [whole.file_row, whole.image[detections.image], detections.category, *detections.bbox.T, detections.area]
    if detections.masks is not None:
        columns += [*detections.masks.size.T, _of_runs(detections.masks)]
    return _total(_of_rows(columns))


def _of_rows(columns: Sequence[npt.NDArray[Any]]) -> Hashes:
    """uint64 [N], from columns of N numbers."""
    found = np.zeros(len(columns[0]), np.uint64)
    for column in columns:
        found = _mixed(found ^ _bits(column))
    return found


def _of_runs(masks: Masks) -> Hashes:
    """uint64 [N], of the run lengths of each mask."""
    position = np.arange(len(masks.counts)) - np.repeat(masks.start[:-1], np.diff(masks.start))
    sums = np.append(np.uint64(0), np.cumsum(_of_rows([position, masks.counts]), dtype=np.uint64))
    return sums[masks.start[1:]] - sums[masks.start[:-1]]


def _bits(column: npt.NDArray[Any]) -> Hashes:
    """uint64 [N], equal for equal numbers."""
    if column.dtype.kind == "f":
        return (column + 0.0).astype(np.float64).view(np.uint64)  # + 0.0 makes 0 of -0
    return column.astype(np.uint64)


def _mixed(values: Hashes) -> Hashes:
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))


def _total(rows: Hashes) -> int:
    return int(rows.sum(dtype=np.uint64))
