"""What detections in any format have to be: numbers that are finite, and boxes whose sizes are not negative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from longtail_cli.errors import Problem
from longtail_cli.files.faults import Fault, faults_at
from longtail_cli.files.results.problems import FIX_FINITE
from longtail_cli.tables import LARGEST_COORDINATE, Bools, Floats

FIX_SIZES = "drop the boxes of negative size, or find out why the model produces them"


def score_faults(score: Floats, where: Callable[[int], str]) -> list[Fault]:
    """The scores, float64 [N], that are not finite. where: what messages call a detection."""

    def describe(row: int) -> Problem:
        return Problem(f"{where(row)}, score", "a finite number", f"{score[row]:g}")

    return faults_at(~np.isfinite(score), describe, FIX_FINITE)


def coordinate_faults(bbox: Floats, where: Callable[[int], str]) -> list[Fault]:
    """The boxes, float64 [N, 4], with a number that is not finite, or not within `LARGEST_COORDINATE` of 0."""
    bad: Bools = ~np.all(np.abs(bbox) <= LARGEST_COORDINATE, axis=1)
    return _box_faults(bad, bbox, f"four finite numbers within {LARGEST_COORDINATE:g} of 0", FIX_FINITE, where)


def size_faults(bbox: Floats, sizes: Floats, expected: str, where: Callable[[int], str]) -> list[Fault]:
    """The boxes, float64 [N, 4], of which one of the sizes, float64 [N, 2], is negative. expected: what says so."""
    bad: Bools = np.any(sizes < 0, axis=1)
    return _box_faults(bad, bbox, expected, FIX_SIZES, where)


def _box_faults(bad: Bools, bbox: Floats, expected: str, fix: str, where: Callable[[int], str]) -> list[Fault]:
    def describe(row: int) -> Problem:
        return Problem(f"{where(row)}, box", expected, ", ".join(f"{one:g}" for one in bbox[row].tolist()))

    return faults_at(bad, describe, fix)
