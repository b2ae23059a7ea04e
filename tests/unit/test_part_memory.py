"""How many detections a part may have within a bound of memory."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from longtail_cli.errors import UsageError
from longtail_cli.files.annotations.reader import open_annotations
from longtail_cli.tables import Categories, GroundTruth
from longtail_cli.workflow.options import InputOptions
from longtail_cli.workflow.partitioned.inputs import open_in_parts, read_masks
from longtail_cli.workflow.partitioned.match import buckets_of
from longtail_cli.workflow.partitioned.memory import (
    BYTES_PER_MASK,
    BYTES_PER_ROW,
    BYTES_PER_RUN,
    LEAST_ROWS,
    MOST_PIECE_ROWS,
    MOST_ROWS,
    Sizes,
)

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


def test_parts_and_pieces_grow_with_the_memory_up_to_a_limit(truth: GroundTruth) -> None:
    sizes = [Sizes.within(memory, truth) for memory in (GB // 2, GB, 4 * GB, 400 * GB)]
    assert LEAST_ROWS <= sizes[0].part < sizes[1].part < sizes[2].part == sizes[3].part == MOST_ROWS
    assert LEAST_ROWS <= sizes[0].piece < sizes[1].piece < sizes[2].piece == sizes[3].piece == MOST_PIECE_ROWS
    assert [one.memory for one in sizes] == [GB // 2, GB, 4 * GB, 400 * GB]


def test_without_a_bound_parts_are_as_large_as_is_fast(truth: GroundTruth) -> None:
    sizes = Sizes.within(None, truth)
    assert (sizes.part, sizes.piece, sizes.memory) == (MOST_ROWS, MOST_PIECE_ROWS, None)


def test_annotations_masks_and_further_runs_leave_less(truth: GroundTruth, large: GroundTruth) -> None:
    plain = Sizes.within(GB, truth)
    assert Sizes.within(GB, truth, masks=True).part * 4 == pytest.approx(plain.part, abs=4)
    assert Sizes.within(GB, truth, runs=3).part < plain.part
    assert Sizes.within(GB, truth, iou_types=2).part < plain.part
    with_large, without = Sizes.within(2 * GB, large), Sizes.within(2 * GB, truth)
    assert with_large.part < without.part
    assert with_large.piece < without.piece


def test_masks_that_are_read_instead_of_boxes_are_counted(tmp_path: Path) -> None:
    mask = {"size": [64, 64], "counts": "04000"}
    entry = {"image_id": 1, "category_id": 1, "score": 0.5}
    with open_annotations(VAL) as file:
        inputs = []
        for name, geometry in {"masks": {}, "both": {"bbox": [0, 0, 4, 1]}}.items():
            path = tmp_path / f"{name}.json"
            path.write_text(json.dumps([{**entry, "segmentation": mask, **geometry}]))
            inputs.append(open_in_parts(path, file, InputOptions()))
        masks, both = inputs
        assert not read_masks([both], ("bbox",))
        assert read_masks([both, masks], ("bbox",))
        assert read_masks([both], ("bbox", "segm"))


def test_too_little_memory_is_refused_with_what_is_needed(truth: GroundTruth, large: GroundTruth) -> None:
    with pytest.raises(UsageError) as caught:
        Sizes.within(10**8, truth)
    assert str(caught.value) == (
        f"parts of the images: `memory=`: expected at least 0.4 GB, for annotations with {len(truth.id):,} objects, "
        "found 0.1 GB\nFix: allow more memory"
    )
    with pytest.raises(UsageError, match=r"expected at least 2 GB"):
        Sizes.within(GB, large)


def test_moved_scores_leave_less_for_parts(truth: GroundTruth) -> None:
    sizes = Sizes.within(GB, truth)
    less = sizes.beside_moved(1_000_000)
    assert (sizes.part - less.part) * BYTES_PER_ROW == pytest.approx(24_000_000, abs=BYTES_PER_ROW)
    assert sizes.beside_moved(0) == sizes
    assert Sizes.within(None, truth).beside_moved(10**9) == Sizes.within(None, truth)
    with pytest.raises(UsageError, match=r"at least 2[.\d]* GB, for 20,000,000 scores that a method would make equal"):
        sizes.beside_moved(20_000_000)


def test_what_images_judge_is_counted_for_those_of_a_part_alone(truth: GroundTruth) -> None:
    """Five million images of 10,000 categories: 50 GB for all, and some detections more for each image of a part."""
    many = replace(
        truth,
        image_id=np.arange(5_000_000),
        categories=Categories(np.arange(10_000), ("",) * 10_000, None, None, None),
    )
    sizes = Sizes.within(4 * GB, many)
    assert sizes.part == MOST_ROWS
    assert sizes.image * BYTES_PER_ROW >= 10_000 > (sizes.image - 1) * BYTES_PER_ROW
    row = BYTES_PER_MASK + BYTES_PER_RUN
    assert Sizes.within(4 * GB, many, iou_types=2, masks=True).image == -(-20_000 // row)


@pytest.mark.parametrize(
    ("categories", "rows", "buckets"),
    [(0, 0, 1), (10, 10**9, 10), (1203, 10**6, 16), (1203, 10**8, 95), (9999, 10**12, 256)],
)
def test_more_rows_go_to_more_buckets(categories: int, rows: int, buckets: int) -> None:
    assert buckets_of(categories, rows) == buckets


def test_resamples_leave_less_for_parts_and_pieces(large: GroundTruth) -> None:
    plain, few, many = (Sizes.within(2 * GB, large, resamples=number) for number in (0, 10, 1000))
    assert plain.part > few.part > many.part
    assert plain.piece > few.piece > many.piece
