"""What the losses are built from: frequency tables, or plain counts."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import torch

from longtail_cli.errors import MAX_PROBLEMS, InputError, Problem
from longtail_cli.tables import Floats, FrequencyTable, Longs

Frequencies = FrequencyTable | Sequence[int] | npt.NDArray[np.integer] | torch.Tensor
"""A table, or how often each of the classes 0 to C-1 occurs: whole numbers >= 0, [C]."""

_FIX = "pass a frequency table, or one whole number for each class"


def frequency_table(frequencies: Frequencies) -> FrequencyTable:
    """The table itself, or a table of the counts: images = instances, the number of images unknown.

    Raises InputError if there are no classes, if no class occurs, or if something is not a count.
    """
    table = frequencies if isinstance(frequencies, FrequencyTable) else _table_of_counts(frequencies)
    if not len(table):
        raise InputError("frequencies", [Problem("classes", "at least one", "none")], _FIX)
    if not (table.image_count.any() and table.instance_count.any()):
        problem = Problem("counts", "at least one above 0", "none")
        raise InputError("frequencies", [problem], "count the annotations of the training set")
    return table


def _table_of_counts(frequencies: Sequence[int] | npt.NDArray[np.integer] | torch.Tensor) -> FrequencyTable:
    counts = _whole_numbers(frequencies)
    ids = np.arange(len(counts))
    return FrequencyTable(ids, tuple(map(str, ids)), counts, counts, ("",) * len(ids), num_images=None)


def _whole_numbers(frequencies: Sequence[int] | npt.NDArray[np.integer] | torch.Tensor) -> Longs:
    """int64 [C]."""
    given = frequencies.detach().cpu().numpy() if isinstance(frequencies, torch.Tensor) else np.asarray(frequencies)
    if given.ndim != 1 or given.dtype.kind not in "iuf":
        found = f"an array of shape {list(given.shape)} and type {given.dtype}"
        raise InputError("frequencies", [Problem("counts", "whole numbers >= 0, [C]", found)], _FIX)
    values: Floats = given.astype(np.float64)
    wrong = np.flatnonzero(~(np.isfinite(values) & (values >= 0) & (values == np.floor(values)) & (values < 2.0**53)))
    if len(wrong):
        problems = [Problem(f"class {one}", "a whole number >= 0", str(given[one])) for one in wrong[:MAX_PROBLEMS]]
        raise InputError("frequencies", problems, _FIX, total=len(wrong))
    return values.astype(np.int64)
