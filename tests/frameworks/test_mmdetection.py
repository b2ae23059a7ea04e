"""MMDetection's pickled results of versions 2 and 3, and its JSON files."""

from __future__ import annotations

import json
import pickle
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from framework_scenes import FILES, Scenes, figures, refusal

from longtail_cli.errors import InputError
from longtail_cli.files.recognise import kind_of
from longtail_cli.files.results.file import open_results
from longtail_cli.tables import Results

BOXES, BOTH = frozenset({"bbox"}), frozenset({"bbox", "masks"})
TWO, TWO_MASKS = FILES / "mmdetection2.pkl", FILES / "mmdetection2_masks.pkl"
THREE, THREE_MASKS = FILES / "mmdetection3.pkl", FILES / "mmdetection3_masks.pkl"
BOX_JSON, MASK_JSON = FILES / "mmdetection3.bbox.json", FILES / "mmdetection3.segm.json"
SEGM = ("--iou-type", "segm")


@pytest.fixture
def annotations(tmp_path: Path) -> Path:
    path = tmp_path / "val.json"
    path.write_text(json.dumps(Scenes().annotations))
    return path


def read(path: Path, fields: frozenset[str] = BOXES) -> Results:
    with open_results(path) as file:
        return file.read(fields)


def dumped(folder: Path, images: object, protocol: int = 2) -> Path:
    path = folder / "results.pkl"
    path.write_bytes(pickle.dumps(images, protocol))
    return path


def refused(path: Path, fields: frozenset[str] = BOXES) -> str:
    with pytest.raises(InputError) as caught:
        read(path, fields)
    return str(caught.value)


@pytest.mark.parametrize("path", [TWO, TWO_MASKS, THREE, THREE_MASKS], ids=lambda path: path.stem)
def test_boxes_have_the_metrics_of_the_json_that_mmdetection_writes(path: Path, annotations: Path) -> None:
    box = ("--iou-type", "bbox")
    assert figures(path, annotations, *box) == figures(BOX_JSON, annotations, *box)


@pytest.mark.parametrize("path", [TWO_MASKS, THREE_MASKS], ids=lambda path: path.stem)
def test_masks_have_the_metrics_of_the_json_that_mmdetection_writes(path: Path, annotations: Path) -> None:
    assert figures(path, annotations, *SEGM) == figures(MASK_JSON, annotations, *SEGM)


def test_the_conventions() -> None:
    two, three = read(TWO).convention, read(THREE).convention
    assert (two.images, two.categories, two.boxes, two.listed) == ("position", "index", "xyxy", 30)
    assert (three.images, three.categories, three.boxes, three.listed) == ("id", "index", "xyxy", 30)
    assert (kind_of(TWO), kind_of(THREE)) == ("results", "results")


def test_fields() -> None:
    found = []
    for path in (TWO, TWO_MASKS, THREE, THREE_MASKS):
        with open_results(path) as file:
            found.append(file.fields)
    assert found == [BOXES, BOTH, BOXES, BOTH]


def by_class(rows: int, protocol: int, tmp_path: Path) -> Results:
    rng = np.random.default_rng(0)
    images = [[rng.random((n % rows, 5), np.float32) for n in range(40)] for _ in range(3)]
    for image in images:
        for boxes in image:
            boxes[:, 2:4] += 1
    return read(dumped(tmp_path, images, protocol))


@pytest.mark.parametrize("protocol", [3, 4, 5])
def test_the_kernel_and_the_general_reader_agree(tmp_path: Path, protocol: int) -> None:
    """The kernel reads protocol 2."""
    one, other = by_class(3, 2, tmp_path), by_class(3, protocol, tmp_path)
    for name in ("image_id", "category_id", "score", "bbox"):
        assert np.array_equal(getattr(one, name), getattr(other, name))


def test_results_gathered_from_several_processes(tmp_path: Path) -> None:
    """Each process has its own types of arrays, and a single class is written in another way than several."""
    boxes = np.array([[1, 2, 3, 4, 0.5]], np.float32)
    ranks = [pickle.loads(pickle.dumps([[boxes]] * 2)) for _ in range(3)]
    results = read(dumped(tmp_path, [image for some in zip(*ranks, strict=True) for image in some]))
    assert results.image_id.tolist() == [0, 1, 2, 3, 4, 5]


def test_other_types_of_numbers(tmp_path: Path) -> None:
    results = read(dumped(tmp_path, [[np.array([[1, 2, 3, 4, 0.5]], kind)] for kind in (">f4", "f8", "f2")]))
    assert results.score.tolist() == [0.5] * 3


def masked(boxes: int, masks: int) -> Any:
    rle = {"size": [8, 10], "counts": [80]}
    return [np.tile(np.array([[1, 2, 3, 4, 0.75]], np.float32), (boxes, 1))], [[rle] * masks]


def test_scores_of_masks(tmp_path: Path) -> None:
    """They are those of the detections where masks are evaluated, as in MMDetection's own JSON."""
    boxes, masks = masked(2, 2)
    path = dumped(tmp_path, [(boxes, (masks, [np.array([0.25, 0.5], np.float32)]))])
    assert read(path, BOTH).score.tolist() == [0.25, 0.5]
    assert read(path).score.tolist() == [0.75, 0.75]
    assert read(path).convention.notes == (
        "the scores of the boxes, not those of the masks, are the scores of the detections",
    )


def instances(count: int, **more: object) -> dict[str, Any]:
    boxes = torch.tensor([[1.0, 2, 3, 4]]).repeat(count, 1)
    return {"bboxes": boxes, "scores": torch.full((count,), 0.75), "labels": torch.arange(count), **more}


def test_scores_and_pixels_of_masks_of_version_3(tmp_path: Path) -> None:
    pixels = torch.zeros(2, 8, 10, dtype=torch.bool)
    pixels[0, 2:4, 1] = True
    pixels[1, 0, 0] = True
    held = instances(2, masks=pixels, mask_scores=torch.tensor([0.25, 0.5]))
    results = read(dumped(tmp_path, [{"img_id": 4, "pred_instances": held}]), BOTH)
    assert results.score.tolist() == [0.25, 0.5]
    assert results.masks is not None
    assert results.masks.counts.tolist() == [10, 2, 68, 0, 1, 79]


def test_bfloat16(tmp_path: Path) -> None:
    held = instances(1, scores=torch.tensor([0.7], dtype=torch.bfloat16))
    results = read(dumped(tmp_path, [{"img_id": 4, "pred_instances": held}]))
    assert results.score.tolist() == held["scores"].tolist()


def test_names_of_images(tmp_path: Path) -> None:
    results = read(dumped(tmp_path, [{"img_id": "a", "pred_instances": instances(1)}]))
    assert (results.convention.images, results.convention.image_names) == ("name", ("a",))


MISTAKES: dict[str, tuple[Any, str]] = {
    "another number of classes": (
        [[np.zeros((1, 5), "f4")] * 2, [np.zeros((1, 5), "f4")]],
        "image 1: expected 2 arrays, one per class, as for image 0, found 1",
    ),
    "four columns": (
        [[np.zeros((0, 5), "f4")], [np.zeros((3, 4), "f4")]],
        "image 1, class 0: expected numbers of shape [n, 5], found float32 of shape [3, 4]",
    ),
    "NaN": ([[np.full((1, 5), np.nan, "f4")]], "detection 0 (image 0 of the file), score: expected a finite number"),
    "corners in the wrong order": (
        [[np.array([[5, 5, 1, 9, 0.5]], "f4")]],
        "detection 0 (image 0 of the file), box: expected x1 <= x2 and y1 <= y2, found 5, 5, 1, 9",
    ),
    "fewer masks than boxes": ([masked(2, 1)], "image 0, class 0: expected a mask for each box"),
    "an image without masks": ([masked(1, 1), masked(1, 1)[0]], "image 1: expected masks, as for image 0"),
    "labels": (
        [{"img_id": 1, "pred_instances": instances(2, labels=torch.tensor([0.5, 1]))}],
        "image 0, labels: expected integers of shape [2], found float32 of shape [2]",
    ),
    "no instances": ([{"img_id": 1, "pred_instances": {}}], "image 0: expected a field `bboxes`, found only no field"),
    "fewer masks": (
        [{"img_id": 1, "pred_instances": instances(2, masks=[])}],
        "image 0, masks: expected 2 masks, one for each box, found 0",
    ),
    "masks of another kind": (
        [{"img_id": 1, "pred_instances": instances(2, masks=3)}],
        "image 0, masks: expected a list of run lengths, or an array [n, height, width], found 3",
    ),
    "scores": (
        [{"img_id": 1, "pred_instances": instances(2, scores=torch.zeros(3))}],
        "image 0, scores: expected numbers of shape [2], found float32 of shape [3]",
    ),
}


@pytest.mark.parametrize(("images", "message"), MISTAKES.values(), ids=MISTAKES.keys())
def test_mistakes(tmp_path: Path, images: Any, message: str) -> None:
    assert message in refused(dumped(tmp_path, images))


def test_results_of_another_data_set(tmp_path: Path, annotations: Path) -> None:
    """Without ids, there have to be as many images as annotated."""
    path = dumped(tmp_path, pickle.loads(TWO.read_bytes())[1:])
    assert "expected 30, one for each image in" in refusal("report", str(path), "--annotations", str(annotations))
