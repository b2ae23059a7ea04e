"""How large parts are, so that a process stays within its memory: a rule with rates that were measured.

A process needs memory for itself, for the annotations, and for the rows of the parts that it works on:

    memory >= PROCESS + 4 * a + I * C + at_once * rows * bytes per row

for annotations of `a` bytes, I images and C categories. Their arrays are held for the whole and again for the parts,
with the objects in the order of the images; I * C bytes say what each image judges. To read them takes 6 * a.
"""

from __future__ import annotations

from dataclasses import fields

import numpy as np

from longtail_cli.errors import Problem, UsageError
from longtail_cli.execution.base import Execution
from longtail_cli.tables import GroundTruth

PROCESS = 300_000_000
"""Bytes of the interpreter, the libraries, and what these keep of memory that was freed."""
BYTES_PER_ROW = 600
"""Of a part, while it is read and matched: its detections, overlaps and matches."""
BYTES_PER_RUN = 150
"""The same of each further run of the same boxes."""
BYTES_PER_MASK = 2_000
"""Instead of `BYTES_PER_ROW`, for run-length encoded masks."""

MOST_ROWS = 1 << 21
"""Of a part: larger ones are no faster."""
LEAST_ROWS = 100_000
"""Of a part: smaller ones are slow, as each takes its time for the annotations."""

_HELD, _READING = 4, 6


def rows_per_part(
    memory: int | None, execution: Execution, truth: GroundTruth, *, runs: int = 1, masks: bool = False
) -> int:
    """About how many detections a part may have, so that the process stays within `memory` bytes, None for no bound.

    runs: of an input, >= 1. masks: whether detections have masks. Raises UsageError if `memory` is too small for parts
    of `LEAST_ROWS`, or for the annotations.
    """
    if memory is None:
        return MOST_ROWS
    size = _bytes_of(truth)
    base = PROCESS + _HELD * size + len(truth.image_id) * len(truth.categories)
    row = execution.at_once * ((BYTES_PER_MASK if masks else BYTES_PER_ROW) + BYTES_PER_RUN * (runs - 1))
    least = max(base + LEAST_ROWS * row, _READING * size)
    if memory < least:
        expected = f"at least {least / 1e9:.1f} GB, for annotations with {len(truth.id):,} objects"
        problem = Problem("`memory=`", expected, f"{memory / 1e9:.1f} GB")
        raise UsageError("parts of the images", [problem], "allow more memory")
    return min((memory - base) // row, MOST_ROWS)


def _bytes_of(truth: GroundTruth) -> int:
    """Of the arrays."""
    held = [getattr(truth, field.name) for field in fields(truth)]
    held += [] if truth.masks is None else [getattr(truth.masks, field.name) for field in fields(truth.masks)]
    return sum(one.nbytes for one in held if isinstance(one, np.ndarray))
