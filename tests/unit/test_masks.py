"""Polygons and run lengths become the masks that pycocotools makes of them."""

import json
from typing import Any

import msgspec
import numpy as np
import pytest
from pycocotools import mask as coco_mask

from longtail_cli.evaluation.geometry import mask_areas
from longtail_cli.files.masks import GrowingMasks, Pieces, decode_counts, mask_boxes, read_segmentations
from longtail_cli.tables import Masks

SIZE = (37, 53)


def raws(segmentations: list[Any]) -> list[msgspec.Raw]:
    return [msgspec.Raw(json.dumps(segmentation).encode()) for segmentation in segmentations]


def read(segmentations: list[Any], size: tuple[int, int] = SIZE) -> Masks:
    sizes = np.tile(np.array(size, np.int32), (len(segmentations), 1))
    masks, faults = read_segmentations(raws(segmentations), sizes, str)
    assert faults == []
    return masks


def pieces(segmentations: list[Any]) -> Pieces:
    texts = [json.dumps(segmentation).encode() + b" " for segmentation in segmentations]
    ends = np.cumsum([0, *map(len, texts)])
    return Pieces(np.frombuffer(b"".join([*texts, b"\0"]), np.uint8), np.stack([ends[:-1], ends[1:]], axis=1))


def problems_of(segmentations: list[Any], size: tuple[int, int] | None = SIZE) -> list[str]:
    sizes = None if size is None else np.tile(np.array(size, np.int32), (len(segmentations), 1))
    _, faults = read_segmentations(raws(segmentations), sizes, lambda row: f"annotations[{row}]")
    return [str(problem) for fault in faults for problem in fault.problems]


def bitmap(masks: Masks, row: int) -> np.ndarray:
    runs = masks.counts[masks.start[row] : masks.start[row + 1]]
    values = np.arange(len(runs), dtype=np.uint8) % 2
    return np.repeat(values, runs).reshape(masks.size[row], order="F")


def random_bitmaps(seed: int) -> list[np.ndarray]:
    """Blobs of every density, an empty and a full mask, one pixel in each corner."""
    rng = np.random.default_rng(seed)
    noise = [np.asfortranarray(rng.random(SIZE) < density, np.uint8) for density in (0.001, 0.02, 0.3, 0.5, 0.98)]
    corners = [np.zeros(SIZE, np.uint8, order="F") for _ in range(4)]
    for corner, at in zip(corners, [(0, 0), (0, -1), (-1, 0), (-1, -1)], strict=True):
        corner[at] = 1
    column = np.zeros(SIZE, np.uint8, order="F")
    column[:, 20] = 1
    return [*noise, *corners, column, np.zeros(SIZE, np.uint8, order="F"), np.ones(SIZE, np.uint8, order="F")]


def rle(mask: np.ndarray) -> dict[str, Any]:
    encoded = coco_mask.encode(mask)
    return {"size": encoded["size"], "counts": encoded["counts"].decode()}


def plain_counts(characters: bytes) -> list[int]:
    """Runs of a compressed counts string, one bit group at a time."""
    runs: list[int] = []
    value = shift = 0
    for character in characters:
        group = character - 48
        value |= (group & 31) << shift
        shift += 5
        if not group & 32:
            value -= (1 << shift) if group & 16 else 0
            runs.append(value + (runs[-2] if len(runs) > 2 else 0))
            value = shift = 0
    return runs


@pytest.mark.parametrize("seed", range(3))
def test_compressed_counts_decode_as_pycocotools_does(seed: int) -> None:
    bitmaps = random_bitmaps(seed)
    masks = read([rle(mask) for mask in bitmaps])
    for row, mask in enumerate(bitmaps):
        np.testing.assert_array_equal(bitmap(masks, row), mask)
        runs = masks.counts[masks.start[row] : masks.start[row + 1]].tolist()
        assert runs == plain_counts(coco_mask.encode(mask)["counts"])


def test_long_runs_take_many_characters() -> None:
    counts = [0, 2**28, 1, 5, 2**27, 0]
    size = (2**14, 2**15 - 1)
    counts.append(size[0] * size[1] - sum(counts))
    masks = read([{"size": size, "counts": counts}], size)
    assert masks.counts.tolist() == counts


def test_uncompressed_and_compressed_counts_are_the_same_mask() -> None:
    masks = read([{"size": SIZE, "counts": plain_counts(coco_mask.encode(m)["counts"])} for m in random_bitmaps(5)])
    np.testing.assert_array_equal(masks.counts, read([rle(mask) for mask in random_bitmaps(5)]).counts)


def polygons(seed: int) -> list[list[float]]:
    """One to three polygons that may overlap and leave the image."""
    rng = np.random.default_rng(seed)
    return [rng.uniform(-10, 65, 2 * rng.integers(3, 9)).round(2).tolist() for _ in range(rng.integers(1, 4))]


@pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")  # inside pycocotools' decode
def test_polygons_are_merged_as_the_official_evaluation_does() -> None:
    segmentations = [polygons(seed) for seed in range(40)]
    masks = read(segmentations)
    for row, segmentation in enumerate(segmentations):
        official = coco_mask.decode(coco_mask.merge(coco_mask.frPyObjects(segmentation, *SIZE)))
        np.testing.assert_array_equal(bitmap(masks, row), official)


def test_pieces_of_a_file_are_read_as_one_by_one() -> None:
    segmentations = [
        *(polygons(seed) for seed in range(20)),
        *map(rle, random_bitmaps(0)),
        *(polygons(seed) for seed in range(5)),
    ]
    segmentations.insert(3, {"size": SIZE, "counts": plain_counts(coco_mask.encode(random_bitmaps(1)[2])["counts"])})
    sizes = np.tile(np.array(SIZE, np.int32), (len(segmentations), 1))
    masks, faults = read_segmentations(pieces(segmentations), sizes, str)
    assert faults == []
    expected = read(segmentations)
    for name in ("size", "start", "counts"):
        np.testing.assert_array_equal(getattr(masks, name), getattr(expected, name))


def test_faults_in_pieces_are_those_of_one_by_one() -> None:
    segmentations = [
        polygons(0),
        [[1, 1, 9, 9]],
        rle(random_bitmaps(0)[0]),
        {"size": SIZE, "counts": "0"},
        polygons(1),
        None,
    ]
    sizes = np.tile(np.array(SIZE, np.int32), (len(segmentations), 1))
    _, faults = read_segmentations(pieces(segmentations), sizes, str)
    assert faults == read_segmentations(raws(segmentations), sizes, str)[1]
    assert sum(fault.total for fault in faults) == 3


def test_masks_of_results_are_appended_or_none_of_them() -> None:
    found = list(map(rle, random_bitmaps(0)))
    growing = GrowingMasks(1, 1)
    for part in (found[:5], [*found[:2], {"size": SIZE, "counts": [1961]}], found[5:]):
        some = pieces(part)
        assert growing.read(some.text, some.spans) == (len(part) != 3)
    growing.append(read([{"size": SIZE, "counts": [1961]}]))
    expected = read([*found, {"size": SIZE, "counts": [1961]}])
    for name in ("size", "start", "counts"):
        np.testing.assert_array_equal(getattr(growing.masks(), name), getattr(expected, name))


def test_areas_and_boxes_are_those_of_pycocotools() -> None:
    bitmaps = [mask for seed in range(4) for mask in random_bitmaps(seed)]
    encoded = [coco_mask.encode(mask) for mask in bitmaps]
    masks = read([rle(mask) for mask in bitmaps])
    np.testing.assert_array_equal(mask_areas(masks), coco_mask.area(encoded))
    np.testing.assert_array_equal(mask_boxes(masks), coco_mask.toBbox(encoded))


def test_empty_runs_do_not_stretch_the_box() -> None:
    masks = read([{"size": (4, 5), "counts": [0, 0, 6, 2, 0, 1, 11, 0]}], (4, 5))
    assert mask_areas(masks).tolist() == [3]
    assert mask_boxes(masks).tolist() == [[1, 0, 2, 4]]  # pixels 6, 7 and 8, counted down the columns


def test_no_masks_at_all() -> None:
    masks = read([])
    assert len(masks) == 0
    assert mask_areas(masks).shape == (0,)
    assert mask_boxes(masks).shape == (0, 4)


def test_result_files_state_the_size_themselves() -> None:
    sizes = [(3, 4), (5, 2)]
    found = [rle(np.ones(size, np.uint8, order="F")) for size in sizes]
    masks, faults = read_segmentations(raws(found), None, str)
    assert faults == []
    assert masks.size.tolist() == [[3, 4], [5, 2]]
    assert mask_areas(masks).tolist() == [12, 10]


def test_result_files_have_no_polygons() -> None:
    (problem,) = problems_of([[[1, 2, 3, 4, 5, 6]]], size=None)
    assert problem.startswith("annotations[0]: expected run lengths, found [[1, 2, 3, 4, 5, 6]]")


@pytest.mark.parametrize(
    ("segmentation", "expected"),
    [
        ([], "expected at least one polygon, found an empty list"),
        ([[]], "expected polygons of three or more points, x and y of each, found one of 0 numbers"),
        ([[1, 1, 9, 9]], "found one of 4 numbers"),  # pycocotools takes four numbers for a box
        ([[1, 1, 9, 9, 1, 9, 5]], "found one of 7 numbers"),  # pycocotools drops the last
        ([1, 1, 9, 9, 1, 9], "expected run lengths or polygons, found [1, 1, 9, 9, 1, 9]"),
        ([[1, 1, 9, 9, 1, 1e30]], "expected coordinates within 100000 pixels, found 1e+30"),
        (None, "expected run lengths or polygons, found null"),
        ("polygon", 'found "polygon"'),
        ({"counts": "0"}, "Object missing required field `size`"),
        ({"size": [4, 4, 3], "counts": "0"}, "Expected `array` of length 2"),
        ({"size": [53, 37], "counts": "0"}, "the size of the image, [height, width] = [37, 53], found [53, 37]"),
        ({"size": SIZE, "counts": [5, -1]}, "Expected `int` >= 0"),
        ({"size": SIZE, "counts": [5, 1]}, "run lengths of pixels that add up to height times width"),
        ({"size": SIZE, "counts": []}, "run lengths of pixels that add up"),
        ({"size": SIZE, "counts": ""}, "run lengths of pixels that add up"),
        ({"size": SIZE, "counts": "P"}, "run lengths of pixels that add up"),  # a group that promises another
        ({"size": SIZE, "counts": "é"}, "run lengths of pixels that add up"),
        ({"size": SIZE, "counts": "Y" + "P" * 40 + "0"}, "run lengths of pixels that add up"),
        ({"size": SIZE, "counts": "O1"}, "run lengths of pixels that add up"),  # a first run of -1
    ],
)
def test_segmentations_that_are_not_masks(segmentation: Any, expected: str) -> None:
    (problem,) = problems_of([segmentation])
    assert expected in problem


def test_masks_that_pycocotools_cannot_hold() -> None:
    size = (2**14, 2**15)
    (problem,) = problems_of([{"size": size, "counts": "0"}], size)
    assert "expected a mask of fewer than 2^29 pixels" in problem


def test_faults_name_their_rows() -> None:
    first, second = problems_of([polygons(0), [], {"size": SIZE, "counts": "0"}])
    assert first.startswith("annotations[1]: expected at least one polygon")
    assert second.startswith("annotations[2]: expected run lengths of pixels")


def test_each_string_is_checked() -> None:
    strings = [b"6", b"P", b"42"]
    start = np.cumsum([0, *map(len, strings)])
    characters = np.frombuffer(b"".join(strings), np.uint8)
    masks, valid = decode_counts(characters, start, np.array([[2, 3]] * 3, np.int32))
    assert valid.tolist() == [True, False, True]
    assert masks.counts[masks.start[2] :].tolist() == [4, 2]
