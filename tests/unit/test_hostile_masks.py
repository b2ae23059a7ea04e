"""Masks that would exhaust memory or time, or write beyond the memory of pycocotools."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from bounded import refusal, run_bounded
from hypothesis import given
from hypothesis import strategies as st
from opened import read_annotations, read_results
from pycocotools import mask as coco_mask

from longtail_cli.errors import InputError, UsageError
from longtail_cli.files.masks import compressed_counts
from longtail_cli.tables import Masks
from longtail_cli.verify.official import official_coco

MASKS = frozenset({"masks"})
Outline = list[float]


def annotations(path: Path, segmentation: Any, height: int = 480, width: int = 640, area: float = 81) -> Path:
    image = {"id": 1, "height": height, "width": width}
    entry = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 9, 9], "area": area, "segmentation": segmentation}
    path.write_text(json.dumps({"images": [image], "categories": [{"id": 1}], "annotations": [entry]}))
    return path


def results(path: Path, size: tuple[int, int], counts: Any) -> Path:
    mask = {"size": size, "counts": counts}
    path.write_text(json.dumps([{"image_id": 1, "category_id": 1, "score": 0.5, "segmentation": mask}]))
    return path


def masks_of(path: Path) -> Masks:
    masks = read_annotations(path, masks=True).masks
    assert masks is not None
    return masks


def zigzag(points: int, height: float, left: float, right: float) -> Outline:
    return [number for row in range(points) for number in ((left, right)[row % 2], row * height / points)]


@pytest.mark.parametrize("counts", [[2**32 - 1, 2**32 - 1, 0, 0] * 50, [2**29, 0] * 16, [2**32]])
def test_runs_beyond_the_image_are_refused(tmp_path: Path, counts: list[int]) -> None:
    """pycocotools, asked to compress such runs, writes beyond the end of its memory and ends the process."""
    found = results(tmp_path / "results.json", (10, 10), counts)
    truth = annotations(tmp_path / "val.json", {"size": [480, 640], "counts": counts})
    message = refusal("report", found, "--annotations", truth, "--iou-type", "segm")
    assert "`segmentation`: expected run lengths" in message
    with pytest.raises(InputError, match="run lengths"):
        read_results(found, fields=MASKS)


@pytest.mark.parametrize(
    ("size", "counts"),
    [((2**15, 2**14), [2**29]), ((2**16, 2**16 - 1), [2**31, 2**31 - 2**16]), ((2**16, 2**16 - 1), "PPPPPP2P``oo?")],
)
def test_masks_of_2_to_the_29_pixels_are_refused(tmp_path: Path, size: tuple[int, int], counts: Any) -> None:
    if isinstance(counts, str):
        counts = compressed_counts([2**31, 2**31 - 2**16])
    with pytest.raises(InputError, match=r"a mask of fewer than 2\^29 pixels"):
        read_results(results(tmp_path / "results.json", size, counts), fields=MASKS)


def test_runs_are_read_as_they_are_written(tmp_path: Path) -> None:
    masks = read_results(
        results(tmp_path / "results.json", (2**14, 2**15 - 1), [0, 2**28, 0, 2**28 - 2**14]), fields=MASKS
    )
    assert masks.masks is not None
    assert masks.masks.counts.tolist() == [0, 2**28, 0, 2**28 - 2**14]


@given(st.lists(st.integers(0, 2**28), max_size=20))
def test_counts_strings_are_those_of_pycocotools(runs: list[int]) -> None:
    official = coco_mask.frPyObjects({"size": [1, sum(runs)], "counts": runs}, 1, sum(runs))
    assert compressed_counts(runs) == official["counts"].decode()


@pytest.mark.parametrize("area", [81, 1e-300], ids=["read by the engine", "left to Python"])
def test_an_outline_far_outside_the_image_takes_little_memory(tmp_path: Path, area: float) -> None:
    """Every pixel of an outline, as pycocotools keeps them, takes 2.4 GB for these 300 points."""
    far = annotations(tmp_path / "val.json", [zigzag(300, 480, -1e5, 1e5)], area=area)
    (tmp_path / "empty.json").write_text("[]")
    done = run_bounded("report", tmp_path / "empty.json", "--annotations", far, "--iou-type", "segm")
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("area", [81, 1e-300], ids=["read by the engine", "left to Python"])
def test_an_outline_of_2000_points_within_the_image(tmp_path: Path, area: float) -> None:
    outline = zigzag(2000, 480, 0, 640)
    masks = masks_of(annotations(tmp_path / "val.json", [outline], area=area))
    (official,) = coco_mask.frPyObjects([outline], 480, 640)
    assert compressed_counts(masks.counts.tolist()) == official["counts"].decode()


def test_outlines_with_too_many_crossings_are_refused_with_other_faults(tmp_path: Path) -> None:
    """The zigzag, and what comes after it, is read one by one."""
    with pytest.raises(InputError, match=r"at most 4,194,304 times, found more, with 9000 points"):
        masks_of(annotations(tmp_path / "val.json", [zigzag(9000, 480, 0, 640)]))


def test_images_of_polygons_are_not_wider_than_their_points(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="at most 100000 pixels wide, found a width of 268435456"):
        masks_of(annotations(tmp_path / "val.json", [[0, 0, 9, 0, 9, 1]], height=1, width=2**28))


def test_many_crossings_in_one_column_are_sorted_quickly(tmp_path: Path) -> None:
    """Among few columns a sort that moves each crossing past all others would take half a minute."""
    rows = np.random.default_rng(0).permutation(200_000) / 200
    outline = [number for row, y in enumerate(rows.tolist()) for number in (row % 2, y)]
    path = annotations(tmp_path / "val.json", [outline], height=1000, width=1)
    start = time.perf_counter()
    masks_of(path)
    assert time.perf_counter() - start < 5


def test_outlines_that_pycocotools_cannot_hold_are_not_verified(tmp_path: Path) -> None:
    far = annotations(tmp_path / "val.json", [zigzag(300, 480, -1e5, 1e5)])
    found = results(tmp_path / "results.json", (480, 640), [480 * 640])
    with pytest.raises(UsageError, match=r"annotations\[0\], `segmentation`: expected outlines of at most"):
        official_coco(far, found, "segm", 100)
