"""How many detections a part may have within a bound of memory."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longtail_cli.errors import UsageError
from longtail_cli.execution.spilled import Spilled
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.tables import GroundTruth
from longtail_cli.workflow.partitioned.match import buckets_of
from longtail_cli.workflow.partitioned.memory import LEAST_ROWS, MOST_ROWS, rows_per_part

VAL = Path(__file__).parents[2] / "examples" / "digit_scenes" / "val.json"
GB = 10**9


@pytest.fixture(scope="module")
def truth() -> GroundTruth:
    with open_annotations(VAL) as file:
        return file.read()


@pytest.fixture(scope="module")
def large(truth: GroundTruth) -> GroundTruth:
    """Boxes of ten million objects, which take 320 MB; other columns stay as they are."""
    return replace(truth, bbox=np.empty((10_000_000, 4)))


def test_parts_grow_with_the_memory_up_to_a_limit(truth: GroundTruth) -> None:
    rows = [rows_per_part(memory, Spilled(), truth) for memory in (GB // 2, GB, 4 * GB, 400 * GB)]
    assert LEAST_ROWS <= rows[0] < rows[1] < rows[2] == rows[3] == MOST_ROWS


def test_without_a_bound_parts_are_as_large_as_is_fast(truth: GroundTruth) -> None:
    assert rows_per_part(None, Spilled(), truth) == MOST_ROWS


def test_annotations_masks_and_further_runs_leave_less(truth: GroundTruth, large: GroundTruth) -> None:
    plain = rows_per_part(GB, Spilled(), truth)
    assert rows_per_part(GB, Spilled(), truth, masks=True) < plain
    assert rows_per_part(GB, Spilled(), truth, runs=3) < plain
    assert rows_per_part(2 * GB, Spilled(), large) < rows_per_part(2 * GB, Spilled(), truth)


def test_too_little_memory_is_refused_with_what_is_needed(truth: GroundTruth, large: GroundTruth) -> None:
    with pytest.raises(UsageError) as caught:
        rows_per_part(10**8, Spilled(), truth)
    assert str(caught.value) == (
        f"parts of the images: `memory=`: expected at least 0.4 GB, for annotations with {len(truth.id):,} objects, "
        "found 0.1 GB\nFix: allow more memory"
    )
    with pytest.raises(UsageError, match=r"expected at least 1\.9 GB"):
        rows_per_part(GB, Spilled(), large)


@pytest.mark.parametrize(
    ("categories", "rows", "buckets"),
    [(0, 0, 1), (10, 10**9, 10), (1203, 10**6, 16), (1203, 10**8, 95), (9999, 10**12, 256)],
)
def test_more_rows_go_to_more_buckets(categories: int, rows: int, buckets: int) -> None:
    assert buckets_of(categories, rows) == buckets
