"""Samplers: how often an epoch holds the rows of each class."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np
import torch

from longtail_cli.errors import Problem, UsageError
from longtail_cli.tables import Floats, FrequencyTable, LogitColumns, Longs

REPEAT_THRESHOLD = 1e-3
"""t of repeat factor sampling, as for LVIS."""


def repeats(sampler: str, rows: Longs, columns: LogitColumns, table: FrequencyTable | None) -> Floats:
    """How often an epoch holds each row of a class, on average: float64, one number for each column; 1 for `random`.

    ``class-balanced``: as often as makes each class as large as the largest one, n_max / n_c (Kang et al., ICLR 2020,
    section 4; their epochs are as long). ``square-root``: in proportion to 1 / √n_c, in an epoch of N rows (section
    3). ``rfs``: max(1, √(t / f_c)) with the image rate f_c and t = 0.001 (Gupta et al., "LVIS", CVPR 2019). The
    background keeps its share of the rows.

    rows: int64 [K], n, how many rows each column has; `columns`: those of a head that is not ``bags``. A class without
    rows has 1. Raises UsageError if ``rfs`` has no image rates.
    """
    classes = columns.classes
    count = rows[classes]
    found = np.ones(len(rows))
    if sampler == "rfs":
        found[classes] = _repeat_factors(table)
    elif sampler != "random":
        present = count > 0
        found[classes][present] = _BY_COUNT[sampler](count[present].astype(np.float64))
    background = np.ones(len(rows), np.bool_)
    background[classes] = False
    if count.any():
        found[background] = found[classes] @ count / count.sum()
    return found


_BY_COUNT: Mapping[str, Callable[[Floats], Floats]] = MappingProxyType(
    {
        "class-balanced": lambda count: np.asarray(count.max() / count),
        "square-root": lambda count: np.asarray(count.sum() / np.sqrt(count).sum() / np.sqrt(count)),
    }
)


def _repeat_factors(table: FrequencyTable | None) -> Floats:
    if table is None or not table.num_images:
        problem = Problem("image rates", "the number of images that were counted, for sampler=rfs", "none")
        raise UsageError("`frequencies=`", [problem], "pass a frequency table made by `ltcal compute-freq`")
    rate = np.maximum(table.image_rate, 1 / table.num_images)
    return np.maximum(1.0, np.sqrt(REPEAT_THRESHOLD / rate))


def epoch(times: torch.Tensor, generator: torch.Generator) -> torch.Tensor:
    """The rows of one epoch in random order, int64: each row as often as `times`, float64 [N], says on average.

    A row is there floor(times) times, and once more with the probability of the rest.
    """
    whole = times.floor()
    more = torch.rand(len(times), generator=generator, dtype=torch.float64) < times - whole
    rows = torch.repeat_interleave(whole.long() + more)
    return rows[torch.randperm(len(rows), generator=generator)]
